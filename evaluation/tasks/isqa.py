# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Spoken questions about images: TextVQA and GQA, spoken by a synthetic voice (see `readers.spoken_questions`)."""

from ..answers import parse_short
from ..readers import own_data, spoken_questions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "FAVOR 7B": {"aveb_isqa": 24.5},
    "FAVOR 13B": {"aveb_isqa": 32.3},
    "FAVOR 13B without diversity loss": {"aveb_isqa": 34.1},
    "FAVOR 13B without causal attention": {"aveb_isqa": 20.9},
    "FAVOR 13B without sliding window": {"aveb_isqa": 29.7},
    "FAVOR 13B without synchronisation": {"aveb_isqa": 17.2},
    "FAVOR 13B without causal, diversity, sync": {"aveb_isqa": 16.7},
}

DATA = PublishedData("TextVQA and GQA, spoken", 2000, spoken_questions.spoken_questions, "isqa.json")
ANSWERS = AnswerRules(parse_short, ("aveb_isqa", "standard_isqa"), max_new_tokens=16)
TASKS = (
    EvalTask(
        "isqa",
        "ISQA",
        DATA,
        ANSWERS,
        prompt=spoken_questions.PROMPT,
        complete=own_data.with_source,
        paper_rows=PAPER_ROWS,
    ),
)
