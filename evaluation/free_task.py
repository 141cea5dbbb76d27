# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions of one's own, of any kind: a task beside the benchmark's, which no published result belongs to."""

from .answers import parse_short
from .readers import own_data
from .task import AnswerRules, EvalTask, PublishedData

DATA = PublishedData("questions of one's own", None, own_data.read_samples)
ANSWERS = AnswerRules(parse_short, ("qa_accuracy", "qa_contained"), max_new_tokens=64)
QA = EvalTask("qa", "QA", DATA, ANSWERS, complete=own_data.with_known_options)
