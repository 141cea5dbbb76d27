# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio-visual speech recognition: How2 dev5."""

from ..answers import parse_short
from ..readers import speech
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "Whisper large-v2": {"wer": 8.3},
    "FAVOR 13B audio-only": {"wer": 8.3},
    "FAVOR 7B": {"wer": 8.7},
    "FAVOR 13B": {"wer": 8.1},
    "FAVOR 13B without diversity loss": {"wer": 8.1},
    "FAVOR 13B without causal attention": {"wer": 8.0},
    "FAVOR 13B without sliding window": {"wer": 8.5},
    "FAVOR 13B without synchronisation": {"wer": 8.4},
    "FAVOR 13B without causal, diversity, sync": {"wer": 8.9},
}

PROMPT = "Transcribe the speech into text, paying attention to both audio and video."

DATA = PublishedData("How2 dev5", 500, speech.how2(PROMPT), "how2_test.json", "how2/dev5/text")
ANSWERS = AnswerRules(parse_short, ("wer",), max_new_tokens=384)
TASKS = (EvalTask("avsr", "AVSR", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
