# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Puts a row's media into its turns: where blocks of the turns ask for them, or before the first user turn's text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from PIL import Image

from favor.processing.media_names_favor import MEDIA_KINDS

from .bad_samples import BadSampleError
from .hub_datasets import local_file
from .manifest import plain_messages
from .sample_columns import MEDIA_LISTS

SOURCES = ("path", "bytes", "url", "base64", "array", "image_url", *MEDIA_KINDS)  # keys of a block that names its own


def media_turns(turns: object, sample: Mapping[str, Any], answered: bool = True) -> list[dict]:
    """A chat in the message format of transformers, with its media as blocks.

    Args:
        turns: contents are strings or lists of blocks. A media block without a source, as `{"type": "image"}`, stands
            for the next medium of its kind in the sample's columns; without any such block, the columns' media come
            before the text of the first user turn.
        sample: its `video`, `image` and `audio`, and lists of them in `videos`, `images` and `audios`; other keys are
            not looked at, but for `origin`.
        answered: whether an assistant must say something.

    Raises `BadSampleError` for turns that cannot be read, and where blocks and columns differ in number.
    """
    origin = sample.get("origin") or "a sample"
    columns = media_blocks(sample)
    if not has_media_blocks(turns):
        return _before_the_text(plain_messages(turns, origin, answered), columns)
    given_turns = cast(Sequence[Mapping[str, Any]], turns)  # as some turn has blocks
    blocks_of_turns = [_blocks(turn) for turn in given_turns]
    texts = [[block for block in blocks if block.get("type") == "text"] for blocks in blocks_of_turns]
    said = [{**turn, "content": texts[number]} for number, turn in enumerate(given_turns)]
    roles = [turn["role"] for turn in plain_messages(said, origin, answered)]
    asked = [block["type"] for blocks in blocks_of_turns for block in blocks if _is_open(block)]
    given = [block["type"] for block in columns]
    if asked and sorted(asked) != sorted(given):
        raise BadSampleError(
            "malformed",
            f"the turns have blocks for {_counted(asked)}, but the columns hold {_counted(given)}; give one medium "
            "for each block, in the columns or as the block's own path.",
            origin,
        )
    waiting = {kind: iter([block for block in columns if block["type"] == kind]) for kind in MEDIA_KINDS}
    chat: list[dict] = []
    for role, blocks in zip(roles, blocks_of_turns, strict=True):
        content = [next(waiting[block["type"]]) if _is_open(block) else _given(block) for block in blocks]
        chat.append({"role": role, "content": content if role == "user" else _text(content)})
    return chat if asked else _before_the_text(chat, columns)


def media_blocks(sample: Mapping[str, Any]) -> list[dict]:
    """The media of a sample's columns as blocks of a chat."""
    found = []
    for plural, kind in MEDIA_LISTS.items():
        values = [sample[kind]] if sample.get(kind) is not None else []
        for value in [*values, *(sample.get(plural) or [])]:
            found.append({"type": kind, **media_source(value, kind)})
    return found


def media_source(value: Any, kind: str) -> dict[str, Any]:
    """A path, bytes, `{"path", "bytes"}` or a PIL picture as the fields of a chat block; bytes win over a path.

    The path beside bytes is where they once came from, and need not exist. A file of the Hub is fetched.
    """
    if isinstance(value, Mapping):
        return {kind: value["bytes"]} if value.get("bytes") is not None else {"path": local_file(value.get("path"))}
    return {kind: value} if isinstance(value, (bytes, bytearray, Image.Image)) else {"path": local_file(value)}


def has_media_blocks(turns: object) -> bool:
    """Whether some turn's content has a block that is a medium."""
    if not isinstance(turns, (list, tuple)):
        return False
    return any(block.get("type") in MEDIA_KINDS for turn in turns for block in _mappings(turn))


def _mappings(turn: object) -> Iterator[Mapping[str, Any]]:
    content = turn.get("content") if isinstance(turn, Mapping) else None
    for block in content if isinstance(content, (list, tuple)) else ():
        if isinstance(block, Mapping):
            yield block


def _blocks(turn: Mapping[str, Any]) -> list[dict]:
    """A turn's blocks without what is None in them: `datasets` gives every block the keys of all."""
    content = turn.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
    return [{key: value for key, value in block.items() if value is not None} for block in blocks]


def _is_open(block: Mapping[str, Any]) -> bool:
    return block.get("type") in MEDIA_KINDS and not any(key in block for key in SOURCES)


def _given(block: Mapping[str, Any]) -> dict:
    """A block as it stands; of a text only the text."""
    return {"type": "text", "text": block.get("text", "")} if block.get("type") == "text" else dict(block)


def _text(content: Sequence[Mapping[str, Any]]) -> Any:
    """A content of texts alone as a string; with media as it is, for the processor to refuse."""
    if all(block.get("type") == "text" for block in content):
        return " ".join(block["text"].strip() for block in content).strip()
    return list(content)


def _before_the_text(turns: Sequence[Mapping[str, Any]], blocks: list[dict]) -> list[dict]:
    chat: list[dict] = []
    placed = not blocks
    for turn in turns:
        if turn["role"] == "user" and not placed:
            content = turn["content"]
            said = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
            chat.append({"role": "user", "content": [*blocks, *said]})
            placed = True
        else:
            chat.append({**turn})
    return chat


def _counted(kinds: Sequence[str]) -> str:
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in MEDIA_KINDS if kind in kinds) or "none"
