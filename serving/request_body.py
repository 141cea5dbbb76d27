# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads the body of a request, never more of it than may be."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request

from .body_turns import LARGE_BODY
from .body_values import ValueCounter
from .chat_request import MAX_VALUES
from .request_errors import RequestError, too_large, too_many_values


async def read_json_body(
    request: Request, limit: int, turn: Callable[[], AbstractAsyncContextManager[None]] | None = None
) -> bytes:
    """The body, of at most `limit` bytes.

    Args:
        turn: in which a piece of a large body is taken; by default pieces are taken as they come.

    Raises `RequestError` for one that is too large, has too many values or is not announced as JSON, which a web page
    of another site cannot send without being asked.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "The body must be JSON: send 'Content-Type: application/json'.")
    announced_bytes(request, limit)
    body, size, counter = bytearray(), 0, ValueCounter()

    def take(piece: bytes) -> None:
        if counter.values <= MAX_VALUES:
            counter.feed(piece)
            body.extend(piece)
        else:  # the rest is read, not kept: who still sends would not see the refusal
            body.clear()

    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        if turn is None or size <= LARGE_BODY:
            take(piece)
        else:
            async with turn():
                take(piece)
    if counter.values > MAX_VALUES:
        raise too_many_values(MAX_VALUES)
    return bytes(body)


def announced_bytes(request: Request, limit: int) -> int:
    """Bytes that a request says its body has; 0 if it does not say.

    Raises `RequestError` for more than may be.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit:
        raise too_large(limit)
    return int(announced)
