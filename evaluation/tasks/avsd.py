# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio-visual scene-aware dialogue: AVSD val."""

from ..answers import parse_text
from ..readers import dialogue
from ..task import AnswerRules, EvalTask, JudgePrompt, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"judged_accuracy": 41.4},
    "InstructBLIP 13B fine-tuned": {"judged_accuracy": 52.1},
    "Video-LLaMA 7B": {"judged_accuracy": 27.6},
    "FAVOR 13B visual-only": {"judged_accuracy": 53.3},
    "FAVOR 7B": {"judged_accuracy": 51.2},
    "FAVOR 13B": {"judged_accuracy": 54.5},
    "FAVOR 13B without diversity loss": {"judged_accuracy": 53.9},
    "FAVOR 13B without causal attention": {"judged_accuracy": 54.1},
    "FAVOR 13B without sliding window": {"judged_accuracy": 53.6},
    "FAVOR 13B without synchronisation": {"judged_accuracy": 53.4},
    "FAVOR 13B without causal, diversity, sync": {"judged_accuracy": 50.5},
}

JUDGE = JudgePrompt(
    'Given the question "{question}", is the answer "{hypothesis}" equivalent to the answer "{reference}"? '
    'Answer "Yes" if they are equivalent, and "No" if they are different.',
    reply="yes_no",
)

DATA = PublishedData(
    "AVSD val", 2000, dialogue.avsd, "avsd_textformat_subset.json", "valid_set4DSTC7-AVSD.json", "avsd_val.json"
)
ANSWERS = AnswerRules(
    parse_text,
    ("judged_accuracy", "bleu_4", "cider_d", "meteor"),
    max_new_tokens=64,
    stand_in="cider_d",
    judge=JUDGE,
)
TASKS = (EvalTask("avsd", "AVSD", DATA, ANSWERS, paper_rows=PAPER_ROWS),)
