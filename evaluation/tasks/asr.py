# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Speech recognition: LibriSpeech test-clean."""

from ..answers import parse_short
from ..readers import speech
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "Whisper large-v2": {"wer": 2.9},
    "FAVOR 13B audio-only": {"wer": 2.7},
    "FAVOR 7B": {"wer": 4.1},
    "FAVOR 13B": {"wer": 3.3},
    "FAVOR 13B without diversity loss": {"wer": 3.1},
    "FAVOR 13B without causal attention": {"wer": 3.0},
    "FAVOR 13B without sliding window": {"wer": 3.3},
    "FAVOR 13B without synchronisation": {"wer": 3.0},
    "FAVOR 13B without causal, diversity, sync": {"wer": 3.1},
}

PROMPT = "Transcribe the speech into text."

DATA = PublishedData(
    "LibriSpeech test-clean", 2620, speech.librispeech(PROMPT), "LibriSpeech/test-clean", "test-clean"
)
ANSWERS = AnswerRules(parse_short, ("wer",), max_new_tokens=256)
TASKS = (EvalTask("asr", "ASR", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
