# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Metrics of the benchmark by name, from 0 to 1 unless their class says otherwise; `load_metric` is for `evaluate`.

Importing them needs none of the optional packages; computing one says which is missing.
"""

from collections.abc import Iterable

from .accuracy import Accuracy, by_source, score_gqa, score_ocr, score_textvqa, score_vqa
from .bleu import Bleu
from .choices import PositionBias, Unparsable, score_choice, score_exact_choice, score_yes_no
from .cider import CiderD
from .evaluate_metric import load_metric
from .free_answer import score_free
from .judged import Judged
from .meteor import Meteor
from .metric import AnswerMetric, EvalMetric, MetricUnavailable, Statistics
from .sound_class import score_class
from .spice import Spice, Spider
from .thing_name import score_name_said, score_name_word, score_whole_name
from .word_error_rate import ExactTranscript, WordErrorRate

_ALL: tuple[AnswerMetric | Judged, ...] = (
    WordErrorRate(),
    ExactTranscript(),
    Bleu(1),
    Bleu(4),
    CiderD(),
    Meteor(),
    Spice(),
    Spider(),
    Accuracy("aveb_ocr", score_ocr),
    Accuracy("textvqa_accuracy", score_textvqa),
    Accuracy("aveb_vqa", score_vqa),
    Accuracy("gqa_accuracy", score_gqa),
    Accuracy("aveb_isqa", by_source(score_ocr, score_vqa), columns=("source",)),
    Accuracy("standard_isqa", by_source(score_textvqa, score_gqa), columns=("source",)),
    Accuracy("aveb_choice", score_exact_choice),
    Accuracy("choice_accuracy", score_choice, columns=("choices",)),
    Accuracy("yes_no", score_yes_no),
    Accuracy("qa_accuracy", score_free, columns=("choices",)),
    Accuracy("qa_contained", score_vqa),
    Accuracy("whole_name", score_whole_name),
    Accuracy("name_word", score_name_word),
    Accuracy("name_said", score_name_said),
    Unparsable(),
    PositionBias(),
    Accuracy("class_match", score_class, columns=("class",)),
    Judged("judged_accuracy", "correct"),
    Judged("judged_score", "score", scale=1.0),
)
METRICS: dict[str, AnswerMetric | Judged] = {metric.name: metric for metric in _ALL}


def without_judge(names: Iterable[str]) -> dict[str, AnswerMetric]:
    """Those of the metrics that answers alone tell, by name, in the same order."""
    metrics = {name: METRICS[name] for name in names}
    return {name: metric for name, metric in metrics.items() if not isinstance(metric, Judged)}


__all__ = [
    "METRICS",
    "AnswerMetric",
    "EvalMetric",
    "Judged",
    "MetricUnavailable",
    "Statistics",
    "load_metric",
    "without_judge",
]
