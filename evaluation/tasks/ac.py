# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio captioning: AudioCaps test."""

from ..answers import parse_short
from ..readers import captions
from ..task import EvalTask

PAPER_ROWS = {
    "FAVOR 13B audio-only": {"spider": 39.7},
    "FAVOR 7B": {"spider": 39.1},
    "FAVOR 13B": {"spider": 42.6},
    "FAVOR 13B without diversity loss": {"spider": 42.7},
    "FAVOR 13B without causal attention": {"spider": 44.0},
    "FAVOR 13B without sliding window": {"spider": 42.7},
    "FAVOR 13B without synchronisation": {"spider": 40.6},
    "FAVOR 13B without causal, diversity, sync": {"spider": 36.0},
}

PROMPT = "Please describe the audio."

TASKS = (
    EvalTask(
        name="ac",
        title="AC",
        dataset="AudioCaps test",
        size=938,
        read=captions.audiocaps(PROMPT),
        annotation="audiocaps/test.csv",
        other_annotations=("AudioCaps/test.csv", "audiocaps_test.csv"),
        prompt=PROMPT,
        generation={"max_new_tokens": 64, "do_sample": False},
        parse=parse_short,
        metrics=("spider", "spice", "cider_d", "meteor"),
        stand_in="cider_d",
        paper_rows=PAPER_ROWS,
    ),
)
