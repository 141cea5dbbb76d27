# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Presentation questions with five options, published with the benchmark's files but not in the paper."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import AnswerRules, EvalTask, PublishedData

DATA = PublishedData("SAVEBench presentation questions", 963, questions.audio_visual_choices, "presentation_qa.json")
ANSWERS = AnswerRules(
    parse_short, ("choice_accuracy", "aveb_choice", "unparsable", "position_bias"), max_new_tokens=48
)
TASKS = (EvalTask("presentation_qa", "Presentation QA", DATA, ANSWERS, complete=own_data.with_options),)
