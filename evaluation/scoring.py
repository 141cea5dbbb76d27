# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scores the logged answers of a run: hypotheses, verdicts, metrics with their intervals, and `results.json`."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bootstrap import confidence_interval
from .judges import Judge, Verdict, judge_answers
from .metrics import METRICS, MetricUnavailable
from .runner import FACTS_FILE, SETTINGS_FILE, TaskWork
from .sample import EvalSample
from .sample_log import Record, merge_samples, read_samples, replace_file

if TYPE_CHECKING:
    from .task import EvalTask

RESULTS_FILE = "results.json"
NO_JUDGE = "it needs a judge (--judge-url, --judge-model or --judge-replies)"


def score_task(task: "EvalTask", work: TaskWork, out_dir: Path, judge: Judge | None = None) -> dict[str, Any]:
    """Scores a task whose samples have all been answered, and writes its jsonl anew: sorted, with what was scored.

    Unreadable samples and failed verdicts are counted, and not scored. A metric that cannot be computed here (no
    judge, no Java) has the value None and a reason; if that is the headline and the task has a stand-in, the entry's
    "metric" is the stand-in's name, and "instead_of" the headline's.

    Returns the task's entry of `results.json`.

    Raises `ValueError` if samples have no answer.
    """
    records = read_samples(out_dir, task.name)
    unanswered = [sample.id for sample in work.samples if sample.id not in records]
    if unanswered:
        raise ValueError(
            f"{len(unanswered)} samples of {task.name} have no answer yet, for example {unanswered[0]!r}."
        )
    samples = [sample for sample in work.samples if "error" not in records[sample.id]]
    if not samples:
        raise ValueError(f"No sample of {task.name} could be read: {records[work.samples[0].id]['error']}")
    hypotheses = [task.parse(records[sample.id]["raw"], sample) for sample in samples]
    verdicts = None
    if task.judge is not None and judge is not None:
        verdicts = judge_answers(judge, task.judge, samples, hypotheses, out_dir / f"{task.name}.verdicts.jsonl")
    metrics, statistics = _score_metrics(task.metrics, samples, hypotheses, verdicts)
    for row, sample in enumerate(samples):
        records[sample.id] |= _scored(sample, hypotheses[row], verdicts[row] if verdicts else None)
        records[sample.id]["scores"] = {name: values[row] for name, values in statistics.items()}
    merge_samples(out_dir, task.name, records.values())
    headline = task.metrics[0]
    if metrics[headline]["n"] == 0 and task.stand_in is not None:
        headline = task.stand_in
    entry: dict[str, Any] = {
        "title": task.title,
        "dataset": work.own_data or task.dataset,
        "own_data": work.own_data is not None,
        "metric": headline,
        **({} if headline == task.metrics[0] else {"instead_of": task.metrics[0]}),
        **metrics[headline],
        "metrics": metrics,
        "generation": work.generation,
        "published_samples": None if work.own_data else task.size,
        "answered": len(samples),
        "missing_samples": work.missing_samples,
        "unreadable_samples": len(work.samples) - len(samples),
    }
    if task.judge is not None:
        entry["judge"] = _judge_entry(judge, verdicts)
    return entry


def write_results(
    out_dir: Path, tasks: dict[str, dict[str, Any]], not_run: dict[str, str] | None = None
) -> dict[str, Any]:
    """Writes `results.json`: the run's settings, and the entries of `tasks` beside those that it already held.

    Args:
        not_run: task -> why it was left out; tasks that an earlier run has scored are not among them.

    Returns its content.
    """
    path = out_dir / RESULTS_FILE
    settings = json.loads((out_dir / SETTINGS_FILE).read_text(encoding="utf-8"))
    facts = out_dir / FACTS_FILE
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tasks": {}}
    entries = dict(sorted({**earlier["tasks"], **tasks}.items()))
    left_out = {**earlier.get("not_run", {}), **(not_run or {})}
    results = {
        **{name: value for name, value in settings.items() if name != "tasks"},
        "facts": json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {},
        "tasks": entries,
        "not_run": {name: reason for name, reason in left_out.items() if name not in entries},
    }
    replace_file(path, json.dumps(results, indent=2, allow_nan=False) + "\n")
    return results


def _score_metrics(
    names: Sequence[str],
    samples: Sequence[EvalSample],
    hypotheses: Sequence[str],
    verdicts: list[Verdict | None] | None,
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, float]]]]:
    """Each metric's entry, and its statistics sample by sample."""
    entries: dict[str, dict[str, Any]] = {}
    statistics: dict[str, list[dict[str, float]]] = {}
    for name in names:
        metric: Any = METRICS[name]
        scored = len(samples)
        try:
            if not getattr(metric, "judged", False):
                values = metric.sample_statistics(samples, hypotheses)
            elif verdicts is None:
                raise MetricUnavailable(NO_JUDGE)
            else:
                values = metric.verdict_statistics([verdict and verdict.value for verdict in verdicts])
                scored = _judged(verdicts)
        except MetricUnavailable as error:
            entries[name] = {"value": None, "ci95": None, "n": 0, "reason": f"not computed: {error}"}
            continue
        statistics[name] = values
        entries[name] = _metric_entry(metric, values, scored)
    return entries, statistics


def _metric_entry(metric: Any, values: list[dict[str, float]], scored: int) -> dict[str, Any]:
    value = metric.aggregate(values)
    if not math.isfinite(value):
        return {"value": None, "ci95": None, "n": scored, "reason": "not computed: no sample could be scored"}
    low, high = confidence_interval(metric, values)
    return {"value": value, "ci95": [low, high], "n": scored, "higher_is_better": metric.higher_is_better}


def _scored(sample: EvalSample, hypothesis: str, verdict: Verdict | None) -> Record:
    """What the log of samples says beside the raw answer."""
    record: Record = {
        "question": sample.question,
        "references": sample.references,
        "answer": hypothesis,
        "media": sample.media,
    }
    return record if verdict is None else {**record, "verdict": asdict(verdict)}


def _judge_entry(judge: Judge | None, verdicts: list[Verdict | None] | None) -> dict[str, Any] | None:
    if judge is None or verdicts is None:
        return None
    due = sum(verdict is not None for verdict in verdicts)
    return {"name": judge.name, "judged": _judged(verdicts), "failed": due - _judged(verdicts)}


def _judged(verdicts: list[Verdict | None]) -> int:
    return sum(verdict is not None and verdict.value is not None for verdict in verdicts)
