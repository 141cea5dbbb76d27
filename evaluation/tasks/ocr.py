# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reading in images: TextVQA."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"aveb_ocr": 36.5},
    "InstructBLIP 13B fine-tuned": {"aveb_ocr": 36.7},
    "Video-LLaMA 7B": {"aveb_ocr": 16.4},
    "FAVOR 13B visual-only": {"aveb_ocr": 34.2},
    "FAVOR 7B": {"aveb_ocr": 34.6},
    "FAVOR 13B": {"aveb_ocr": 37.8},
    "FAVOR 13B without diversity loss": {"aveb_ocr": 37.2},
    "FAVOR 13B without causal attention": {"aveb_ocr": 34.9},
    "FAVOR 13B without sliding window": {"aveb_ocr": 34.6},
    "FAVOR 13B without synchronisation": {"aveb_ocr": 32.5},
    "FAVOR 13B without causal, diversity, sync": {"aveb_ocr": 34.7},
}

DATA = PublishedData("TextVQA", 1000, questions.textvqa, "textvqa.json", "TextVQA_0.5.1_val.json")
ANSWERS = AnswerRules(parse_short, ("aveb_ocr", "textvqa_accuracy"), max_new_tokens=16)
TASKS = (EvalTask("ocr", "OCR", DATA, ANSWERS, complete=own_data.with_ten_answers, paper_rows=PAPER_ROWS),)
