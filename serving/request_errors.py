# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a request can be refused for, in the shape of OpenAI's errors."""

from typing import Any


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
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`."""
        return {"error": self.error}


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
