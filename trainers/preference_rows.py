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
from .media_turns import has_media_blocks, media_turns
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


def prompt_chat(row: Mapping[str, Any]) -> list[dict]:
    """The turns before an answer, with the row's media as blocks.

    Of `prompt`, a string or turns; without it of `messages`, up to the last answer.
    """
    where = origin_of(row)
    turns = row.get("prompt")
    if turns is None:
        turns = list(row.get("messages") or ())
        while turns and isinstance(turns[-1], Mapping) and turns[-1].get("role") == "assistant":
            turns.pop()
    if isinstance(turns, str) and turns.strip():
        turns = [{"role": "user", "content": turns}]
    if not turns or isinstance(turns, str):
        raise BadSampleError("malformed", "a row needs `prompt`, a question or turns, or `messages`.", where)
    chat = media_turns(turns, {**row, "origin": where}, answered=False)
    if chat[-1]["role"] == "assistant":
        raise BadSampleError("malformed", "`prompt` ends with a turn of the assistant: nothing is asked.", where)
    return chat


def answer_turns(answer: object, name: str, where: str) -> list[dict]:
    """An answer as turns of the assistant; raises `BadSampleError` for anything else, and for media in it."""
    turns = [{"role": "assistant", "content": answer}] if isinstance(answer, str) else answer
    if has_media_blocks(turns):
        raise BadSampleError("malformed", f"`{name}` holds media; they belong into `prompt`.", where)
    asked = {"role": "user", "content": "?"}  # for the check alone: a chat has a user
    given = turns if isinstance(turns, (list, tuple)) else [turns]
    read = media_turns([asked, *given], {"origin": where}, answered=False)[1:]
    others = [turn["role"] for turn in read if turn["role"] != "assistant"]
    if others:
        raise BadSampleError(
            "malformed", f"`{name}` holds a turn of {others[0]}; it is what the assistant says.", where
        )
    if not any(turn["content"].strip() for turn in read):
        raise BadSampleError("malformed", f"`{name}` says nothing.", where)
    return read


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


def origin_of(row: Mapping[str, Any]) -> str:
    """How errors name a row."""
    return row.get("origin") or "a row without origin"
