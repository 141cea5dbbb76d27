# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The benchmark's metrics as `evaluate.Metric`s: local classes, for which nothing is fetched."""

from typing import TYPE_CHECKING

from ..sample import EvalSample
from .judged import Judged
from .metric import MetricUnavailable

if TYPE_CHECKING:
    import evaluate


def load_metric(name: str) -> "evaluate.Metric":
    """A metric for `compute(predictions=[...], references=[[...]])`, `add_batch` and `evaluate.combine`.

    `references` holds a list of acceptable answers for each prediction. Some metrics take a further column: "choices"
    (the options as shown: choice_accuracy, position_bias), "source" ("textvqa" or "gqa": aveb_isqa, standard_isqa),
    "class" (class_match). Judged metrics take the verdicts as predictions, numbers instead of texts, and no
    references.

    Raises:
        ValueError: there is no such metric.
        MetricUnavailable: without the packages evaluate and datasets.
    """
    from . import METRICS  # which imports this module

    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; choose from {', '.join(METRICS)}.")
    try:
        import datasets
        import evaluate
    except ImportError as error:
        raise MetricUnavailable(
            f"{name} as evaluate.Metric needs evaluate, which is not installed: run `pip install 'favor[eval]'`."
        ) from error
    metric = METRICS[name]
    text, texts = datasets.Value("string"), datasets.Sequence(datasets.Value("string"))
    columns = (
        {"predictions": datasets.Value("float64")}
        if isinstance(metric, Judged)
        else {"predictions": text, "references": texts}
    )
    columns |= {column: texts if column == "choices" else text for column in metric.columns}

    class LocalMetric(evaluate.Metric):
        """One of the benchmark's metrics."""

        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description=(type(metric).__doc__ or "").strip(), citation="", features=datasets.Features(columns)
            )

        def _compute(self, predictions, references=None, **extra):
            if isinstance(metric, Judged):
                statistics = metric.verdict_statistics(predictions)
            else:
                samples = [
                    _sample(number, answers, {column: extra[column][number] for column in metric.columns})
                    for number, answers in enumerate(references)
                ]
                statistics = metric.sample_statistics(samples, predictions)
            return {name: metric.aggregate(statistics)}

    return LocalMetric(config_name=name)


def _sample(number: int, references: list[str], columns: dict[str, str | list[str]]) -> EvalSample:
    """A sample without question or media, which no metric reads."""
    choices = columns.pop("choices", None)
    options = list(choices) if isinstance(choices, list) else None
    return EvalSample(str(number), [], {}, list(references), options, columns)
