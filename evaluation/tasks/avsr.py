# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio-visual speech recognition: How2 dev5."""

from ..answers import parse_short
from ..readers import speech
from ..task import EvalTask

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

TASKS = (
    EvalTask(
        name="avsr",
        title="AVSR",
        dataset="How2 dev5",
        size=500,
        read=speech.how2(PROMPT),
        annotation="how2_test.json",
        other_annotations=("how2/dev5/text",),
        prompt=PROMPT,
        generation={"max_new_tokens": 384, "do_sample": False},
        parse=parse_short,
        metrics=("wer",),
        paper_rows=PAPER_ROWS,
    ),
)
