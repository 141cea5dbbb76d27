# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chats in the message format of transformers: what a user said, and the media that its blocks name."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from .media_names_favor import MEDIA_KINDS, RATE_KEYS, SOURCE_KEYS
from .media_options_favor import MEDIA_OPTIONS
from .media_sources_favor import MediaError, check_one_source, is_media_source
from .prompts_favor import ChatInstructions, clean_instruction

# What other processors read in a block, and this one as arguments of the call.
BLOCK_KEYS = (*SOURCE_KEYS, "base64")
BLOCK_TYPES = ("text", *MEDIA_KINDS, "image_url")
CALL_OPTIONS = ("fps", *MEDIA_OPTIONS, "video_start", "video_end", "load_audio_from_video")


def check_conversation(conversation: Any, drop_empty_audio: bool = False) -> list:
    """Copies a chat, or a batch of chats; refuses user messages that say nothing, and media of anybody else.

    Args:
        conversation (`list[dict]` or `list[list[dict]]`): messages with a string, or a list of blocks, as content.
            Messages and blocks may be dataclasses or pydantic models, a chat an object with `messages`.
        drop_empty_audio (`bool`): forget `{"type": "audio"}` blocks without a source in messages with a video.
            transformers puts such a block after a video whose own sound is meant, which needs no block here.

    Raises:
        ValueError: if there is no message, a user message has neither text nor media, or another message has media.
    """
    conversation = getattr(conversation, "messages", conversation)
    if len(conversation) == 0:
        raise ValueError("The conversation is empty. Give at least one user message.")
    if isinstance(conversation[0], (list, tuple)) or hasattr(conversation[0], "messages"):
        return [check_conversation(chat, drop_empty_audio) for chat in conversation]
    messages = []
    for number, message in enumerate(map(_as_dict, conversation)):
        content = message.get("content") or ""
        if isinstance(content, str):
            empty = not content.strip()
        else:
            content = [
                {"type": "text", "text": block} if isinstance(block, str) else _as_dict(block) for block in content
            ]
            if drop_empty_audio and any(block.get("type") == "video" for block in content):
                content = [block for block in content if block != {"type": "audio"}]
            empty = all(block.get("type") == "text" and not str(block.get("text") or "").strip() for block in content)
        role = message.get("role")
        if role == "user" and empty:
            raise ValueError(
                f"Message {number} (role user) is empty. Write a question, or add a video, image or sound."
            )
        kinds = [block.get("type") for block in blocks_of({"content": content})]
        unknown = [kind for kind in kinds if kind not in BLOCK_TYPES and (role == "user" or _names_media(kind))]
        if unknown:
            raise MediaError(
                f"Content blocks must be of type text, video, image or audio, not {unknown[0]} (message {number}, "
                f"role {role}). A file or data: URL is a block's path or url."
            )
        if role != "user" and any(kind in (*MEDIA_KINDS, "image_url") for kind in kinds):
            raise ValueError(
                f"Message {number} (role {role}) holds media ({', '.join(map(str, kinds))}). Only user messages can: "
                "move them into one."
            )
        messages.append({**message, "content": content})
    return messages


def _names_media(kind: Any) -> bool:
    """Whether a block's type, of which nothing is known, names media: such as "video_url"."""
    return any(word in str(kind).lower() for word in MEDIA_KINDS)


def _as_dict(value: Any) -> dict[str, Any]:
    """A message or a block, also one that is an object, as OpenAI's client gives them: without what it leaves open.

    Raises:
        ValueError: if it is nothing of the kind.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
    elif callable(getattr(value, "model_dump", None)):
        held = value.model_dump()
    else:
        raise ValueError(
            f"The conversation holds {value!r}. Messages and blocks must be dicts, dataclasses or pydantic models."
        )
    return {name: item for name, item in held.items() if item is not None}


def blocks_of(message: Mapping[str, Any]) -> list[dict]:
    """A message's content as blocks."""
    content = message.get("content") or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def media_kind_of(block: Mapping[str, Any]) -> str | None:
    """The kind of medium that a block names; None of text."""
    kind = "image" if block.get("type") == "image_url" else block.get("type")
    return kind if kind in MEDIA_KINDS else None


def collect_media(conversations: Sequence[Sequence[dict]]) -> dict[str, list[list[Any]]]:
    """The sources of the media blocks, one list per chat, for each of "video", "image" and "audio"; reads nothing.

    Raises:
        ValueError: if a media block names no source, or holds options that are the call's.
    """
    media: dict[str, list[list[Any]]] = {kind: [] for kind in MEDIA_KINDS}
    for conversation in conversations:
        blocks = [block for message in conversation for block in blocks_of(message)]
        for kind, values in media.items():
            values.append([_block_source(block, kind) for block in blocks if media_kind_of(block) == kind])
    return media


def chat_instructions(conversations: Sequence[Sequence[dict]], special_tokens: Sequence[str]) -> ChatInstructions:
    """What is asked about each media block: the text of its message, as the visual Q-Former gets it."""
    texts: list[dict[str, list[str]]] = []
    for conversation in conversations:
        own: dict[str, list[str]] = {kind: [] for kind in MEDIA_KINDS}
        for message in conversation:
            blocks = blocks_of(message)
            kinds = [kind for kind in map(media_kind_of, blocks) if kind]
            if kinds:
                said = " ".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
                for kind in kinds:
                    own[kind].append(clean_instruction(said, special_tokens))
        texts.append(own)
    return ChatInstructions(texts)


def without_sources(message: Mapping[str, Any], text: str | None = None) -> dict[str, Any]:
    """A message as templates need it: of its media only what they are.

    Args:
        message (`dict`): of a checked chat.
        text (`str`, *optional*): stands in for every text that is not empty, so that only the media shape the prompt.
    """

    def shown(said: Any) -> Any:
        return said if text is None or not str(said).strip() else text

    content = message.get("content") or ""
    if isinstance(content, str):
        return {**message, "content": shown(content)}
    blocks = []
    for block in content:
        kind = media_kind_of(block)
        other = {**block, "text": shown(block.get("text") or "")} if block.get("type") == "text" else block
        blocks.append({"type": kind} if kind else other)
    return {**message, "content": blocks}


def _block_source(block: dict, kind: str) -> Any:
    """A media block's source: the value under its kind, or a path, bytes, array, base64 text or URL.

    An array's own rate ("sampling_rate" of a sound, "fps" of pictures, also of a list of files) comes along; a file
    tells its own.
    """
    address = block.get("image_url")
    if address is not None:
        return address.get("url") if isinstance(address, Mapping) else address
    _refuse_unknown(block, kind)
    check_one_source(block, kind)
    for key in ("array", kind, "path", "url"):
        if block.get(key) is not None and not is_media_source(block[key]):
            return _array_source(block, kind, key)
    _refuse_options(block, kind, CALL_OPTIONS)
    if block.get(RATE_KEYS.get(kind)) is not None:
        raise MediaError(f'A block of type "{kind}" holds {RATE_KEYS[kind]} beside a file, which tells its own.')
    if block.get("base64") is not None:
        return f"data:;base64,{block['base64']}"
    for key in (kind, "path", "bytes", "url"):
        if block.get(key) is not None:
            return block[key]
    raise MediaError(
        f'A block of type "{kind}" must hold "path", "bytes" or "{kind}", but its keys are {sorted(block)}.'
    )


def _array_source(block: dict, kind: str, key: str) -> Any:
    """The array of a block, with the rate that the block tells."""
    name = RATE_KEYS.get(kind)
    _refuse_options(block, kind, [option for option in CALL_OPTIONS if option != name])
    rate = block.get(name) if name else None
    value = block[key]
    inner = value.get(name) if isinstance(value, Mapping) else value[1] if isinstance(value, tuple) else None
    if rate is not None and inner is not None:
        raise MediaError(f'A block of type "{kind}" holds {name} beside media that tell theirs. Keep one.')
    if kind == "audio" and isinstance(value, tuple):  # (array, rate)
        return value
    if rate is None and not (kind == "video" and isinstance(value, (list, tuple))):
        return value  # a list within a dict is one clip; bare, it would be several
    told = {} if rate is None else {name: rate}
    return {**told, **value} if isinstance(value, Mapping) else {"array": value, **told}


def _refuse_unknown(block: Mapping[str, Any], kind: str) -> None:
    """Refuses what no media block has; blocks that `datasets` read hold None for what others have."""
    known = {"type", *BLOCK_KEYS, kind, *CALL_OPTIONS, *filter(None, [RATE_KEYS.get(kind)])}
    unknown = sorted(str(key) for key, value in block.items() if value is not None and key not in known)
    if unknown:
        raise MediaError(
            f'A block of type "{kind}" holds {", ".join(unknown)}, which is not read. Leave it out: docs/options.md '
            "lists what is."
        )


def _refuse_options(block: Mapping[str, Any], kind: str, options: Sequence[str]) -> None:
    found = [name for name in options if block.get(name) is not None]
    if found:
        raise MediaError(
            f'A block of type "{kind}" holds {", ".join(found)}, which {"is" if len(found) == 1 else "are"} read for '
            "a whole call only, not in a block: give processor_kwargs={...} (start, end, num_frames, ...) or "
            "load_audio_from_video= to the call."
        )
