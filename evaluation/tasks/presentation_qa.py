# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Presentation questions with five options, published with the benchmark's files but not in the paper."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import EvalTask

TASKS = (
    EvalTask(
        name="presentation_qa",
        title="Presentation QA",
        dataset="SAVEBench presentation questions",
        size=963,
        read=questions.audio_visual_choices,
        annotation="presentation_qa.json",
        complete=own_data.with_options,
        generation={"max_new_tokens": 48, "do_sample": False},
        parse=parse_short,
        metrics=("choice_accuracy", "aveb_choice", "unparsable", "position_bias"),
    ),
)
