# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the exported tasks call: a row of their JSON lines as messages, and answers as values of our metrics."""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TypedDict

from favor.processing.media_names_favor import MEDIA_KINDS

from ..json_fields import JsonObject
from ..metrics import MetricUnavailable, without_judge
from ..sample import EvalSample
from ..task import find_tasks


class Row(TypedDict, total=False):
    """A line of the exported task, and what `process_results` adds for the metrics."""

    id: str
    task: str
    sample: str
    answer: str


def sample_of(row: Row) -> EvalSample:
    """The sample that a row holds."""
    return EvalSample(**json.loads(row["sample"]))


def doc_to_messages(row: Row, lmms_eval_specific_kwargs: JsonObject | None = None) -> list[JsonObject]:
    """The chat in lmms-eval's blocks; media come first in the first user message."""
    sample = sample_of(row)
    media: list[JsonObject] = [
        {"type": kind, "url": sample.media[kind]} for kind in MEDIA_KINDS if kind in sample.media
    ]
    messages: list[JsonObject] = []
    for turn in sample.messages:
        blocks: list[JsonObject] = [{"type": "text", "text": turn["content"]}]
        if turn["role"] == "user" and media:
            blocks, media = [*media, *blocks], []
        messages.append({"role": turn["role"], "content": blocks})
    return messages


def doc_to_visual(row: Row) -> list[str]:
    """Paths of the media, for models without chats."""
    sample = sample_of(row)
    return [sample.media[kind] for kind in MEDIA_KINDS if kind in sample.media]


def doc_to_text(row: Row, lmms_eval_specific_kwargs: JsonObject | None = None) -> str:
    """The question."""
    return sample_of(row).question


def doc_to_target(row: Row) -> str:
    """The first reference."""
    return sample_of(row).references[0]


def process_results(row: Row, results: list[str]) -> dict[str, Row]:
    """For each metric the row and its answer: corpus metrics are computed from all of them together."""
    (task,) = find_tasks(row["task"])
    sample = sample_of(row)
    compared = json.dumps(asdict(task.answers.cleaned(sample)))
    answered: Row = {"sample": compared, "answer": task.answers.parse(results[0], sample)}
    return dict.fromkeys(without_judge(task.answers.metrics), answered)


def aggregation(metric: str) -> Callable[[list[Row]], float]:
    """The corpus value of a metric over the answered rows; NaN if this machine lacks what it needs."""

    computed = without_judge([metric])[metric]

    def aggregate(rows: list[Row]) -> float:
        samples = [sample_of(row) for row in rows]
        try:
            statistics = computed.sample_statistics(samples, [row["answer"] for row in rows])
        except MetricUnavailable as error:  # the other metrics of the run are not lost for it
            logging.getLogger(__name__).warning("%s", error)
            return math.nan
        return computed.aggregate(statistics)

    return aggregate
