# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns whatever the pipeline was called with (keywords, dicts, chats, lists of them) into chats."""

import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

MEDIA_KEYWORDS = ("video", "image", "audio")
GIVE_SOMETHING = (
    'give text="..." and video=, image= or audio=, a dict of these, or a chat [{"role": "user", "content": [...]}]'
)

Chat = list[dict[str, Any]]


def chats_of(inputs: Any, keywords: dict[str, Any]) -> tuple[list[Chat], bool]:
    """
    All chats of a call, and whether the caller gave a list of inputs (and so expects a list of answers).

    Args:
        inputs: the positional argument: a chat, a dict, or a list of either.
        keywords: `text`, `video`, `image`, `audio` of the call; `None` where not given.

    Raises:
        ValueError: nothing given, both forms given, lists of different lengths, or an entry that is neither form.
    """
    given = {name: value for name, value in keywords.items() if value is not None}
    if inputs is None:
        return _chats_of_keywords(given)
    if given:
        raise ValueError(f"{', '.join(given)} given beside a chat or dict. Put the media and the text inside it.")
    if isinstance(inputs, (list, tuple)) and not _is_message(inputs[0] if inputs else None):
        if not inputs:
            raise ValueError(f"The list of inputs is empty; {GIVE_SOMETHING}.")
        return [chat_of(entry) for entry in inputs], True
    return [chat_of(inputs)], False


def chat_of(entry: Any) -> Chat:
    """The chat of one input: a chat as it is, or the user message made of a dict `{"video": ..., "text": ...}`."""
    messages = getattr(entry, "messages", entry)  # transformers wraps chats in its own Chat class
    if isinstance(messages, (list, tuple)) and messages and all(_is_message(message) for message in messages):
        return list(messages)
    if isinstance(entry, dict):
        unknown = sorted(set(entry) - {"text", *MEDIA_KEYWORDS})
        if unknown:
            raise ValueError(f"Unknown key {unknown[0]!r} in an input; the keys are text, video, image and audio.")
        return _user_chat(**entry)
    raise ValueError(f"An input of type {type(entry).__name__} is neither a chat nor a dict; {GIVE_SOMETHING}.")


def batches(chats: Iterable[Chat], batch_size: int) -> Iterator[list[Chat]]:
    """Runs of at most `batch_size` neighbours; chats to be continued and chats to be answered are kept apart."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}.")
    for _, run in groupby(chats, key=ends_with_assistant):
        while batch := list(islice(run, batch_size)):
            yield batch


def ends_with_assistant(chat: Chat) -> bool:
    """Whether the last message is the start of an answer, to be continued rather than followed by a new one."""
    return chat[-1]["role"] == "assistant"


def with_answer(chat: Chat, answer: str) -> Chat:
    """The chat with the answer appended: as a new message, or at the end of the one that it continues."""
    if not ends_with_assistant(chat):
        return [*chat, {"role": "assistant", "content": answer}]
    last = chat[-1]
    if isinstance(last["content"], str):
        return [*chat[:-1], {**last, "content": last["content"] + answer}]
    return [*chat[:-1], {**last, "content": [*last["content"], {"type": "text", "text": answer}]}]


def _chats_of_keywords(given: dict[str, Any]) -> tuple[list[Chat], bool]:
    lengths = {name: len(value) for name, value in given.items() if _is_list_of_inputs(value)}
    if not given:
        raise ValueError(f"Nothing to answer; {GIVE_SOMETHING}.")
    if not lengths:
        return [_user_chat(**given)], False
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"The lists must have the same length, at least 1; {counts}.")
    rows = range(next(iter(lengths.values())))
    return [_user_chat(**{n: v[row] if n in lengths else v for n, v in given.items()}) for row in rows], True


def _user_chat(text: str | None = None, **media: Any) -> Chat:
    if not isinstance(text, str) or not text.strip():
        what = "missing" if text is None else "empty" if isinstance(text, str) else f"of type {type(text).__name__}"
        raise ValueError(f'The text is {what}; give the question as text="...".')
    blocks = [_media_block(kind, media[kind]) for kind in MEDIA_KEYWORDS if media.get(kind) is not None]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]


def _media_block(kind: str, value: Any) -> dict[str, Any]:
    if isinstance(value, (str, os.PathLike)):
        return {"type": kind, "path": os.fspath(value)}
    return {"type": kind, kind: value}


def _is_list_of_inputs(value: Any) -> bool:
    """A list of pictures (PIL, or arrays of three dimensions) is one clip; any other list has one entry an input."""
    if not isinstance(value, (list, tuple)):
        return False
    is_clip = bool(value) and all(hasattr(item, "getbands") or getattr(item, "ndim", 0) == 3 for item in value)
    return not is_clip


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value
