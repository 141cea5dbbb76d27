# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Joins samples about the same media to one with several questions: the media are read once for all of them."""

import json
import random
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from favor.processing.media_names_favor import MEDIA_KINDS

from .manifest import as_dataset
from .sample_columns import MEDIA_LISTS

SYSTEM = "system"


def join_questions(rows: Dataset, most: int, seed: int) -> Dataset:
    """Samples with up to `most` questions each, one after another in random order, and the answers between them.

    Samples belong together whose media and system turns are the same; those without media, or with media in their
    turns, stay alone. Of other columns a joined sample has those of its first question, but for its `length`.

    Args:
        rows: samples with `messages`, of whole turns of user and assistant.
        most: questions of a sample, at least 2.
        seed: of which questions go together, and of their order.
    """
    rng = random.Random(f"{seed}/questions")
    clips: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        clips.setdefault(media_name(row) or f"row {number}", []).append(number)
    joined = []
    for numbers in clips.values():
        rng.shuffle(numbers)
        joined += [joined_sample(rows, numbers[start : start + most]) for start in range(0, len(numbers), most)]
    return as_dataset(joined)


def joined_sample(rows: Dataset, numbers: Sequence[int]) -> dict[str, object]:
    """The turns of these rows in one sample; a system's turn, which all have, stands once."""
    samples = [rows[number] for number in numbers]
    if len(samples) == 1:
        return samples[0]
    turns = [turn for sample in samples for turn in sample["messages"] if turn["role"] != SYSTEM]
    first = {name: value for name, value in samples[0].items() if name != "length"}
    return {**first, "messages": [*system_turns(samples[0]), *turns]}


def media_name(row: dict[str, Any]) -> str | None:
    """What tells a sample's media and system turns from others', None without any media in its columns."""
    media = {name: row.get(name) for name in (*MEDIA_KINDS, *MEDIA_LISTS)}
    if not any(media.values()):
        return None
    return json.dumps([media, row.get("use_own_audio"), system_turns(row)], sort_keys=True)


def system_turns(row: dict[str, Any]) -> list[dict[str, str]]:
    """What a sample's conversation begins with, if anything."""
    return [turn for turn in row["messages"] if turn["role"] == SYSTEM]


__all__ = ["join_questions"]
