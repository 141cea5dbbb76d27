# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio captioning: AudioCaps test."""

from ..answers import parse_short
from ..readers import captions
from ..task import AnswerRules, EvalTask, PublishedData

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

DATA = PublishedData(
    "AudioCaps test", 938, captions.audiocaps(PROMPT), "audiocaps/test.csv", "AudioCaps/test.csv", "audiocaps_test.csv"
)
ANSWERS = AnswerRules(parse_short, ("spider", "spice", "cider_d", "meteor"), max_new_tokens=64, stand_in="cider_d")
TASKS = (EvalTask("ac", "AC", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
