# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Every metric has what the protocol states, and nobody asks for members that it does not state."""

import ast
import inspect
import math

import pytest

from favor.evaluation.metrics import METRICS, AnswerMetric, EvalMetric, Judged
from favor.evaluation.tasks import TASKS
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_fulfils_the_protocol(name):
    metric = METRICS[name]
    assert isinstance(metric, EvalMetric)
    assert isinstance(metric, AnswerMetric) != isinstance(metric, Judged)  # answers or verdicts, and not both
    for member, annotation in inspect.get_annotations(EvalMetric, eval_str=True).items():
        assert isinstance(getattr(metric, member), getattr(annotation, "__origin__", annotation)), member
    assert metric.name == name
    assert metric.scale in (1.0, 100.0)
    assert all(isinstance(column, str) for column in metric.columns)
    for protocol in (EvalMetric, AnswerMetric):
        for member, function in inspect.getmembers(protocol, inspect.isfunction):
            if member.startswith("_") or (isinstance(metric, Judged) and member == "sample_statistics"):
                continue
            stated, there = inspect.signature(function), inspect.signature(getattr(type(metric), member))
            assert list(there.parameters) == list(stated.parameters), member
    assert math.isnan(metric.aggregate([]))
    assert (type(metric).__doc__ or "").strip(), "the docstring is the metric's description for `evaluate`"


def test_every_headline_that_a_judge_decides_has_a_question():
    for task in TASKS.values():
        assert (task.answers.judge is not None) == any(
            isinstance(METRICS[metric], Judged) for metric in task.answers.metrics
        )


def test_no_member_is_asked_for_by_a_guess():
    for file in (REPOSITORY / "evaluation").rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        assert not names & {"getattr", "hasattr"}, f"{file}: state the member in the protocol, and call it"
