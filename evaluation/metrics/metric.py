# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a metric is: numbers a sample, and a corpus value from the numbers of any choice of samples."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..sample import EvalSample

Statistics = dict[str, float]


class MetricUnavailable(RuntimeError):
    """What the metric needs is not on this machine; the message says what to install."""


class EvalMetric(Protocol):
    """Statistics are kept a sample, so that intervals can be had by resampling them."""

    name: str
    higher_is_better: bool

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Numbers of each sample, in the samples' order."""
        ...

    def aggregate(self, statistics: Sequence[Statistics]) -> float:
        """The corpus value; of no samples, NaN."""
        ...


class TotalMetric(ABC):
    """A metric whose corpus value depends on nothing but the totals of the statistics.

    All samples have the same keys.
    """

    name: str
    higher_is_better: bool = True

    @abstractmethod
    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Numbers of each sample, in the samples' order."""

    @abstractmethod
    def from_totals(self, totals: Mapping[str, float]) -> float:
        """The corpus value of the sums of all samples' statistics; NaN if nothing was counted."""

    def aggregate(self, statistics: Sequence[Statistics]) -> float:
        """The corpus value; of no samples, NaN. Sums are exact, so that the order of samples does not matter."""
        if not statistics:
            return math.nan
        return self.from_totals({key: math.fsum(row[key] for row in statistics) for key in statistics[0]})


class MeanScore(TotalMetric):
    """The mean of one score a sample: statistics {"score", "n": 1}."""

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
