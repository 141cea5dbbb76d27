# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions about videos with five options: NExT-QA test."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import EvalTask

PAPER_ROWS = {
    "InstructBLIP 13B": {"aveb_choice": 21.0},
    "InstructBLIP 13B fine-tuned": {"aveb_choice": 24.7},
    "Video-LLaMA 7B": {"aveb_choice": 22.5},
    "FAVOR 13B visual-only": {"aveb_choice": 44.8},
    "FAVOR 7B": {"aveb_choice": 42.5},
    "FAVOR 13B": {"aveb_choice": 49.3},
    "FAVOR 13B without diversity loss": {"aveb_choice": 47.1},
    "FAVOR 13B without causal attention": {"aveb_choice": 42.8},
    "FAVOR 13B without sliding window": {"aveb_choice": 44.8},
    "FAVOR 13B without synchronisation": {"aveb_choice": 47.4},
    "FAVOR 13B without causal, diversity, sync": {"aveb_choice": 41.8},
}

TASKS = (
    EvalTask(
        name="video_qa",
        title="Video QA",
        dataset="NExT-QA test",
        size=1000,
        read=questions.nextqa,
        annotation="nextqa_test.json",
        other_annotations=("NExT-QA/test.csv", "nextqa/test.csv"),
        complete=own_data.with_options,
        generation={"max_new_tokens": 32, "do_sample": False},
        parse=parse_short,
        metrics=("aveb_choice", "choice_accuracy", "unparsable", "position_bias"),
        paper_rows=PAPER_ROWS,
    ),
)
