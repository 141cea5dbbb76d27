# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Video captions of picture and sound: VALOR-32k."""

from ..answers import parse_text
from ..readers import captions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "VALOR-base fine-tuned": {"meteor": 14.8, "cider_d": 55.7},
    "Video-LLaMA 7B zero-shot": {"meteor": 10.7, "cider_d": 1.2},
    "Video-LLaMA 7B fine-tuned on 10 %": {"meteor": 10.9, "cider_d": 21.3},
    "FAVOR 7B zero-shot": {"meteor": 8.6, "cider_d": 13.4},
    "FAVOR 7B fine-tuned on 10 %": {"meteor": 13.9, "cider_d": 42.6},
    "FAVOR 13B zero-shot": {"meteor": 8.8, "cider_d": 15.3},
    "FAVOR 13B fine-tuned on 10 %": {"meteor": 14.2, "cider_d": 46.9},
}

PROMPT = "Describe the video and its sound."

DATA = PublishedData(
    "VALOR-32k",
    3000,
    captions.video_captions(PROMPT),
    "VALOR-32K/desc_test.json",
    "desc_test.json",
    "test.caption_annotation.json",
)
ANSWERS = AnswerRules(parse_text, ("meteor", "cider_d", "bleu_4"), max_new_tokens=96, stand_in="cider_d")
TASKS = (EvalTask("valor", "VALOR", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
