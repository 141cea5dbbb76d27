# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a request can be refused for, in the shape of OpenAI's errors."""

import re
import traceback
from collections.abc import Iterator
from typing import Any

LONGEST_MESSAGE, LONGEST_NAME = 500, 80  # characters of what is sent back of what a client sent
AN_OBJECT = re.compile(r"\s*<[\w.]+ object at 0x[0-9a-f]+>")  # Python's words about itself


class RequestError(Exception):
    """A refusal: HTTP status, message, and the `type` and `code` that clients look at."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        message = shortened(AN_OBJECT.sub("", message), LONGEST_MESSAGE)
        param = None if param is None else shortened(param, LONGEST_NAME)
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`."""
        return {"error": self.error}


def shortened(text: str, longest: int) -> str:
    """The beginning of a text that is longer than `longest` characters."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def traced(error: BaseException) -> str:
    """Where an error came from, for the log: types and lines of code, without messages, which may hold users' text."""
    return "\n".join(
        f"{type(one).__name__}\n{''.join(traceback.format_tb(one.__traceback__))}" for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def unauthorised() -> RequestError:
    """No API key, or a wrong one."""
    message = "The API key is missing or wrong: send it as 'Authorization: Bearer KEY'."
    headers = {"www-authenticate": "Bearer"}
    return RequestError(401, message, "authentication_error", "invalid_api_key", headers=headers)


def too_busy(pending: int, seconds: int) -> RequestError:
    """The queue is full."""
    message = f"{pending} requests are waiting or being answered, which is as many as are taken. Try again later."
    headers = {"retry-after": str(seconds)}
    return RequestError(429, message, "rate_limit_error", "rate_limit_exceeded", headers=headers)


def too_many_of_one(bound: int, seconds: int) -> RequestError:
    """One client has as many requests here as one may have."""
    message = f"{bound} requests of yours are waiting or being answered, which is as many as one client may have."
    headers = {"retry-after": str(seconds)}
    return RequestError(429, message, "rate_limit_error", "rate_limit_exceeded", headers=headers)


def stopping() -> RequestError:
    """The server is about to end, or its engine has."""
    return RequestError(503, "The server is stopping, and takes no more questions.", "server_error", "stopping")


def too_many_values(bound: int) -> RequestError:
    """The body's JSON has too many parts."""
    return RequestError(400, f"body: has more than {bound} values. Send fewer and shorter messages.", param="messages")


def too_large(limit: int) -> RequestError:
    """The body is beyond the bound."""
    message = f"The body is larger than {limit} bytes. Send a shorter clip, or name a file of the media folder."
    return RequestError(413, message, code="request_too_large")


def timed_out(seconds: float) -> RequestError:
    """The answer took too long."""
    message = f"The answer was not complete after {seconds:g} s, which is the bound."
    return RequestError(504, message, "timeout_error", "timeout")


def failed(request_id: str) -> RequestError:
    """Something went wrong here; the log tells what."""
    return RequestError(500, f"The server failed on this request ({request_id}).", "server_error", "internal_error")
