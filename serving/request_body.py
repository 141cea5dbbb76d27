# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads the body of a request, never more of it than may be."""

from starlette.requests import Request

from .body_values import ValueCounter
from .chat_request import MAX_VALUES
from .request_errors import RequestError, too_large, too_many_values


async def read_json_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes.

    Raises `RequestError` for one that is too large, has too many values or is not announced as JSON, which a web page
    of another site cannot send without being asked.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "The body must be JSON: send 'Content-Type: application/json'.")
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit:
        raise too_large(limit)
    body, size, counter = bytearray(), 0, ValueCounter()
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        if counter.values <= MAX_VALUES:
            counter.feed(piece)
            body += piece
        else:  # the rest is read, not kept: who still sends would not see the refusal
            body.clear()
    if counter.values > MAX_VALUES:
        raise too_many_values(MAX_VALUES)
    return bytes(body)
