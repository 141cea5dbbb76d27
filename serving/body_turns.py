# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns of large bodies: all together they get a share of the server's time, of which each client gets as much.

Whatever Python does in the server's process, the event loop and the generating thread cannot do meanwhile: a body of
tens of megabytes must not be received and read as fast as it comes while others wait for a few words.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from .lanes import Lane, TimeSpent

LARGE_BODY = 1 << 16  # bytes; smaller ones have no turns
SHARE = 0.1  # of one processor's time: of the event loop's for receiving, and of a thread's for reading
Result = TypeVar("Result")


def rest_after(seconds: float) -> float:
    """How long nothing else is done for large bodies after so much work."""
    return seconds * (1 / SHARE - 1)


class BodyTurns:
    """
    Lets one piece of a large body be taken at a time, and reads one such body at a time.

    Next is the client on whom the least time was spent lately. A client who sends slowly holds no turn: a turn is for
    a piece that has come.

    Args:
        others: whether anybody else waits for an answer; if not, bodies are received and read without a rest.
    """

    def __init__(self, others: Callable[[], bool]):
        self._others = others
        self._spent = TimeSpent()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._taken = False
        self._reading = Lane("bodies", 1, lambda: None)

    @asynccontextmanager
    async def piece(self, client: str) -> AsyncIterator[None]:
        """The turn to take a piece, in which nothing is waited for."""
        await self._turn(client)
        started = time.thread_time()
        try:
            yield
        finally:
            seconds = time.thread_time() - started
            self._spent.add(client, seconds)
            rest = rest_after(seconds) if self._others() else 0.0
            asyncio.get_running_loop().call_later(rest, self._pass_on)

    async def read(self, client: str, job: Callable[[], Result]) -> Result:
        """What `job` returns, or raises, in a thread that does one at a time."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._reading.submit(client, result, partial(self._read, loop, result, job))
        try:
            return await result
        finally:
            self._reading.withdraw(result)

    def close(self) -> None:
        """Ends the thread."""
        self._reading.close()

    async def _turn(self, client: str) -> None:
        if not self._taken:
            self._taken = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came too late
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            client = min(self._waiting, key=self._spent.of)  # of equals who has waited longest
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns  # behind the others
            if not turn.done():  # whoever waited for it has not gone
                turn.set_result(None)
                return
        self._taken = False

    def _read(self, loop: asyncio.AbstractEventLoop, result: "asyncio.Future[Result]", job: Callable) -> None:
        started, value, failure = time.thread_time(), None, None
        try:
            value = job()
        except Exception as error:
            failure = error
        seconds = time.thread_time() - started
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(_settle, result, value, failure)
        del value, failure
        if self._others():
            time.sleep(rest_after(seconds))


def _settle(result: asyncio.Future, value: object, failure: Exception | None) -> None:
    if result.done():  # nobody waits any more
        return
    if failure is None:
        result.set_result(value)
    else:
        result.set_exception(failure)
