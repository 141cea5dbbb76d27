# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Lanes: threads that do one kind of work for all clients; next is whoever has had the least of their time.

A lane does not know what a job does. What must be bounded from outside, such as decoding, a job hands to a process
(`DecodingWorkers`) and waits for it.
"""

import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

LOG = logging.getLogger("favor.serving")
Job = Callable[[], None]
HALF_LIFE = 30.0  # seconds after which half of what a client has had is forgotten
MEMORY = HALF_LIFE / math.log(2)  # seconds: who has had a share s of the time for long has had s times this lately
FORGOTTEN = 1e-3  # seconds of work
MEAN_SECONDS = 0.25  # between two looks at all clients


@dataclass(frozen=True)
class LaneState:
    """
    Attributes:
        name: of the lane.
        waiting: jobs that nobody does yet.
        working: jobs that are being done.
        still_seconds: since a job last began, ended or went on while others have to wait; 0 when none does.
    """

    name: str
    waiting: int
    working: int
    still_seconds: float


class TimeSpent:
    """
    Seconds that were spent on each client lately. Not safe for threads by itself.

    Args:
        half_life: seconds after which half is forgotten.
    """

    def __init__(self, half_life: float | None = None):
        self.half_life = HALF_LIFE if half_life is None else half_life
        self._spent: dict[str, tuple[float, float]] = {}  # seconds by client, and when that was so
        self._kept = 50  # clients of whom something was left when it was last looked
        self._mean, self._mean_since = 0.0, -math.inf

    def of(self, client: str) -> float:
        """What is not forgotten of a client's seconds."""
        now = time.monotonic()
        seconds, then = self._spent.get(client, (0.0, now))
        return seconds * 0.5 ** ((now - then) / self.half_life)

    def add(self, client: str, seconds: float) -> None:
        """Charges a client."""
        self._spent[client] = self.of(client) + seconds, time.monotonic()
        if len(self._spent) > 2 * self._kept:
            self._spent = {one: spent for one, spent in self._spent.items() if self.of(one) > FORGOTTEN}
            self._kept = max(50, len(self._spent))

    def mean(self) -> float:
        """What clients have had lately, on average of those of whom something is left; it is that of a moment ago."""
        now = time.monotonic()
        if now - self._mean_since > MEAN_SECONDS:
            left = [seconds for seconds in map(self.of, self._spent) if seconds > FORGOTTEN]
            self._mean, self._mean_since = sum(left) / max(1, len(left)), now
        return self._mean

    def __len__(self) -> int:
        return len(self._spent)


class Lane:
    """
    Does jobs, each client's in the order they came; first those of the client on whom the least time was spent lately.

    So a client whose files take long waits for all whose files do not, and clients alike take turns.

    Args:
        name: of the lane and its threads.
        workers: jobs at a time.
        begin: called by each thread before its first job.
    """

    def __init__(self, name: str, workers: int, begin: Job):
        self.name, self._begin = name, begin
        self._waiting: OrderedDict[str, deque[tuple[object, Job]]] = OrderedDict()  # by client; the first has the turn
        self._working: list[tuple[str, float]] = []  # whose job, and since when
        self._spent = TimeSpent()
        self._moved = time.monotonic()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=f"favor-{name}-{n}") for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def state(self) -> LaneState:
        """Whether and how long jobs wait."""
        with self._changed:
            waiting = sum(map(len, self._waiting.values()))
            return LaneState(
                self.name, waiting, len(self._working), time.monotonic() - self._moved if waiting else 0.0
            )

    def submit(self, client: str, ticket: object, job: Job) -> None:
        """Takes a job; `ticket` is what it can be withdrawn by. A job handles its own errors."""
        with self._changed:
            if self._closed:
                return
            if not self._waiting and len(self._working) < len(self._threads):
                self._moved = time.monotonic()
            self._waiting.setdefault(client, deque()).append((ticket, job))
            self._changed.notify()

    def withdraw(self, ticket: object) -> None:
        """Forgets a job that nobody has begun."""
        with self._changed:
            for client, jobs in list(self._waiting.items()):
                kept = deque(job for job in jobs if job[0] is not ticket)
                if kept:
                    self._waiting[client] = kept
                else:
                    del self._waiting[client]

    def close(self) -> None:
        """Forgets what waits, and returns when what was begun has ended."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        self._begin()
        while (begun := self._next()) is not None:
            job, work = begun
            try:
                job()
            except Exception as error:  # the lane goes on
                LOG.error("A job of the lane %s failed: %s", self.name, type(error).__name__)
            del job, begun  # what it held, such as a file's bytes
            with self._changed:
                self._working.remove(work)
                self._charge(*work)

    def _next(self) -> tuple[Job, tuple[str, float]] | None:
        """The next job, whose it is and when it began; None when the lane is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            now = self._moved = time.monotonic()
            client = min(self._waiting, key=lambda one: self._had(one, now))  # of equals who has waited longest
            jobs = self._waiting.pop(client)
            _, job = jobs.popleft()
            if jobs:
                self._waiting[client] = jobs  # behind the others
            work = client, now
            self._working.append(work)
            return job, work

    def _had(self, client: str, now: float) -> float:
        """Seconds that a client has had, what is being done included."""
        return self._spent.of(client) + sum(now - since for whose, since in self._working if whose == client)

    def _charge(self, client: str, since: float) -> None:
        now = self._moved = time.monotonic()
        self._spent.add(client, now - since)
