# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scores the logged answers of a run: hypotheses, verdicts, metrics with their intervals, and `results.json`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .bootstrap import confidence_interval
from .json_fields import Fields
from .judges import Judge, judge_answers
from .metrics import METRICS, EvalMetric, Judged, MetricUnavailable, Statistics
from .results import RESULTS_FILE, JudgeCounts, MetricScore, RunResults, TaskResult, read_results, write_results
from .runner import FACTS_FILE, TaskWork
from .sample import EvalSample
from .sample_log import ScoredAnswer, Verdict, merge_samples, read_samples
from .settings import read_settings

if TYPE_CHECKING:
    from .task import EvalTask

NO_JUDGE = "it needs a judge (--judge-url, --judge-model or --judge-replies)"


def score_task(task: "EvalTask", work: TaskWork, out_dir: Path, judge: Judge | None = None) -> TaskResult:
    """Scores a task whose samples have all been answered, and writes its jsonl anew: sorted, with what was scored.

    Unreadable samples and failed verdicts are counted, and not scored. A metric that cannot be computed here (no
    judge, no Java) has the value None and a reason; if that is the headline, `metric` is the best that could be
    computed (see `AnswerRules.headline`), and `instead_of` the headline's name.

    Raises `ValueError` if samples have no answer.
    """
    records = read_samples(out_dir, task.name)
    unanswered = [sample.id for sample in work.samples if sample.id not in records]
    if unanswered:
        raise ValueError(
            f"{len(unanswered)} samples of {task.name} have no answer yet, for example {unanswered[0]!r}."
        )
    samples = [sample for sample in work.samples if records[sample.id].error is None]
    if not samples:
        raise ValueError(f"No sample of {task.name} could be read: {records[work.samples[0].id].error}")
    hypotheses = [task.answers.parse(records[sample.id].raw or "", sample) for sample in samples]
    verdicts = None
    if task.answers.judge is not None and judge is not None:
        verdicts = judge_answers(
            judge, task.answers.judge, samples, hypotheses, out_dir / f"{task.name}.verdicts.jsonl"
        )
    compared = [task.answers.cleaned(sample) for sample in samples]
    metrics, statistics = _score_metrics(task.answers.metrics, compared, hypotheses, verdicts)
    for row, sample in enumerate(samples):
        scored = ScoredAnswer(
            question=sample.question,
            references=sample.references,
            answer=hypotheses[row],
            media=sample.media,
            scores={name: values[row] for name, values in statistics.items()},
            verdict=verdicts[row] if verdicts else None,
        )
        records[sample.id] = replace(records[sample.id], scored=scored)
    merge_samples(out_dir, task.name, records.values())
    usual = task.answers.metrics[0]
    headline = task.answers.headline([name for name, score in metrics.items() if score.n != 0])
    return TaskResult(
        title=task.title,
        dataset=work.own_data or task.data.name,
        metric=headline,
        metrics=metrics,
        instead_of=usual if headline != usual else None,
        own_data=work.own_data is not None,
        generation=work.generation,
        published_samples=None if work.own_data else task.data.size,
        answered=len(samples),
        missing_samples=work.missing_samples,
        unreadable_samples=len(work.samples) - len(samples),
        judge=None if judge is None or verdicts is None else _judge_counts(judge, verdicts),
    )


def gather_results(
    out_dir: Path, tasks: Mapping[str, TaskResult], not_run: Mapping[str, str] | None = None
) -> RunResults:
    """Writes `results.json`: the run's settings, and the results of `tasks` beside those that it already held.

    Args:
        not_run: task -> why it was left out; tasks that an earlier run has scored are not among them.

    Returns its content.
    """
    earlier = read_results(out_dir) if (out_dir / RESULTS_FILE).exists() else None
    scored = {**(earlier.tasks if earlier else {}), **tasks}
    left_out = {**(earlier.not_run if earlier else {}), **(not_run or {})}
    facts = out_dir / FACTS_FILE
    results = RunResults(
        settings=read_settings(out_dir).run,
        tasks=dict(sorted(scored.items())),
        facts=Fields.of_file(facts).as_json() if facts.exists() else {},
        not_run={name: reason for name, reason in left_out.items() if name not in scored},
    )
    write_results(out_dir, results)
    return results


def _score_metrics(
    names: Sequence[str],
    samples: Sequence[EvalSample],
    hypotheses: Sequence[str],
    verdicts: Sequence[Verdict | None] | None,
) -> tuple[dict[str, MetricScore], dict[str, list[Statistics]]]:
    """Each metric's score, and its statistics sample by sample."""
    scores: dict[str, MetricScore] = {}
    statistics: dict[str, list[Statistics]] = {}
    for name in names:
        metric = METRICS[name]
        counted = len(samples)
        try:
            if not isinstance(metric, Judged):
                values = metric.sample_statistics(samples, hypotheses)
            elif verdicts is None:
                raise MetricUnavailable(NO_JUDGE)
            else:
                values = metric.verdict_statistics(
                    [None if verdict is None else verdict.value for verdict in verdicts]
                )
                counted = _judged(verdicts)
        except MetricUnavailable as error:
            scores[name] = MetricScore(None, n=0, reason=f"not computed: {error}")
            continue
        statistics[name] = values
        scores[name] = _metric_score(metric, values, counted)
    return scores, statistics


def _metric_score(metric: EvalMetric, values: Sequence[Statistics], counted: int) -> MetricScore:
    value = metric.aggregate(values)
    if not math.isfinite(value):
        return MetricScore(None, n=counted, reason="not computed: no sample could be scored")
    return MetricScore(value, confidence_interval(metric, values), counted, metric.higher_is_better)


def _judge_counts(judge: Judge, verdicts: Sequence[Verdict | None]) -> JudgeCounts:
    due = sum(verdict is not None for verdict in verdicts)
    return JudgeCounts(judge.name, _judged(verdicts), due - _judged(verdicts))


def _judged(verdicts: Sequence[Verdict | None]) -> int:
    return sum(verdict is not None and verdict.value is not None for verdict in verdicts)
