# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns of rows that name a prompt and the answers to it apart, as TRL's do."""

from collections.abc import Mapping
from typing import Any

from .bad_samples import BadSampleError
from .media_turns import has_media_blocks, media_turns


def origin_of(row: Mapping[str, Any]) -> str:
    """How errors name a row."""
    return row.get("origin") or "a row without origin"


def prompt_chat(row: Mapping[str, Any]) -> list[dict]:
    """The turns before an answer, with the row's media as blocks (see [`asked_turns`])."""
    return media_turns(asked_turns(row), {**row, "origin": origin_of(row)}, answered=False)


def asked_turns(row: Mapping[str, Any]) -> list[Any]:
    """The turns before an answer as the row has them.

    Of `prompt`, a string or turns; without it of `messages`, up to the last answer.

    Raises `BadSampleError` if nothing is asked.
    """
    where = origin_of(row)
    turns = row.get("prompt")
    if turns is None:
        turns = list(row.get("messages") or ())
        while turns and _role(turns[-1]) == "assistant":
            turns.pop()
    if isinstance(turns, str) and turns.strip():
        turns = [{"role": "user", "content": turns}]
    if not turns or not isinstance(turns, (list, tuple)):
        raise BadSampleError("malformed", "a row needs `prompt`, a question or turns, or `messages`.", where)
    if _role(turns[-1]) == "assistant":
        raise BadSampleError("malformed", "`prompt` ends with a turn of the assistant: nothing is asked.", where)
    return list(turns)


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


def sample_turns(sample: Mapping[str, Any]) -> Any:
    """The turns of a training sample: `messages`, or `prompt` with `completion` after it.

    Raises `BadSampleError` for a sample with both, and for a prompt or completion that cannot be read.
    """
    if sample.get("completion") is None:
        return sample.get("messages")
    where = origin_of(sample)
    if sample.get("messages") is not None:
        raise BadSampleError(
            "wrong columns", "there are both `messages` and `completion`; give one of them, with `prompt`.", where
        )
    return [*asked_turns(sample), *answer_turns(sample["completion"], "completion", where)]


def earlier_answers(sample: Mapping[str, Any]) -> int:
    """How many answers of a training sample are not learnt: those in its `prompt`; of `messages` all are."""
    if sample.get("completion") is None:
        return 0
    return sum(_role(turn) == "assistant" for turn in asked_turns(sample))


def learnt_turns(sample: Mapping[str, Any]) -> Any:
    """As [`sample_turns`], for files and mixtures, whose samples become `messages`.

    Raises `BadSampleError` for a prompt with an answer, which would be learnt in `messages`, too.
    """
    if earlier_answers(sample):
        raise BadSampleError(
            "malformed",
            "`prompt` holds an answer, and of `messages`, which the lines of files and sources become, every answer "
            "is learnt. Give `messages` if that is wanted, or the rows themselves to FavorSFTTrainer.",
            origin_of(sample),
        )
    return sample_turns(sample)


def _role(turn: object) -> object:
    return turn.get("role") if isinstance(turn, Mapping) else None
