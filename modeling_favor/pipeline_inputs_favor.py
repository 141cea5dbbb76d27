# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns whatever the pipeline was called with (files, keywords, dicts, chats, lists of them) into chats."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, zip_longest
from numbers import Integral
from typing import Any

from torch.utils.data import Dataset

MEDIA_KEYWORDS = ("video", "image", "audio")
PLURALS = {"videos": "video", "images": "image", "audios": "audio"}  # as other pipelines and processors say
GIVE_SOMETHING = (
    'give text="..." and video=, image= or audio=, a dict of these, or a chat [{"role": "user", "content": [...]}]'
)

Chat = list[dict[str, Any]]


@dataclass(frozen=True)
class MediaJudge:
    """Tells media from lists of them, and the kind of a file, as the processor does that reads them.

    Attributes:
        processor: a `FavorProcessor`.
        on_error (*optional*): the call's own, for damaged files.
    """

    processor: Any
    on_error: str | None = None

    def is_medium(self, kind: str, value: Any) -> bool:
        """Whether a value is one medium of a kind."""
        return self.processor.is_medium(kind, value)

    def media_kind(self, source: Any) -> str:
        """The kind of a file."""
        return self.processor.media_kind(source, self.on_error)


def chats_of(inputs: Any, keywords: dict[str, Any], judge: MediaJudge) -> tuple[Iterable[Chat], bool]:
    """
    All chats of a call, and whether the caller gave several inputs (and so expects a list of answers).

    Args:
        inputs: the positional argument: a chat, a dict, a file, or a list, data set or iterator of any of these. Of
            data sets and iterators the chats are a generator, which reads as it is asked.
        keywords: `text`, `video`, `image`, `audio` of the call; `None` where not given.
        judge: tells one medium from a list of them.

    Raises:
        ValueError: nothing given, both forms given, lists of different lengths, or an entry of no known form.
    """
    given = {name: value for name, value in keywords.items() if value is not None}
    if inputs is None:
        return _chats_of_keywords(given, judge)
    media = sorted(set(given) - {"text"})
    if media and not _is_file(inputs):
        raise ValueError(f"{', '.join(media)} given beside a chat or dict. Put the media and the text inside it.")
    if _is_file(inputs):
        kind = judge.media_kind(inputs)
        if kind in given:
            raise ValueError(f"{kind} is given twice: first, and by keyword. Keep one.")
        return _chats_of_keywords({kind: inputs, **given}, judge)
    if is_stream(inputs):
        return _chats_of_rows(rows_of(inputs), given, judge), True
    if isinstance(inputs, (list, tuple)) and not _is_message(inputs[0] if inputs else None):
        if not inputs:
            raise ValueError(f"The list of inputs is empty; {GIVE_SOMETHING}.")
        text = given.get("text")
        if isinstance(text, Sequence) and not isinstance(text, str) and len(text) != len(inputs):
            raise ValueError(f"The lists must have the same length; {len(inputs)} inputs, text has {len(text)}.")
        return list(_chats_of_rows(inputs, given, judge)), True
    return [_chat_of_row(inputs, given, judge)], False


def is_stream(value: Any) -> bool:
    """Whether a value is a data set, a column of one, or an iterator: read bit by bit, it may be long."""
    if _is_file(value) or isinstance(value, (str, dict, list, tuple)) or hasattr(value, "messages"):
        return False
    return isinstance(value, (Iterator, Dataset)) or (
        # Data sets and columns of the library `datasets`, which need not be installed.
        isinstance(value, Iterable) and not hasattr(value, "ndim")
    )


def rows_of(data: Any) -> Iterator[Any]:
    """The rows of a data set, torch's without `__iter__`, too, or of anything else that can be iterated over."""
    if not isinstance(data, Dataset) or hasattr(data, "__iter__"):
        yield from data
        return
    if hasattr(data, "__len__"):
        yield from (data[number] for number in range(len(data)))
        return
    yield from iter(data)  # by `__getitem__`, until an IndexError


def _chats_of_rows(rows: Iterable[Any], given: dict[str, Any], judge: MediaJudge) -> Iterator[Chat]:
    """The chats of several inputs, each with the text given, or with its own of several."""
    if "text" not in given or isinstance(given["text"], str):
        yield from (_chat_of_row(row, given, judge) for row in rows)
        return
    nothing = object()
    for number, (row, text) in enumerate(zip_longest(rows, rows_of(given["text"]), fillvalue=nothing)):
        if row is nothing or text is nothing:
            ended, longer = ("the inputs", "text") if row is nothing else ("text", "the inputs")
            raise ValueError(f"text must have one question an input; {ended} ended after {number}, {longer} go on.")
        yield _chat_of_row(row, {"text": text}, judge)


def _chat_of_row(row: Any, given: dict[str, Any], judge: MediaJudge) -> Chat:
    """The chat of one input; a file is asked `given["text"]`, and so is a dict without a text."""
    if _is_file(row):
        return _user_chat(**{judge.media_kind(row): row}, **given)
    if not isinstance(row, (dict, list, tuple)) and not hasattr(row, "messages"):
        return chat_of(row)  # which says that it is neither
    if given and not (isinstance(row, dict) and "text" not in row and not _is_message(row)):
        raise ValueError("text given beside a chat or dict. Put the media and the text inside it.")
    return chat_of({**row, **given} if given else row)


def chat_of(entry: Any) -> Chat:
    """The chat of one input: a chat as it is, or the user message made of a dict `{"video": ..., "text": ...}`."""
    messages = getattr(entry, "messages", entry)  # transformers wraps chats in its own Chat class
    if isinstance(messages, (list, tuple)) and messages and all(_is_message(message) for message in messages):
        return list(messages)
    if _is_message(entry):
        raise ValueError('A message by itself is given; give the chat, a list of messages: [{"role": ...}].')
    if isinstance(entry, dict):
        unknown = sorted(set(entry) - {"text", *MEDIA_KEYWORDS})
        if unknown:
            raise ValueError(
                f"Unknown key {unknown[0]!r} in an input; the keys are text, video, image and audio. "
                "Of a data set, choose the columns by select_columns and rename_column."
            )
        return _user_chat(**entry)
    raise ValueError(f"An input of type {type(entry).__name__} is neither a chat nor a dict; {GIVE_SOMETHING}.")


def check_batch_size(batch_size: Any) -> None:
    """Raises `ValueError` unless so many inputs can go through the model together."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1; got {batch_size!r}.")


def batches(chats: Iterable[Chat], batch_size: int) -> Iterator[list[Chat]]:
    """Runs of at most `batch_size` neighbours; chats to be continued and chats to be answered are kept apart."""
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


def _chats_of_keywords(given: dict[str, Any], judge: MediaJudge) -> tuple[Iterable[Chat], bool]:
    if not given:
        raise ValueError(f"Nothing to answer; {GIVE_SOMETHING}.")
    lists = {name: value for name, value in given.items() if _is_list_of_inputs(name, value, judge)}
    unsized = [name for name, value in lists.items() if not hasattr(value, "__len__")]
    if unsized:
        if len(unsized) < len(lists):
            raise ValueError(
                f"{unsized[0]} is an iterator, and others are lists: nobody can tell that their lengths agree. Give "
                "an iterator of dicts instead."
            )
        rows: Iterable[tuple] = zip(*lists.values(), strict=True)
        return (_user_chat(**given | dict(zip(lists, row, strict=True))) for row in rows), True
    lengths = {name: len(value) for name, value in lists.items()}
    if not lengths:
        return [_user_chat(**given)], False
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"The lists must have the same length, at least 1; {counts}.")
    numbers = range(next(iter(lengths.values())))
    return [_user_chat(**{n: v[row] if n in lengths else v for n, v in given.items()}) for row in numbers], True


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


def _is_list_of_inputs(name: str, value: Any, judge: MediaJudge) -> bool:
    """Whether a keyword's value has one entry an input, and is not one medium (such as a list of pictures)."""
    if name == "text":
        return not isinstance(value, str) and isinstance(value, (Iterable, Dataset))
    if judge.is_medium(name, value):
        return False
    return isinstance(value, (list, tuple)) or is_stream(value)


def _is_file(value: Any) -> bool:
    """A path, bytes, a binary file object or a PIL picture."""
    return isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike)) or any(
        hasattr(value, name) for name in ("read", "getbands")
    )


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value
