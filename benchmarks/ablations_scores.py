# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Results of the ablation study: means over seeds and differences to the full model, with their 95 % intervals."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import t as student_t

from favor.evaluation.report.tables import scale_of
from favor.evaluation.tasks import TASKS

FULL = "full"
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with the half width of its interval; None where a single seed gives none."""

    mean: float
    half_width: float | None
    count: int

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval lies on one side of zero, else 0."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return 0
        return 1 if self.mean > 0 else -1


class Study:
    """
    The scores of raw.json in the units of the paper (percent, CIDEr times 100).

    Attributes:
        raw: the file's content.
        variants, tasks: those that have scores, variants in the study's order and tasks in the benchmark's.
        metrics: task -> metric.
        higher_is_better: task -> whether it is.

    Raises `ValueError` if a task was scored by different metrics, for example because Java came in between.
    """

    def __init__(self, path: Path):
        self.raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.scores: list[dict[str, Any]] = self.raw["scores"]
        if not any(score["variant"] == FULL for score in self.scores):
            raise ValueError(f"{path} has no scores of the variant {FULL!r}, with which all others are compared.")
        self.variants = list(dict.fromkeys(score["variant"] for score in self.scores))
        known = {score["task"] for score in self.scores}
        self.tasks = [name for name in TASKS if name in known]
        self.metrics: dict[str, str] = {}
        self.higher_is_better: dict[str, bool] = {}
        for score in self.scores:
            metric = self.metrics.setdefault(score["task"], score["metric"])
            if metric != score["metric"]:
                raise ValueError(f"{path}: {score['task']} was scored by {metric} and by {score['metric']}.")
            self.higher_is_better[score["task"]] = score["higher_is_better"]

    def entries(self, variant: str, task: str) -> list[dict[str, Any]]:
        """The scores of a variant in a task, one per seed."""
        return [score for score in self.scores if score["variant"] == variant and score["task"] == task]

    def values(self, variant: str, task: str, quantity: str = "value") -> list[float]:
        """A score, or the `mean_similarity` of the queries, for each seed."""
        scale = scale_of(self.metrics[task]) if quantity == "value" and task in self.metrics else 1.0
        found = [entry[quantity] for entry in self.entries(variant, task)]
        return [value * scale for value in found if value is not None]

    def mean(self, variant: str, task: str, quantity: str = "value") -> Estimate | None:
        values = self.values(variant, task, quantity)
        return mean_interval(values) if values else None

    def gain(self, variant: str, task: str, quantity: str = "value") -> Estimate | None:
        """How much better than the full model: minus is worse, also where a lower score is better.

        Of similarities it is the plain difference.
        """
        ours, full = self.values(variant, task, quantity), self.values(FULL, task, quantity)
        if variant == FULL or not ours or not full:
            return None
        turned = -1 if quantity == "value" and not self.higher_is_better[task] else 1
        return difference([turned * value for value in ours], [turned * value for value in full])

    def question_half_width(self, variant: str, task: str) -> float:
        """Mean half width of the runs' bootstrap intervals over questions."""
        scale = scale_of(self.metrics[task])
        intervals = [entry["ci95"] for entry in self.entries(variant, task) if entry["ci95"] is not None]
        return scale * statistics.fmean((high - low) / 2 for low, high in intervals) if intervals else 0.0

    def fact(self, variant: str, name: str) -> Any:
        """What the model says of itself: `window_frames`, `num_query_tokens`, `fps`, `diversity_loss_weight`."""
        return next(score["facts"].get(name) for score in self.scores if score["variant"] == variant)

    def distinct(self, name: str) -> list[Any]:
        """The different values of an entry of the scores, sorted."""
        return sorted({score[name] for score in self.scores})


def metric_title(study: Study, task: str) -> str:
    """Task and metric, with an arrow towards better."""
    arrow = "\N{UPWARDS ARROW}" if study.higher_is_better[task] else "\N{DOWNWARDS ARROW}"
    return f"{TASKS[task].title}, {study.metrics[task]} {arrow}"


def mean_interval(values: Sequence[float]) -> Estimate:
    """Mean over seeds with its t interval."""
    count = len(values)
    if count < 2:
        return Estimate(statistics.fmean(values), None, count)
    half_width = t_quantile(count - 1) * statistics.stdev(values) / math.sqrt(count)
    return Estimate(statistics.fmean(values), half_width, count)


def difference(values: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Difference of two means over seeds with Welch's t interval, which takes no variances as equal."""
    mean, counts = statistics.fmean(values) - statistics.fmean(baseline), (len(values), len(baseline))
    if min(counts) < 2:
        return Estimate(mean, None, min(counts))
    first, second = (statistics.variance(sample) / len(sample) for sample in (values, baseline))
    if first + second == 0:
        return Estimate(mean, 0.0, min(counts))
    freedom = (first + second) ** 2 / (first**2 / (counts[0] - 1) + second**2 / (counts[1] - 1))
    return Estimate(mean, t_quantile(freedom) * math.sqrt(first + second), min(counts))


def t_quantile(freedom: float) -> float:
    """The t between whose negative and itself 95 % of Student's distribution lie."""
    return float(student_t.ppf((1 + LEVEL) / 2, freedom))
