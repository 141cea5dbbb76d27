# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns of large bodies: all together they get a share of the server's time, which the clients take in turn.

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

from .lanes import MEMORY, Lane, TimeSpent

LARGE_BODY = 1 << 16  # bytes; smaller ones have no turns
SHARE = 0.05  # of one processor's time: of the event loop's for receiving, and of a thread's for reading
# Of work that a client may have had lately and still need not wait while others rest: an equal part of the share,
# within these.
FREE_SECONDS, MOST_FREE_SECONDS = 0.01, 0.03
Result = TypeVar("Result")


def rest_after(seconds: float) -> float:
    """How long nothing else is done for large bodies after so much work."""
    return seconds * (1 / SHARE - 1)


class BodyTurns:
    """
    Lets one piece of a large body be taken at a time, and reads one such body at a time.

    Next is the client on whom the least time was spent lately; one on whom less was spent than an equal part of that
    share, among all who sent something lately, does not wait. Who sends slowly holds no turn: a turn is for a piece
    that has come.

    Args:
        others: whether anybody else waits for an answer; if not, bodies are received and read without a rest.
        known: whether a client's requests are mostly answered; who is not known, as a newcomer, always waits.
    """

    def __init__(self, others: Callable[[], bool], known: Callable[[str], bool] = lambda _: True):
        self._others, self._known = others, known
        self._spent = TimeSpent()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._taken = False
        self._reading = Lane("bodies", 1, lambda: None)
        self._reading_first = Lane("first-bodies", 1, lambda: None)  # of clients who need not wait

    @asynccontextmanager
    async def piece(self, client: str) -> AsyncIterator[None]:
        """The turn to take a piece, in which nothing is waited for."""
        waits = self._waits(client)
        if waits:
            await self._turn(client)
        started = time.thread_time()
        try:
            yield
        finally:
            seconds = time.thread_time() - started
            self._spent.add(client, seconds)
            if waits:
                rest = rest_after(seconds) if self._others() else 0.0
                asyncio.get_running_loop().call_later(rest, self._pass_on)

    async def read(self, client: str, job: Callable[[], Result]) -> Result:
        """What `job` returns, or raises; in a thread that does one at a time, of two such threads."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        waits = self._waits(client)
        lane = self._reading if waits else self._reading_first
        lane.submit(client, result, partial(self._read, loop, client, result, job, waits))
        try:
            return await result
        finally:
            lane.withdraw(result)

    def close(self) -> None:
        """Ends the threads."""
        self._reading.close()
        self._reading_first.close()

    def _waits(self, client: str) -> bool:
        if not self._known(client) and self._others():
            return True
        equal_part = SHARE * MEMORY / max(1, len(self._spent))
        return self._spent.of(client) >= max(FREE_SECONDS, min(equal_part, MOST_FREE_SECONDS))

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

    def _read(
        self,
        loop: asyncio.AbstractEventLoop,
        client: str,
        result: "asyncio.Future[Result]",
        job: Callable[[], Result],
        rests: bool,
    ) -> None:
        started, value, failure = time.thread_time(), None, None
        try:
            value = job()
        except Exception as error:
            failure = error
        seconds = time.thread_time() - started
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._settle, client, seconds, result, value, failure)
        del value, failure, job  # what they hold, such as a file's bytes
        if rests and self._others():
            time.sleep(rest_after(seconds))

    def _settle(
        self, client: str, seconds: float, result: asyncio.Future, value: object, failure: Exception | None
    ) -> None:
        self._spent.add(client, seconds)
        if result.done():  # nobody waits any more
            return
        if failure is None:
            result.set_result(value)
        else:
            result.set_exception(failure)
