# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The body of POST /v1/chat/completions: checked, and turned into a chat and settings of the engine.

What this server cannot do is refused, not ignored: an answer that leaves out what was asked for is a wrong one.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from transformers.cli.serving.utils import BaseHandler, Modality

from .generation_settings import LOWEST_TEMPERATURE, GenerationSettings
from .media_access import MediaAccess
from .request_errors import RequestError


class Strict(BaseModel):
    """A mapping without unknown keys."""

    model_config = ConfigDict(extra="forbid")


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


class ImagePart(Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: Address


class VideoPart(Strict):
    """A video, heard as well as seen."""

    type: Literal["video_url"]
    video_url: Address


class AudioPart(Strict):
    """A sound, by its address."""

    type: Literal["audio_url"]
    audio_url: Address


class InputAudioPart(Strict):
    """A sound, as OpenAI's clients send it."""

    type: Literal["input_audio"]
    input_audio: Sound


Part = Annotated[TextPart | ImagePart | VideoPart | AudioPart | InputAudioPart, Field(discriminator="type")]


class Message(Strict):
    """One turn. The media of one turn belong together: its first sound is heard with its first picture or video."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
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
    messages: list[Message] = Field(min_length=1)
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
        messages = [message.model_dump(exclude={"name"}) for message in self.messages]
        for message in messages:
            if message["role"] == "developer":
                message["role"] = "system"
        turns = BaseHandler.get_processor_inputs_from_messages(messages, Modality.MULTIMODAL)
        for turn in turns:
            turn["content"] = [_opened(block, access) for block in turn["content"]]
        return turns


def parse_chat_request(body: bytes) -> ChatRequest:
    """Reads and checks the body of a request.

    Raises:
        RequestError: with the place in the body and what is wrong there.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        first = found[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = "is unknown, or not supported" if first["type"] == "extra_forbidden" else first["msg"]
        raise RequestError(400, f"{place or 'body'}: {reason}", param=place or None) from None


def _opened(block: dict[str, Any], access: MediaAccess) -> dict[str, Any]:
    if block["type"] == "text":
        return block
    source = access.source(block["url"])
    return {"type": block["type"], "bytes" if isinstance(source, bytes) else "path": source}
