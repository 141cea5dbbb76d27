# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sound sources in videos: VGGSS."""

from ..answers import parse_text
from ..readers import own_data, sounds
from ..task import AnswerRules, EvalTask, JudgePrompt, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"judged_accuracy": 1.1},
    "InstructBLIP 13B fine-tuned": {"judged_accuracy": 20.3},
    "Video-LLaMA 7B": {"judged_accuracy": 41.9},
    "FAVOR 13B audio-only": {"judged_accuracy": 34.7},
    "FAVOR 13B visual-only": {"judged_accuracy": 23.5},
    "FAVOR 7B": {"judged_accuracy": 50.5},
    "FAVOR 13B": {"judged_accuracy": 51.1},
    "FAVOR 13B without diversity loss": {"judged_accuracy": 53.5},
    "FAVOR 13B without causal attention": {"judged_accuracy": 37.1},
    "FAVOR 13B without sliding window": {"judged_accuracy": 45.3},
    "FAVOR 13B without synchronisation": {"judged_accuracy": 50.5},
    "FAVOR 13B without causal, diversity, sync": {"judged_accuracy": 38.6},
}

PROMPT = "What is the source of the sound?"

JUDGE = JudgePrompt(
    'Is the sound source mentioned in answer "{reference}" the same as the sound source mentioned in answer '
    '"{hypothesis}"? Answer "Yes" if they are the same, and "No" if they are different or one does not mention the '
    "sound source.",
    reply="yes_no",
)

DATA = PublishedData("VGGSS", 850, sounds.sound_sources(PROMPT), "testdata_formatted.json", "vggss.json")
ANSWERS = AnswerRules(
    parse_text, ("judged_accuracy", "class_match"), max_new_tokens=64, stand_in="class_match", judge=JUDGE
)
TASKS = (
    EvalTask("avssd", "AVSSD", DATA, ANSWERS, prompt=PROMPT, complete=own_data.with_class, paper_rows=PAPER_ROWS),
)
