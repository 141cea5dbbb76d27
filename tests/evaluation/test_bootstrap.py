# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The bootstrap's intervals: as wide as theory says, covering as often as they claim, the same for the same seed."""

import math

import numpy as np
import pytest

from favor.evaluation.bootstrap import confidence_interval
from favor.evaluation.metrics import METRICS
from favor.evaluation.sample import EvalSample

ACCURACY = METRICS["gqa_accuracy"]


def scores(values):
    return [{"score": float(value), "n": 1.0} for value in values]


def test_intervals_of_a_share_are_as_wide_as_theory_says():
    low, high = confidence_interval(ACCURACY, scores([1] * 300 + [0] * 700), resamples=4000)
    margin = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == (pytest.approx(0.3 - margin, abs=0.004), pytest.approx(0.3 + margin, abs=0.004))


def test_intervals_cover_the_truth_as_often_as_they_claim():
    generator = np.random.default_rng(0)
    truth, covered, runs = 0.4, 0, 300
    for seed in range(runs):
        low, high = confidence_interval(ACCURACY, scores(generator.random(200) < truth), resamples=300, seed=seed)
        covered += low <= truth <= high
    assert 0.91 <= covered / runs <= 0.98  # 95 %, give or take three standard errors


def test_corpus_values_are_bootstrapped_and_not_means_of_samples():
    """A long utterance without errors and many short ones, all wrong: the ratio of sums is far from the mean ratio."""
    rows = [{"substitutions": 0.0, "deletions": 0.0, "insertions": 0.0, "words": 1000.0}]
    rows += [{"substitutions": 1.0, "deletions": 0.0, "insertions": 0.0, "words": 1.0}] * 50
    low, high = confidence_interval(METRICS["wer"], rows)
    assert low < METRICS["wer"].aggregate(rows) < 0.05 and high == 1.0  # draws without the long one have errors alone


def test_one_seed_one_interval():
    rows = scores(np.random.default_rng(1).random(50))
    assert confidence_interval(ACCURACY, rows) == confidence_interval(ACCURACY, rows)
    assert confidence_interval(ACCURACY, rows) != confidence_interval(ACCURACY, rows, seed=1)
    wide, narrow = (confidence_interval(ACCURACY, rows, level=level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_many_samples_are_drawn_in_parts(monkeypatch):
    rows = scores(np.random.default_rng(1).random(50))
    whole = confidence_interval(ACCURACY, rows)
    monkeypatch.setattr("favor.evaluation.bootstrap._CHUNK", 120)
    assert confidence_interval(ACCURACY, rows) == whole


def test_metrics_that_only_aggregate_are_bootstrapped_too():
    class Largest:
        name, higher_is_better = "largest", True

        def sample_statistics(self, samples: list[EvalSample], hypotheses: list[str]):
            raise NotImplementedError

        def aggregate(self, statistics):
            return max(row["score"] for row in statistics)

    low, high = confidence_interval(Largest(), scores(range(100)), resamples=200)
    assert 80 < low <= high == 99


def test_failed_verdicts_and_nothing_at_all():
    judged = METRICS["judged_accuracy"]
    assert confidence_interval(judged, judged.verdict_statistics([None, 1.0, None])) == (1.0, 1.0)
    for rows in ([], judged.verdict_statistics([None, None])):
        assert all(math.isnan(end) for end in confidence_interval(judged, rows))
    assert confidence_interval(ACCURACY, scores([1])) == (1.0, 1.0)
    with pytest.raises(ValueError, match="draw at least one"):
        confidence_interval(ACCURACY, scores([1]), resamples=0)
