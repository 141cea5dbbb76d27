# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a chat asks: its media items, each with the instruction that belongs to it, and its prompt's tokens."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from favor.processing.chat_favor import check_conversation, collect_media

Chat = list[dict[str, Any]]
MEDIA_KINDS = ("video", "image", "audio")


@dataclass(frozen=True)
class ChatItem:
    """
    One item: pictures with or without sound, or a sound.

    Attributes:
        kind: "video", "image" or "audio".
        media: a path or the bytes of a file.
        sound: the same of a separate sound that is heard with it.
        own_sound: a video's own sound is heard.
        instruction: the text of the user turn that holds the item, for the visual Q-Former.
    """

    kind: str
    media: Any
    sound: Any
    own_sound: bool
    instruction: str

    def clip(self) -> tuple:
        """What tells this item's media, and how they are read, from any other's; whatever is asked about them."""
        return self.kind, _identity(self.media), _identity(self.sound), self.own_sound

    def processor_arguments(self) -> dict[str, Any]:
        """Those that make a `FavorProcessor` read this item alone."""
        text, arguments = f"<{self.kind}>", {f"{self.kind}s" if self.kind != "audio" else "audio": [self.media]}
        if self.sound is not None:
            text, arguments = f"{text}<audio>", {**arguments, "audio": [self.sound]}
        return {"text": text, "load_audio_from_video": self.own_sound, **arguments}


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
    for turn in turns:
        if turn["role"] != "user" and any(block["type"] != "text" for block in _blocks(turn)):
            raise ValueError(f"Only user messages can hold media, but one of role {turn['role']!r} does.")
    return turns


def chat_items(chat: Chat, processor: Any, load_audio_from_video: bool) -> list[ChatItem]:
    """The items of a checked chat, in the order of their placeholders (see docs/architecture.md)."""
    return [item for turn in chat for item in _items_of_turn(turn, processor, load_audio_from_video)]


def text_length(chat: Chat) -> int:
    """Characters of a checked chat."""
    return sum(len(str(block.get("text", ""))) for turn in chat for block in _blocks(turn))


def prompt_ids(chat: Chat, processor: Any, query_tokens: Sequence[int]) -> list[int]:
    """Token ids of the prompt; what a user wrote is text, whatever control tokens it looks like.

    Args:
        chat: a checked one.
        processor: the `FavorProcessor`.
        query_tokens: of each item.
    """
    tokenized = processor.tokenizer.apply_chat_template(
        [{**turn, "content": _without_sources(turn)} for turn in chat],
        chat_template=processor.chat_template,
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        sanitize_control_tokens=True,
    )
    counts = iter(query_tokens)
    pictures = (processor.video_token_id, processor.image_token_id)
    ids: list[int] = []
    previous = None
    for token in tokenized["input_ids"]:
        if token in pictures or (token == processor.audio_token_id and previous not in pictures):
            ids += [processor.video_token_id] * next(counts)
        elif token != processor.audio_token_id:  # <audio> after a picture is part of its item
            ids.append(token)
        previous = token
    return ids


def _items_of_turn(turn: dict, processor: Any, load_audio_from_video: bool) -> Iterator[ChatItem]:
    sources = collect_media([[turn]])
    shown = [block["type"] for block in _blocks(turn) if block["type"] in ("video", "image")]
    queues = {kind: iter(sources[kind][0]) for kind in MEDIA_KINDS}
    text = _instruction(turn, processor)
    for kind, sound in zip_longest(shown, queues["audio"]):
        if kind is None:
            yield ChatItem("audio", sound, None, False, text)
        else:
            own_sound = kind == "video" and sound is None and load_audio_from_video
            yield ChatItem(kind, next(queues[kind]), sound, own_sound, text)


def _instruction(turn: dict, processor: Any) -> str:
    """The turn's text without control tokens, as `FavorProcessor` gives it to the visual Q-Former."""
    text = " ".join(str(block["text"]) for block in _blocks(turn) if block["type"] == "text")
    placeholders = (processor.video_token, processor.image_token, processor.audio_token)
    for token in (*placeholders, *processor.tokenizer.all_special_tokens):
        text = text.replace(str(token), " ")
    return " ".join(text.split())


def _blocks(turn: dict) -> list[dict]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _without_sources(turn: dict) -> Any:
    if isinstance(turn["content"], str):
        return turn["content"]
    return [block if block["type"] == "text" else {"type": block["type"]} for block in turn["content"]]


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
