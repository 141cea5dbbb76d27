# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The studies of rewards and of preferences: what is asked, what a caption gets wrong, which pairs are tested."""

import pytest

from benchmarks.preferences import wrong_details
from benchmarks.rewards import PARTITIONS, asked_pair, held_out_pairs, interval


def test_each_of_the_four_pairs_is_rewarded_by_some_seed_and_tested_by_another():
    pairs = held_out_pairs()
    assert len(pairs) == 4
    assert {place for places in PARTITIONS for place in places} == set(range(4))
    assert all(any(place not in places for places in PARTITIONS) for place in range(4))


@pytest.mark.parametrize(
    ("question", "answer", "pair"),
    [
        ("What colour is the star?", "green", ("green", "star")),
        ("What shape is red?", "circle", ("red", "circle")),
        ("What is to the left of the star?", "red circle", ("red", "circle")),
        ("Is there a blue square?", "no", ("blue", "square")),
        ("How many shapes are there?", "two", None),
    ],
)
def test_what_a_question_is_about(question, answer, pair):
    assert asked_pair(question, answer) == pair


def test_wrong_details_of_a_caption():
    shown = {("red", "circle"), ("blue", "star")}
    assert wrong_details("a red circle above a blue star", shown) == 0
    assert wrong_details("A red circle above a green star", shown) == 2  # one named wrongly, one left out
    assert wrong_details("a red circle", shown) == 1
    assert wrong_details("", shown) == 2


def test_the_interval_holds_the_difference():
    low, high = interval([False] * 50 + [True] * 50, [True] * 80 + [False] * 20)
    assert low < 0.3 < high and high - low < 0.5
    assert interval([True] * 9, [True] * 9) == [0.0, 0.0]
