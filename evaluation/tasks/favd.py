# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Fine-grained audible video description: FAVDBench."""

from ..answers import parse_text
from ..readers import captions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "Video-LLaMA 7B zero-shot": {"bleu_1": 20.8, "bleu_4": 2.4, "meteor": 15.0},
    "Video-LLaMA 7B fine-tuned": {"bleu_1": 39.4, "bleu_4": 6.5, "meteor": 16.5},
    "FAVOR 7B zero-shot": {"bleu_1": 24.9, "bleu_4": 2.8, "meteor": 14.8},
    "FAVOR 7B fine-tuned": {"bleu_1": 42.6, "bleu_4": 9.9, "meteor": 18.3},
    "FAVOR 13B zero-shot": {"bleu_1": 28.2, "bleu_4": 3.0, "meteor": 15.2},
    "FAVOR 13B fine-tuned": {"bleu_1": 44.2, "bleu_4": 10.9, "meteor": 19.1},
}

PROMPT = "Describe the video and its sound in detail."

DATA = PublishedData(
    "FAVDBench",
    1000,
    captions.video_captions(PROMPT),
    "FAVDBench/test.caption_coco_format.json",
    "test.caption_coco_format.json",
)
ANSWERS = AnswerRules(parse_text, ("bleu_1", "bleu_4", "meteor", "cider_d"), max_new_tokens=256)
TASKS = (EvalTask("favd", "FAVD", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
