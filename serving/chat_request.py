# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The body of POST /v1/chat/completions: checked, and turned into a chat and settings of the engine.

What this server cannot do is refused, not ignored: an answer that leaves out what was asked for is a wrong one.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import jiter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .generation_settings import LOWEST_TEMPERATURE, GenerationSettings
from .media_access import MediaAccess, sent_bytes
from .request_errors import RequestError

MAX_VALUES = 1 << 15  # of a body's JSON, strings that hold a whole file included
MAX_MESSAGES = 1024
MAX_BLOCKS = 1024  # of all messages


class Strict(BaseModel):
    """A mapping without unknown keys, whose values are of the types that they are said to be."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Address(Strict):
    """A `data:` URL, a file:// URL or a path; `detail`, which chooses a picture size elsewhere, changes nothing."""

    url: str = Field(min_length=1)
    detail: str | None = None


class Sound(Strict):
    """Base64 of a sound file; its content tells the format."""

    data: str = Field(min_length=1)
    format: str = Field("wav", pattern="^[a-zA-Z0-9_-]+$")


class TextPart(Strict):
    """Text."""

    type: Literal["text"]
    text: str

    def block(self, access: MediaAccess) -> dict[str, Any]:
        """The part as the engine takes it; this and the others raise `RequestError`."""
        return {"type": "text", "text": self.text}


class ImagePart(Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: Address

    def block(self, access: MediaAccess) -> dict[str, Any]:
        """The picture."""
        return _media("image", access.source(self.image_url.url))


class VideoPart(Strict):
    """A video, heard as well as seen."""

    type: Literal["video_url"]
    video_url: Address

    def block(self, access: MediaAccess) -> dict[str, Any]:
        """The video."""
        return _media("video", access.source(self.video_url.url))


class AudioPart(Strict):
    """A sound, by its address."""

    type: Literal["audio_url"]
    audio_url: Address

    def block(self, access: MediaAccess) -> dict[str, Any]:
        """The sound."""
        return _media("audio", access.source(self.audio_url.url))


class InputAudioPart(Strict):
    """A sound, as OpenAI's clients send it."""

    type: Literal["input_audio"]
    input_audio: Sound

    def block(self, access: MediaAccess) -> dict[str, Any]:
        """The sound."""
        return _media("audio", sent_bytes(self.input_audio.data))


Part = Annotated[TextPart | ImagePart | VideoPart | AudioPart | InputAudioPart, Field(discriminator="type")]


class Message(Strict):
    """One turn. The media of one turn belong together: its first sound is heard with its first picture or video."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(max_length=MAX_BLOCKS, fail_fast=True)]
    name: str | None = None


class StreamOptions(Strict):
    """What a stream brings beside the answer."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(BaseModel):
    """Only plain text is made."""

    type: Literal["text"]


class ChatRequest(Strict):
    """OpenAI's request, as far as this model can do it, and `load_audio_from_video`."""

    model: str | None = None
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    load_audio_from_video: bool = True
    # Only with the values that change nothing.
    n: Literal[1] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    tools: Annotated[list, Field(max_length=0)] | None = None
    tool_choice: Literal["none"] | None = None
    # Of no consequence for the answer.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None

    def settings(self, max_tokens: int, default_tokens: int) -> GenerationSettings:
        """How to generate; temperature 0, or nearly, is without chance, and no bound is the model's `default_tokens`.

        Raises `RequestError` if more tokens are asked for than `max_tokens`.
        """
        wanted = self.max_completion_tokens or self.max_tokens
        if wanted is not None and wanted > max_tokens:
            raise RequestError(
                400, f"max_tokens is {wanted}; this server's bound is {max_tokens}.", param="max_completion_tokens"
            )
        if wanted is None and default_tokens > max_tokens:
            wanted = max_tokens
        sampled = None
        if self.temperature is not None or self.top_p is not None:
            sampled = self.temperature is None or self.temperature >= LOWEST_TEMPERATURE
        return GenerationSettings(
            max_new_tokens=wanted,
            do_sample=sampled,
            temperature=self.temperature if sampled else None,
            top_p=self.top_p if sampled else None,
            seed=self.seed if sampled else None,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
        )

    def chat(self, access: MediaAccess) -> list[dict[str, Any]]:
        """The messages as the engine takes them, media as bytes or as paths inside the media folder.

        Raises `RequestError`.
        """
        turns = []
        while self.messages:  # taken out, so that no file is held twice
            message = self.messages.pop(0)
            content = message.content
            parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content[::-1]
            message.content = ""
            del content
            blocks = []
            while parts:
                blocks.append(parts.pop().block(access))
            turns.append({"role": "system" if message.role == "developer" else message.role, "content": blocks})
        return turns


def parse_chat_request(body: bytes) -> ChatRequest:
    """Reads and checks the body of a request.

    Raises:
        RequestError: with the place in the body and what is wrong there.
    """
    try:
        # Not by pydantic alone, which takes the last of two equal keys.
        request = ChatRequest.model_validate(jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        first = found[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = "is unknown, or not supported" if first["type"] == "extra_forbidden" else first["msg"]
        raise RequestError(400, f"{place or 'body'}: {reason}", param=place or None) from None
    except ValueError as error:
        raise RequestError(400, f"body: invalid JSON: {error}") from None
    blocks = sum(1 if isinstance(message.content, str) else len(message.content) for message in request.messages)
    if blocks > MAX_BLOCKS:
        raise RequestError(400, f"messages: hold {blocks} blocks; the bound is {MAX_BLOCKS}.", param="messages")
    return request


def _media(kind: str, source: Path | bytes) -> dict[str, Any]:
    return {"type": kind, "bytes" if isinstance(source, bytes) else "path": source}
