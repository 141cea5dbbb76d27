# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`vllm serve --middleware favor_vllm.http_guard.RequestGuard`: bodies within bounds, and no field passed over.

vLLM itself reads bodies of any size, parses any number of values, ignores fields that it does not know, and has paths
by which a client hands tensors to the engine.
"""

import json
import os
from typing import Any

import jiter
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

from favor.serving.request_body import read_json_body
from favor.serving.request_errors import RequestError

from .settings import MEBIBYTE, OWN_SOUND

MAX_BODY_VARIABLE = "FAVOR_MAX_BODY_MB"
CHATS = "/v1/chat/completions"
# Of vLLM's paths those whose text or chat goes through our renderer, and those that the operator switches on.
PATHS = (
    CHATS,
    "/v1/completions",
    "/tokenize",
    "/detokenize",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
)
LENGTHS = (b"content-length", b"transfer-encoding")  # headers that tell of a body


class RequestGuard:
    """
    Looks at every POST before vLLM does.

    The bound of a body is 64 MB, or what the variable FAVOR_MAX_BODY_MB says.

    Raises `ValueError` if that is no positive number.
    """

    def __init__(self, app: ASGIApp):
        self.app = app
        given = os.environ.get(MAX_BODY_VARIABLE, "64")
        try:
            self.max_body_bytes = int(float(given) * MEBIBYTE)
        except (ValueError, OverflowError):
            self.max_body_bytes = 0
        if self.max_body_bytes <= 0:
            raise ValueError(f"{MAX_BODY_VARIABLE} must be a positive number; got {given!r}.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            if scope["path"] not in PATHS:
                raise RequestError(404, f"{scope['path']} is not served for FAVOR.", "not_found_error")
            body = await read_json_body(Request(scope, receive), self.max_body_bytes)
            if scope["path"] == CHATS:
                body = checked_chat_body(body)
        except RequestError as error:
            await JSONResponse(error.body(), error.status, error.headers)(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in LENGTHS]
        headers.append((b"content-length", str(len(body)).encode()))
        await self.app({**scope, "headers": headers}, _Replayed(body, receive), send)


class _Replayed:
    """Gives a body that was read once more, and then what comes after it: that the client has gone."""

    def __init__(self, body: bytes, receive: Receive):
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def checked_chat_body(body: bytes) -> bytes:
    """The body of a chat as vLLM takes it; `load_audio_from_video` goes where our renderer looks for it.

    Raises `RequestError` for no JSON, two equal keys, and fields that vLLM does not know.
    """
    try:
        held: Any = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise RequestError(400, f"body: invalid JSON: {error}") from None
    if not isinstance(held, dict):
        raise RequestError(400, "body: must be an object.")
    own_sound = held.pop(OWN_SOUND, None)
    unknown = sorted(set(held) - set(ChatCompletionRequest.model_fields))
    if unknown:
        raise RequestError(400, f"{unknown[0]}: is unknown, or not supported", param=unknown[0])
    if own_sound is None:
        return body
    options = held.get("chat_template_kwargs") or {}
    if not isinstance(options, dict) or not isinstance(own_sound, bool):
        raise RequestError(400, f"{OWN_SOUND}: must be true or false", param=OWN_SOUND)
    held["chat_template_kwargs"] = {**options, OWN_SOUND: own_sound}
    return json.dumps(held).encode()
