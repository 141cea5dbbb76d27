# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a connection may cost: bounds on slow heads and on readers that read nothing; a server that ends in good order.

Uvicorn bounds idle connections only. Its h11 protocol is used even where httptools is installed: this one is bounded.
"""

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # for a request's head, from the connection or the answer before
SEND_SECONDS = 30.0  # that a reader may take nothing of what is there for it
DRAIN_SECONDS = 10.0  # for the answers in the making, when the server is told to end
LAST_WORDS_SECONDS = 5.0  # to tell those that did not end in that time
MAX_CONNECTIONS = 1024  # idle ones; beyond, 503
GRACE = 2.0  # seconds that a response may take to say that its time is over
GONE = "connection_gone"  # in a request's state: an event that is set when its connection has ended


@dataclass(frozen=True)
class ConnectionBounds:
    """
    Attributes:
        request_seconds: from a request's head to the last byte of its answer.
        head_seconds: for the head. send_seconds: that sending may stand still.
        each: connections of one address.
    """

    request_seconds: float
    head_seconds: float = HEAD_SECONDS
    send_seconds: float = SEND_SECONDS
    each: int = MAX_CONNECTIONS


class BoundedConnection(H11Protocol):
    """A connection that is cut when it exceeds a bound; `bounds` and `by_address` are its server's."""

    bounds: ConnectionBounds
    by_address: Counter[str]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As inherited; one connection too many is cut at once."""
        super().connection_made(transport)
        self._gone = asyncio.Event()
        self.app_state = {**self.app_state, GONE: self._gone}
        now = self.loop.time()
        self._address = self.client[0] if self.client else ""
        self._state: tuple[Any, bool] = (None, False)
        self._state_since = self._sent_since = now
        self._unsent = 0
        self._look_seconds = min(self.bounds.head_seconds, self.bounds.send_seconds, 4.0) / 4
        self._looking = self.loop.call_later(self._look_seconds, self._look)
        self.by_address[self._address] += 1
        if self.by_address[self._address] > self.bounds.each:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """As inherited."""
        self._looking.cancel()
        self._gone.set()
        self.by_address[self._address] -= 1
        if not self.by_address[self._address]:
            del self.by_address[self._address]
        super().connection_lost(exc)

    def _look(self) -> None:
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        busy = unsent > 0 or (self.cycle is not None and not self.cycle.response_complete)
        if self._state != (self.cycle, busy):
            self._state, self._state_since = (self.cycle, busy), now
        if unsent == 0 or unsent < self._unsent:
            self._sent_since = now
        self._unsent = unsent
        allowed = self.bounds.request_seconds + GRACE if busy else self.bounds.head_seconds
        if now - self._state_since > allowed or now - self._sent_since > self.bounds.send_seconds:
            self.transport.abort()
        else:
            self._looking = self.loop.call_later(self._look_seconds, self._look)


class DrainingServer(uvicorn.Server):
    """
    Told to end, it takes no more connections and lets the answers in the making come to their end.

    Args:
        config: Uvicorn's.
        seconds: that they have for it.
        end_answers: called after that, to tell those who still wait.
    """

    def __init__(self, config: uvicorn.Config, seconds: float, end_answers: Callable[[], None]):
        super().__init__(config)
        self.seconds, self.end_answers = seconds, end_answers

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As inherited."""
        late = asyncio.get_running_loop().call_later(self.seconds, self.end_answers)
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()


def bounded_server(
    app: Any, bounds: ConnectionBounds, proxies: str | None = None, drain_seconds: float = DRAIN_SECONDS
) -> DrainingServer:
    """
    A server of an application that `build_app` made.

    Args:
        app: the application.
        bounds: of its connections.
        proxies: addresses, separated by commas, that may tell for whom they ask (`X-Forwarded-For`).
        drain_seconds: for the answers in the making, when it is told to end.
    """

    class Connection(BoundedConnection):
        by_address: Counter[str] = Counter()

    Connection.bounds = bounds
    chats = app.state.chats
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="critical",  # its warnings are about what clients send
        access_log=False,
        proxy_headers=proxies is not None,
        forwarded_allow_ips=proxies,
        limit_concurrency=MAX_CONNECTIONS + chats.settings.max_pending,
        timeout_graceful_shutdown=int(drain_seconds + LAST_WORDS_SECONDS),
    )
    return DrainingServer(config, drain_seconds, chats.end_all)


def allow_open_files(count: int) -> None:
    """Raises the process's own bound on open files to `count`, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
