# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Messages of vLLM's clients to the chat that `favor serve` answers, and its refusals to vLLM's."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from vllm.exceptions import VLLMValidationError

from favor.serving.chat_items import Chat
from favor.serving.chat_request import MAX_BLOCKS, MAX_MESSAGES, Message
from favor.serving.media_access import MediaAccess
from favor.serving.request_errors import RequestError


def chat_of(messages: Sequence[Mapping[str, Any]], access: MediaAccess) -> Chat:
    """The chat, media as bytes or as paths in the folder.

    Raises:
        RequestError: for what `favor serve` refuses, in the same words.
    """
    if len(messages) > MAX_MESSAGES:
        raise RequestError(400, f"messages: hold {len(messages)} messages; the bound is {MAX_MESSAGES}.")
    blocks = 0
    chat: Chat = []
    for number, given in enumerate(messages):
        message = _checked(number, given)
        parts = [] if isinstance(message.content, str) else message.content
        blocks += len(parts) or 1
        if blocks > MAX_BLOCKS:
            raise RequestError(400, f"messages: hold more than {MAX_BLOCKS} blocks.", param="messages")
        said = [{"type": "text", "text": message.content}] if isinstance(message.content, str) else []
        role = "system" if message.role == "developer" else message.role
        chat.append({"role": role, "content": [*said, *(part.block(access) for part in parts)]})
    return chat


def _checked(number: int, given: Mapping[str, Any]) -> Message:
    # Without what clients say and mean nothing by: an answer that is sent back brings it along.
    held = {name: value for name, value in given.items() if value not in (None, [], {})}
    content = held.get("content", "")
    held["content"] = content if isinstance(content, str) else [dict(block) for block in content]
    try:
        return Message.model_validate(held)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in ("messages", number, *first["loc"]))
        reason = "is unknown, or not supported" if first["type"] == "extra_forbidden" else first["msg"]
        raise RequestError(400, f"{place}: {reason}", param=place) from None


def text_of(turn: Mapping[str, Any]) -> str:
    """What a turn of a chat says, without its media."""
    return " ".join(block["text"] for block in turn["content"] if block["type"] == "text")


class Refusing:
    """Turns what is wrong with a request, as our code tells it, into the error that vLLM answers with status 400.

    Args:
        access: tells where the media folder is, which messages do not.
    """

    def __init__(self, access: MediaAccess):
        self.access = access

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RequestError):
            raise VLLMValidationError(str(error), parameter=error.error["param"]) from None
        if isinstance(error, (ValueError, OSError)):
            message = RequestError(400, self.access.without_folder(str(error))).error["message"]
            raise VLLMValidationError(message, parameter="messages") from None
