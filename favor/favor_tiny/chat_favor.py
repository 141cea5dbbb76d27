# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chats in the message format of transformers: what a user said, and the media that its blocks name."""

from collections.abc import Sequence
from typing import Any

from .media_sources_favor import MediaError

MEDIA_KINDS = ("image", "video", "audio")


def check_conversation(conversation: Sequence, drop_empty_audio: bool = False) -> list:
    """Copies a chat, or a batch of chats, and refuses user messages that say nothing.

    Args:
        conversation (`list[dict]` or `list[list[dict]]`): messages with a string, or a list of blocks, as content.
        drop_empty_audio (`bool`): forget `{"type": "audio"}` blocks without a source in messages with a video.
            transformers puts such a block after a video whose own sound is meant, which needs no block here.

    Raises:
        ValueError: if there is no message, or a user message has neither text nor media.
    """
    if len(conversation) == 0:
        raise ValueError("The conversation is empty. Give at least one user message.")
    if not isinstance(conversation[0], dict):
        return [check_conversation(chat, drop_empty_audio) for chat in conversation]
    messages = []
    for number, message in enumerate(conversation):
        content = message.get("content") or ""
        if isinstance(content, str):
            empty = not content.strip()
        else:
            content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
            if drop_empty_audio and any(block.get("type") == "video" for block in content):
                content = [block for block in content if block != {"type": "audio"}]
            empty = all(block.get("type") == "text" and not str(block.get("text") or "").strip() for block in content)
        if message.get("role") == "user" and empty:
            raise ValueError(
                f"Message {number} (role user) is empty. Write a question, or add a video, image or sound."
            )
        messages.append({**message, "content": content})
    return messages


def collect_media(conversations: Sequence[Sequence[dict]]) -> dict[str, list[list[Any]]]:
    """Lists the sources of the media blocks, one list a chat, for each of "image", "video" and "audio"; reads nothing.

    Raises:
        ValueError: if a media block names no source.
    """
    media: dict[str, list[list[Any]]] = {kind: [] for kind in MEDIA_KINDS}
    for conversation in conversations:
        contents = [message.get("content") for message in conversation]
        blocks = [block for content in contents if isinstance(content, (list, tuple)) for block in content]
        for kind, values in media.items():
            values.append([_block_source(block) for block in blocks if block.get("type") == kind])
    return media


def _block_source(block: dict) -> Any:
    """A media block's source: the value under its type, or a path, bytes, array, base64 text or URL."""
    kind = block["type"]
    if block.get("array") is not None:
        return {key: value for key, value in block.items() if key != "type"}
    if block.get("base64") is not None:
        return f"data:;base64,{block['base64']}"
    for key in (kind, "path", "bytes", "url"):
        if block.get(key) is not None:
            return block[key]
    raise MediaError(
        f'A block of type "{kind}" must hold "path", "bytes" or "{kind}", but its keys are {sorted(block)}.'
    )
