# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Two tasks and a metric that tests run without a data set: exact answers, and answers that a judge compares."""

import json
from pathlib import Path

from favor.evaluation.metrics import MetricUnavailable
from favor.evaluation.sample import EvalSample
from favor.evaluation.task import AnswerRules, EvalTask, JudgePrompt, PublishedData


class ExactAnswer:
    """Share of answers equal to a reference. It fulfils the protocol without a base class."""

    name = "toy_exact"
    higher_is_better = True
    scale = 100.0
    columns: tuple[str, ...] = ()

    def sample_statistics(self, samples, hypotheses):
        return [
            {"correct": float(hypothesis in sample.references), "samples": 1.0}
            for sample, hypothesis in zip(samples, hypotheses, strict=True)
        ]

    def aggregate(self, statistics):
        samples = sum(values["samples"] for values in statistics)
        return sum(values["correct"] for values in statistics) / samples if samples else float("nan")


class UnavailableMetric(ExactAnswer):
    """A metric whose programs are not on this machine."""

    name = "toy_unavailable"

    def sample_statistics(self, samples, hypotheses):
        raise MetricUnavailable("METEOR needs Java")


def read_toy(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Lines {"id", "question", "answer", "video" | "image" | "audio"}."""
    root = media_root or path.parent
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        EvalSample(
            id=entry["id"],
            messages=[{"role": "user", "content": entry["question"]}],
            media={kind: str(root / entry[kind]) for kind in ("video", "image", "audio") if kind in entry},
            references=[entry["answer"]],
        )
        for entry in entries
    ]


def toy_task(name: str = "toy", **changes) -> EvalTask:
    """A task; `changes` are of its rules for answers, or of itself."""
    rules = {
        "parse": lambda raw, sample: raw.strip().rstrip("."),
        "metrics": ("toy_exact", "toy_unavailable"),
        "max_new_tokens": 8,
    }
    rules |= {field: changes.pop(field) for field in AnswerRules.__dataclass_fields__ if field in changes}
    values = {
        "name": name,
        "title": name.upper(),
        "data": PublishedData("Toy", 100, read_toy, "toy_questions.jsonl"),
        "answers": AnswerRules(**rules),
        "paper_rows": {"FAVOR 13B": {"toy_exact": 50.0}},
    }
    return EvalTask(**{**values, **changes})


JUDGE_PROMPT = JudgePrompt('Is "{hypothesis}" the same as "{reference}"?', reply="yes_no")
