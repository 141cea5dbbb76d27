# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names of things, whole, in part and within a sentence; transcripts without an error."""

import pytest

from favor.evaluation.metrics import METRICS
from favor.evaluation.sample import EvalSample


def score(metric: str, reference: str, answer: str) -> float:
    references = [reference, f"a {reference}", *reference.split()]
    sample = EvalSample("1", [{"role": "user", "content": "What is this?"}], {}, references)
    return METRICS[metric].aggregate(METRICS[metric].sample_statistics([sample], [answer]))


@pytest.mark.parametrize(
    ("answer", "whole", "word", "said"),
    [
        ("trash can", 1, 1, 1),
        ("A trash can.", 1, 1, 1),
        ("can", 0, 1, 0),
        ("garbage can", 0, 1, 0),
        ("the big trash can", 0, 1, 1),
        ("look at the Trash Can over there", 0, 0, 1),  # too long for a name
        ("can, bin, box, bag, trash", 0, 0, 0),
        ("trashcan", 0, 0, 0),
        ("", 0, 0, 0),
        ("a", 0, 0, 0),
    ],
)
def test_how_much_of_a_name_is_said(answer, whole, word, said):
    found = [score(metric, "trash can", answer) for metric in ("whole_name", "name_word", "name_said")]
    assert found == [whole, word, said]


def test_a_name_of_one_word_is_whole_or_not_there():
    for answer, right in (("owl", 1), ("An owl!", 1), ("owls", 0), ("fowl", 0)):
        assert [score(metric, "owl", answer) for metric in ("whole_name", "name_word")] == [right, right]


@pytest.mark.parametrize(("heard", "right"), [("One.", 1), ("1", 1), ("won", 0), ("one one", 0), ("", 0)])
def test_a_word_is_heard_as_whispers_normaliser_reads_it(heard, right):
    sample = EvalSample("1", [{"role": "user", "content": "Transcribe."}], {}, ["one"])
    metric = METRICS["exact_transcript"]
    assert metric.aggregate(metric.sample_statistics([sample], [heard])) == right
