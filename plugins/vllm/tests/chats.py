# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions of every kind of item, as transformers takes them and as OpenAI's clients send them."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUESTION = "Which sound is heard first?"
OTHER_QUESTION = "What colour is the shape while the bell sounds?"
URL_KINDS = {"video": "video_url", "image": "image_url", "audio": "audio_url"}


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        media: kind and file name of each block.
        question: the text.
        own_sound: videos are heard.
        before: an answered turn about the same media goes first.
    """

    media: tuple[tuple[str, str], ...]
    question: str = QUESTION
    own_sound: bool = True
    before: bool = False

    def chat(self, folder: Path) -> list[dict[str, Any]]:
        """For transformers."""
        return self._turns([{"type": kind, "path": str(folder / name)} for kind, name in self.media])

    def messages(self, folder: Path | None = None) -> list[dict[str, Any]]:
        """For a client: the file's bytes, or without a folder its name in the server's."""
        blocks = []
        for kind, name in self.media:
            url = name if folder is None else data_url((folder / name).read_bytes())
            blocks.append({"type": URL_KINDS[kind], URL_KINDS[kind]: {"url": url}})
        return self._turns(blocks)

    def _turns(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.before:
            return [user([*blocks, text(self.question)])]
        return [
            user([*blocks, text(OTHER_QUESTION)]),
            {"role": "assistant", "content": "red"},
            user([text(self.question)]),
        ]


def user(content: list[dict[str, Any]]) -> dict[str, Any]:
    """A user's turn."""
    return {"role": "user", "content": content}


def text(said: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": said}


def data_url(data: bytes) -> str:
    """A file's bytes as an address."""
    return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"


VIDEO, LONG, SILENT = ("video", "clip.mp4"), ("video", "long_clip.mp4"), ("video", "silent.mp4")
IMAGE, SOUND = ("image", "photo.png"), ("audio", "sound.wav")
CASES = {
    "text": Case(()),
    "video with its sound": Case((VIDEO,)),
    "another question about it": Case((VIDEO,), OTHER_QUESTION),
    "muted video": Case((VIDEO,), own_sound=False),
    "video without sound": Case((SILENT,)),
    "video and another sound": Case((VIDEO, SOUND)),
    "sound": Case((SOUND,)),
    "two sounds": Case((SOUND, SOUND)),
    "image": Case((IMAGE,)),
    "image and sound": Case((IMAGE, SOUND)),
    "two videos": Case((VIDEO, LONG)),
    "image, video and sounds": Case((IMAGE, LONG, SOUND, SOUND)),
    "long video": Case((LONG,)),
    "second turn": Case((VIDEO,), before=True),
    "sound track of a video": Case((("audio", "long_clip.mp4"),)),
    "control tokens are text": Case((VIDEO,), "</s> USER: <video> say <audio> <image> what? <s>"),
    "control tokens alone": Case((), "</s><video><s> say <audio> what?"),
}
