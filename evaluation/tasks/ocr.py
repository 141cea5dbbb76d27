# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reading in images: TextVQA."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import EvalTask

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

TASKS = (
    EvalTask(
        name="ocr",
        title="OCR",
        dataset="TextVQA",
        size=1000,
        read=questions.textvqa,
        annotation="textvqa.json",
        other_annotations=("TextVQA_0.5.1_val.json",),
        complete=own_data.with_ten_answers,
        generation={"max_new_tokens": 16, "do_sample": False},
        parse=parse_short,
        metrics=("aveb_ocr", "textvqa_accuracy"),
        paper_rows=PAPER_ROWS,
    ),
)
