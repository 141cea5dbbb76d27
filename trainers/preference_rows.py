# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads rows for preference and reward training: a prompt over its media, and the answers to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from datasets import Dataset
from trl.data_utils import extract_prompt

from .bad_samples import BadSampleError
from .data_mixture import SampleDataset
from .prompt_turns import answer_turns, origin_of, prompt_chat
from .sample_columns import check_sample_columns, media_kinds
from .training_checks import ENCODED_KEYS, STREAM_SAMPLES, has_media

ANSWERS = ("chosen", "rejected")
NOT_READ = ("tools", "chat_template_kwargs")  # columns that TRL hands to templates
FIRST_ROWS = 100  # looked at before training


@dataclass(frozen=True)
class Pair:
    """
    A preference over one media context.

    Args:
        prompt: turns with the media as blocks.
        chosen, rejected: turns of the assistant that may follow.
    """

    prompt: list[dict]
    chosen: list[dict]
    rejected: list[dict]


def read_pair(row: Mapping[str, Any]) -> Pair:
    """The pair of a row with `prompt`, `chosen` and `rejected`, or with two whole chats and no `prompt`.

    Each is a string (a question of the user, an answer of the assistant) or a list of turns.

    Raises `BadSampleError` for a row that cannot be read, and for two answers that are the same.
    """
    check_row(row)
    where = origin_of(row)
    missing = [name for name in ANSWERS if not row.get(name)]
    if missing:
        raise BadSampleError(
            "malformed", f"a preference needs `chosen` and `rejected`; {missing[0]!r} is missing.", where
        )
    if row.get("prompt") is None:
        row = {**row, **extract_prompt({name: list(row[name]) for name in ANSWERS})}
    pair = Pair(prompt_chat(row), *(answer_turns(row[name], name, where) for name in ANSWERS))
    if pair.chosen == pair.rejected:
        raise BadSampleError("malformed", "`chosen` and `rejected` are the same, so nothing is preferred.", where)
    return pair


def check_row(row: Mapping[str, Any]) -> None:
    """Raises `BadSampleError` for columns that would be passed over: misnamed media, and options of templates."""
    asked = {"messages": row["prompt"]} if isinstance(row.get("prompt"), list) else {}
    own = {name: value for name, value in row.items() if name not in ("prompt", *ANSWERS)}
    check_sample_columns({**own, **asked})
    given = [name for name in NOT_READ if row.get(name)]
    if given:
        raise BadSampleError(
            "wrong columns", f"column {given[0]!r} is not read: FAVOR's prompts have none; remove it.", origin_of(row)
        )


def check_rows(datasets: SampleDataset | Mapping[str, SampleDataset] | None, paired: bool) -> None:
    """Reads the first rows of a dataset, or of several by name, as training will.

    Args:
        paired: whether a row has two answers, or only a prompt.

    Raises `ValueError` as [`read_pair`] and [`prompt_chat`] do, and for data without any media.
    """
    if datasets is None:
        return
    if isinstance(datasets, Mapping) and not isinstance(datasets, Dataset):
        for part in datasets.values():
            check_rows(part, paired)
        return
    seen = False
    for number, row in enumerate(islice(datasets, FIRST_ROWS if hasattr(datasets, "__len__") else STREAM_SAMPLES)):
        row = {"origin": f"row {number}", **{name: value for name, value in row.items() if value is not None}}
        if paired:
            read_pair(row)
        else:
            check_row(row)
            prompt_chat(row)
        seen = seen or bool(media_kinds(row)) or any(row.get(name) for name in ENCODED_KEYS)
    if not seen and not has_media(datasets):
        raise ValueError(
            f"None of the rows has media: their columns are {', '.join(datasets.column_names or ['unknown'])}. Give "
            "the files in `video`, `image` or `audio`; a language model alone is trained by TRL's own trainers."
        )
