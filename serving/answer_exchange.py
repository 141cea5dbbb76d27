# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Brings an answer's pieces from the engine to a client, and the client's going away to the engine."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from .answer import Answer
from .completions import END_OF_STREAM, Completion
from .request_errors import RequestError, failed, timed_out, traced

LOG = logging.getLogger("favor.serving")
CLIENT_GONE = 499  # nginx' number for it
LAST_EVENT_SECONDS = 1.0  # to send that the time is over


class ClientGone(Exception):
    """The client has closed the connection; nobody waits for the answer."""


class AnswerExchange:
    """
    An answer and the request that waits for it.

    Args:
        request: whose body has been read.
        answer: being made.
        events: what its sink puts: pieces, then None or an error.
    """

    def __init__(self, request: Request, answer: Answer, events: asyncio.Queue):
        self.answer, self._events = answer, events
        self._gone = asyncio.ensure_future(_disconnected(request))

    async def next(self) -> str | None:
        """The next piece, None at the end.

        Raises `ClientGone`, and what the engine raises.
        """
        if self._events.empty():
            coming = asyncio.ensure_future(self._events.get())
            try:
                await asyncio.wait({coming, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
            if not coming.done():
                raise ClientGone
            event = coming.result()
        else:
            event = self._events.get_nowait()
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self) -> None:
        """Gives the answer up if it is not complete."""
        self.answer.cancel()
        self._gone.cancel()


class StreamedAnswer(StreamingResponse):
    """
    Server-sent events: one a piece, then why the answer has ended.

    Args:
        exchange: whose first piece has been read.
        completion: for the JSON.
        first: the first piece, None if there is none.
        include_usage: tell the tokens at the end.
        seconds: that the rest of the answer may take.
        closed: called with the HTTP status when all is over, whatever happened.
    """

    def __init__(
        self,
        exchange: AnswerExchange,
        completion: Completion,
        first: str | None,
        include_usage: bool,
        seconds: float,
        closed: Callable[[int], None],
    ):
        self.exchange, self.completion, self.include_usage = exchange, completion, include_usage
        self.seconds, self.closed, self.status = seconds, closed, CLIENT_GONE
        super().__init__(self._events(first), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As inherited; the answer is given up when the client has gone, at any time, or does not read."""
        try:
            async with asyncio.timeout(self.seconds + LAST_EVENT_SECONDS):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            self.status = 504
        finally:
            self.exchange.close()
            self.closed(self.status)

    async def _events(self, piece: str | None) -> AsyncIterator[str]:
        deadline = time.monotonic() + self.seconds
        yield self.completion.first_chunk()
        try:
            while piece is not None:
                yield self.completion.chunk(piece)
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    piece = await self.exchange.next()
            self.status = 200
            yield self.completion.last_chunks(self.exchange.answer, self.include_usage)
        except TimeoutError:
            yield self._error_event(timed_out(self.seconds))
        except ClientGone:
            return
        except RequestError as error:
            yield self._error_event(error)
        except Exception as error:
            LOG.error("Request %s failed.\n%s", self.completion.id, traced(error))
            yield self._error_event(failed(self.completion.id))

    def _error_event(self, error: RequestError) -> str:
        """The status 200 has been sent, so that an event must tell; the `openai` client raises it."""
        self.status = error.status
        return f"data: {json.dumps(error.body())}\n\n{END_OF_STREAM}"


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
