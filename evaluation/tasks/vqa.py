# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions about images: GQA testdev balanced."""

from ..answers import parse_short
from ..readers import questions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"aveb_vqa": 48.9},
    "InstructBLIP 13B fine-tuned": {"aveb_vqa": 45.6},
    "Video-LLaMA 7B": {"aveb_vqa": 15.1},
    "FAVOR 13B visual-only": {"aveb_vqa": 45.6},
    "FAVOR 7B": {"aveb_vqa": 45.3},
    "FAVOR 13B": {"aveb_vqa": 45.2},
    "FAVOR 13B without diversity loss": {"aveb_vqa": 46.2},
    "FAVOR 13B without causal attention": {"aveb_vqa": 45.7},
    "FAVOR 13B without sliding window": {"aveb_vqa": 44.8},
    "FAVOR 13B without synchronisation": {"aveb_vqa": 46.1},
    "FAVOR 13B without causal, diversity, sync": {"aveb_vqa": 44.8},
}

DATA = PublishedData(
    "GQA testdev balanced",
    1000,
    questions.gqa,
    "testdev_balanced_questions_with_images.json",
    "testdev_balanced_questions.json",
)
ANSWERS = AnswerRules(parse_short, ("aveb_vqa", "gqa_accuracy"), max_new_tokens=16)
TASKS = (EvalTask("vqa", "VQA", DATA, ANSWERS, paper_rows=PAPER_ROWS),)
