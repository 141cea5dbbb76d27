# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How sure a corpus value is: the 95 % interval of its bootstrap over samples."""

from collections.abc import Sequence

import numpy as np

from .metrics.metric import EvalMetric, Statistics, TotalMetric

_CHUNK = 4_000_000  # draws held in memory at a time


def confidence_interval(
    metric: EvalMetric,
    statistics: Sequence[Statistics],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of the corpus value, over samples drawn with replacement.

    It says how far the value would move with other samples of the same kind; not what other seeds, prompts or judges
    would change. Samples that share a video or a dialogue are taken as if they did not, so that the interval of such
    tasks is somewhat narrow.

    Args:
        metric: whose `aggregate` (or `from_totals`) is bootstrapped.
        statistics: numbers of each sample.
        resamples: how many draws.
        seed: of the draws; the same statistics and seed give the same interval.
        level: share of the draws between the two ends.

    Returns:
        Lower and upper end; NaN twice without any sample that was counted.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples={resamples}, level={level}: draw at least one, and take a level between 0 and 1.")
    if not statistics:
        return float("nan"), float("nan")
    values = np.array(_draw(metric, statistics, resamples, np.random.default_rng(seed)))
    values = values[np.isfinite(values)]  # a draw may hold nothing that was counted, as of failed verdicts alone
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draw(
    metric: EvalMetric, statistics: Sequence[Statistics], resamples: int, generator: np.random.Generator
) -> list[float]:
    """The corpus value of each draw."""
    count = len(statistics)
    if not isinstance(metric, TotalMetric):
        indices = (generator.integers(count, size=count) for _ in range(resamples))
        return [metric.aggregate([statistics[index] for index in row]) for row in indices]
    keys = list(statistics[0])
    table = np.array([[row[key] for key in keys] for row in statistics])  # (samples, keys)
    values: list[float] = []
    chunk = max(1, _CHUNK // count)
    for start in range(0, resamples, chunk):
        draws = min(chunk, resamples - start)
        times = generator.multinomial(count, np.full(count, 1 / count), size=draws)  # (draws, samples)
        totals = times @ table  # (draws, keys)
        values += [metric.from_totals(dict(zip(keys, row, strict=True))) for row in totals.tolist()]
    return values
