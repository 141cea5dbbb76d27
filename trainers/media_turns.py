# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Puts a row's media into its turns: where blocks of the turns ask for them, or before the first user turn's text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from favor.processing.media_names_favor import MEDIA_KINDS

from .bad_samples import BadSampleError
from .chat_turns import plain_messages
from .media_values import Locate, column_media, is_one_file, media_source, of_the_hub
from .sample_columns import Sample

SOURCES = ("path", "bytes", "url", "base64", "array", "image_url", *MEDIA_KINDS)  # keys of a block that names its own


def media_turns(
    turns: object, sample: Mapping[str, Any], answered: bool = True, locate: Locate = of_the_hub
) -> list[dict]:
    """A chat in the message format of transformers, with its media as blocks.

    Args:
        turns: contents are strings or lists of blocks. A media block without a source, as `{"type": "image"}`, stands
            for the next medium of its kind in the sample's columns; without any such block, the columns' media come
            before the text of the first user turn.
        sample: its `video`, `image` and `audio`, and lists of them in `videos`, `images` and `audios`; other keys are
            not looked at, but for `origin`.
        answered: whether an assistant must say something.
        locate: see [`media_source`].

    Raises `BadSampleError` for turns that cannot be read, and where blocks and columns differ in number.
    """
    origin = sample.get("origin") or "a sample"
    columns = media_blocks(sample, locate)
    if not has_media_blocks(turns):
        return _before_the_text(plain_messages(turns, origin, answered), columns)
    given_turns = cast(Sequence[Mapping[str, Any]], turns)  # as some turn has blocks
    blocks_of_turns = [_blocks(turn) for turn in given_turns]
    if not any(block["type"] == "audio" for block in columns):
        blocks_of_turns = [_without_own_sound(blocks) for blocks in blocks_of_turns]
    texts = [[block for block in blocks if block.get("type") not in MEDIA_KINDS] for blocks in blocks_of_turns]
    said = [
        {**turn, "content": text} if isinstance(turn, Mapping) else turn
        for turn, text in zip(given_turns, texts, strict=True)
    ]
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
        content = [
            next(waiting[block["type"]]) if _is_open(block) else _given(block, locate, origin) for block in blocks
        ]
        chat.append({"role": role, "content": content if role == "user" else _text(content)})
    return chat if asked else _before_the_text(chat, columns)


def settled(turns: object, sample: Mapping[str, Any], locate: Locate = of_the_hub) -> Sample:
    """`messages` and the media columns of a sample, in one of two forms.

    One file of each kind before the text of the first user turn, however the row names them, stands in `video`,
    `image` and `audio`, with texts as contents: what transforms choose by. Any other media are blocks of `messages`.

    Arguments and errors as of [`media_turns`].
    """
    chat = media_turns(turns, sample, locate=locate)
    origin = sample.get("origin") or "a sample"
    found = [block for turn in chat for block in _mappings(turn) if block["type"] in MEDIA_KINDS]
    sources = [(block["type"], {key: held for key, held in block.items() if key != "type"}) for block in found]
    kinds = [kind for kind, _ in sources]
    first = next(turn["content"] for turn in chat if turn["role"] == "user")
    leads = all(a is b for a, b in zip(first, found, strict=False)) and len(first) > len(found)
    in_order = kinds == [kind for kind in MEDIA_KINDS if kind in kinds]
    if found and not (leads and in_order and all(is_one_file(source, kind) for kind, source in sources)):
        return {"messages": cast(Any, chat), **cast(Sample, dict.fromkeys(MEDIA_KINDS))}
    columns = dict.fromkeys(MEDIA_KINDS) | {kind: next(iter(source.values())) for kind, source in sources}
    texts = [{"role": turn["role"], "content": _said(turn)} for turn in chat]
    return {"messages": plain_messages(texts, origin), **cast(Sample, columns)}


def located_turns(turns: Any, locate: Locate, where: str) -> list[Any]:
    """Turns whose media blocks name files as `locate` finds them; those without a source stay so."""
    found = []
    for turn in turns:
        if not has_media_blocks([turn]):
            found.append(turn)
            continue
        blocks = _blocks(turn)
        found.append({**turn, "content": [b if _is_open(b) else _given(b, locate, where) for b in blocks]})
    return found


def media_blocks(sample: Mapping[str, Any], locate: Locate = of_the_hub) -> list[dict]:
    """The media of a sample's columns as blocks of a chat."""
    where = sample.get("origin") or "a sample"
    return [{"type": kind, **media_source(value, kind, locate, where)} for kind, value in column_media(sample)]


def has_media_blocks(turns: object) -> bool:
    """Whether some turn's content has a block that is a medium."""
    if not isinstance(turns, (list, tuple)):
        return False
    return any(media_kind(block) for turn in turns for block in _mappings(turn))


def media_kind(block: Mapping[str, Any]) -> str | None:
    """The kind of a media block; None of text."""
    kind = "image" if block.get("type") == "image_url" else block.get("type")
    return kind if kind in MEDIA_KINDS else None


def _mappings(turn: object) -> Iterator[Mapping[str, Any]]:
    content = turn.get("content") if isinstance(turn, Mapping) else None
    for block in content if isinstance(content, (list, tuple)) else ():
        if isinstance(block, Mapping):
            yield block


def _blocks(turn: object) -> list[dict]:
    """A turn's blocks without what is None in them: `datasets` gives every block the keys of all."""
    content = turn.get("content") if isinstance(turn, Mapping) else None
    blocks = []
    for block in [content] if isinstance(content, str) else list(content or ()):
        held = {"type": "text", "text": block} if isinstance(block, str) else block
        blocks.append({key: value for key, value in held.items() if value is not None})
        if "type" in held:
            blocks[-1]["type"] = media_kind(held) or held["type"]
    return blocks


def _without_own_sound(blocks: list[dict]) -> list[dict]:
    """transformers puts an empty block of a sound after a video whose own is meant; it stands for no other sound."""
    if not any(block.get("type") == "video" for block in blocks):
        return blocks
    return [block for block in blocks if not (block.get("type") == "audio" and _is_open(block))]


def _is_open(block: Mapping[str, Any]) -> bool:
    return block.get("type") in MEDIA_KINDS and not any(key in block for key in SOURCES)


def _given(block: Mapping[str, Any], locate: Locate, where: str) -> dict:
    """A block with its file found; of a text only the text."""
    kind = block.get("type")
    if kind not in MEDIA_KINDS:
        return {"type": "text", "text": block.get("text", "")}
    source = {key: value for key, value in block.items() if key != "type"}
    return {"type": kind, **media_source(source, kind, locate, where)}


def _text(content: Sequence[Mapping[str, Any]]) -> Any:
    """A content of texts alone as a string; with media as it is, for the processor to refuse."""
    if all(block.get("type") == "text" for block in content):
        return " ".join(block["text"].strip() for block in content).strip()
    return list(content)


def _said(turn: Mapping[str, Any]) -> Any:
    """A turn's content without its media; one text as it is."""
    texts = [block for block in _mappings(turn) if block["type"] == "text"]
    if not texts:
        return turn["content"]
    return texts[0]["text"] if len(texts) == 1 else texts


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
