# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a metric is: numbers per sample, and a corpus value from the numbers of any choice of samples."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..sample import EvalSample

Statistics = dict[str, float]
PERCENT = 100.0


class MetricUnavailable(RuntimeError):
    """What the metric needs is not on this machine; the message says what to install."""


@runtime_checkable
class EvalMetric(Protocol):
    """What every metric has. Statistics are kept per sample, so that intervals can be had by resampling them.

    Attributes:
        name: in tasks, results and tables.
        higher_is_better: whether the greater of two values is the better one.
        scale: what a value is multiplied by in tables: 100 for values from 0 to 1, 1 for scores shown as they are.
        columns: what it reads of a sample beside the references: "choices", or keys of `EvalSample.extra`.
    """

    name: str
    higher_is_better: bool
    scale: float
    columns: tuple[str, ...]

    def aggregate(self, statistics: Sequence[Statistics]) -> float:
        """The corpus value; of no samples, NaN."""
        ...


@runtime_checkable
class AnswerMetric(EvalMetric, Protocol):
    """A metric of answers; those of judges' verdicts are `judged.Judged`."""

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Numbers of each sample, in the samples' order. Raises `MetricUnavailable` for want of a program."""
        ...


class TotalMetric(ABC):
    """A metric whose corpus value depends on nothing but the totals of the statistics.

    All samples have the same keys.
    """

    name: str
    higher_is_better: bool = True
    scale: float = PERCENT
    columns: tuple[str, ...] = ()

    @abstractmethod
    def from_totals(self, totals: Mapping[str, float]) -> float:
        """The corpus value of the sums of all samples' statistics; NaN if nothing was counted."""

    def aggregate(self, statistics: Sequence[Statistics]) -> float:
        """The corpus value; of no samples, NaN. Sums are exact, so that the order of samples does not matter."""
        if not statistics:
            return math.nan
        return self.from_totals({key: math.fsum(row[key] for row in statistics) for key in statistics[0]})


class MeanScore(TotalMetric):
    """The mean of one score per sample: statistics {"score", "n": 1}."""

    def from_totals(self, totals: Mapping[str, float]) -> float:
        return totals["score"] / totals["n"] if totals["n"] else math.nan

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        return [
            {"score": self.score(sample, hypothesis), "n": 1.0}
            for sample, hypothesis in zip(samples, hypotheses, strict=True)
        ]

    def score(self, sample: EvalSample, hypothesis: str) -> float:
        """The score of one answer."""
        raise NotImplementedError
