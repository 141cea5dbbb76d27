# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What judges' verdicts add up to; a verdict that failed is neither right nor wrong, and does not count."""

import math
from collections.abc import Mapping, Sequence

from .metric import PERCENT, Statistics, TotalMetric


class Judged(TotalMetric):
    """Mean of the verdicts: share of "Yes" (0 to 1), or mean score (0 to 5). `key` is its name in the statistics."""

    def __init__(self, name: str, key: str, scale: float = PERCENT):
        self.name = name
        self.key = key
        self.scale = scale

    def verdict_statistics(self, verdicts: Sequence[float | None]) -> list[Statistics]:
        """Statistics of verdicts, in their order; None is a verdict that could not be had."""
        return [
            {"judged": 0.0, self.key: 0.0} if verdict is None else {"judged": 1.0, self.key: float(verdict)}
            for verdict in verdicts
        ]

    def from_totals(self, totals: Mapping[str, float]) -> float:
        return totals[self.key] / totals["judged"] if totals["judged"] else math.nan
