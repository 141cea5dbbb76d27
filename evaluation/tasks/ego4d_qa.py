# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Ego4d questions with five options, published with the benchmark's files but not in the paper."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import EvalTask

TASKS = (
    EvalTask(
        name="ego4d_qa",
        title="Ego4D QA",
        dataset="SAVEBench Ego4D questions",
        size=899,
        read=questions.audio_visual_choices,
        annotation="ego4d_qa.json",
        complete=own_data.with_options,
        generation={"max_new_tokens": 48, "do_sample": False},
        parse=parse_short,
        metrics=("choice_accuracy", "aveb_choice", "unparsable", "position_bias"),
    ),
)
