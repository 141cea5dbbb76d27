# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a chat asks: its checks, the identity of its media, and its prompt's tokens."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from favor.processing import FavorProcessor
from favor.processing.chat_favor import blocks_of, check_conversation
from favor.processing.items_favor import ItemSource

Chat = list[dict[str, Any]]
LONGEST_TOKEN = 128  # characters


def item_identity(item: ItemSource) -> tuple:
    """What tells an item's media, and how they are read, from any other's; whatever is asked about them.

    Raises:
        OSError: if there is no such file.
        ValueError: if a medium is neither a path nor bytes.
    """
    return item.kind, _identity(item.media), _identity(item.sound), item.own_sound


def checked_chat(chat: Any) -> Chat:
    """A copy of a chat that waits for an answer.

    Raises:
        ValueError: for anything else than messages with a role and a content, an empty question, or a chat that does
            not end with the user's turn.
    """
    if not isinstance(chat, (list, tuple)) or not all(isinstance(turn, dict) and "role" in turn for turn in chat):
        raise ValueError('A chat is a list of messages: [{"role": "user", "content": [...]}].')
    turns = check_conversation(chat, drop_empty_audio=True)
    if turns[-1]["role"] != "user":
        raise ValueError(f"The last message must be the user's, but its role is {turns[-1]['role']!r}.")
    return turns


def text_length(chat: Chat) -> int:
    """Characters of a checked chat."""
    return sum(len(str(block.get("text", ""))) for turn in chat for block in blocks_of(turn))


def check_size(chat: Chat, positions: int) -> None:
    """Refuses a checked chat that cannot fit before the tokeniser takes minutes over it.

    Args:
        chat: a checked one.
        positions: tokens that the language model takes.

    Raises `ValueError`.
    """
    characters, bound = text_length(chat), positions * LONGEST_TOKEN
    if characters > bound:
        raise ValueError(
            f"The chat has {characters} characters; the language model takes {positions} tokens, which is never more "
            f"than {bound} characters. Write less."
        )


def check_count(count: int, what: str, positions: int) -> None:
    """Raises `ValueError` for more messages or media than there are tokens, of which each takes one at least."""
    if count > positions:
        raise ValueError(f"The chat holds {count} {what}; the language model takes {positions} tokens. Send fewer.")


def prompt_ids(chat: Chat, processor: FavorProcessor, query_tokens: Sequence[int]) -> list[int]:
    """Token ids of the prompt; what a user wrote is text, whatever control tokens it looks like.

    Args:
        chat: a checked one.
        processor: the `FavorProcessor`.
        query_tokens: of each item.
    """
    return processor.prompt_tokens(
        chat, query_tokens, add_generation_prompt=True, sanitize_control_tokens=True
    ).input_ids


def _identity(media: Any) -> tuple | None:
    """Tells one file from another, and from itself after a change: the content of bytes, else path, size and time.

    Raises:
        OSError: if there is no such file.
    """
    if media is None:
        return None
    if isinstance(media, (bytes, bytearray)):
        return "bytes", hashlib.sha256(media).digest()
    if not isinstance(media, (str, os.PathLike)):
        raise ValueError(f"Media must be a path or bytes, not {type(media).__name__}.")
    path = os.path.abspath(media)
    state = os.stat(path)
    return "file", path, state.st_size, state.st_mtime_ns, state.st_ino
