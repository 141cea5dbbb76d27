# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Lanes: threads that do one kind of work for all clients, whose jobs are taken in turn, one of each client.

A lane does not know what a job does. What must be bounded from outside, such as decoding, a job hands to a process
(`DecodingWorkers`) and waits for it.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

LOG = logging.getLogger("favor.serving")
Job = Callable[[], None]


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


class Lane:
    """
    Does jobs, each client's in the order they came, the clients in turn.

    Args:
        name: of the lane and its threads.
        workers: jobs at a time.
        begin: called by each thread before its first job.
    """

    def __init__(self, name: str, workers: int, begin: Job):
        self.name, self._begin = name, begin
        self._waiting: OrderedDict[str, deque[tuple[object, Job]]] = OrderedDict()  # by client; the first has the turn
        self._working = 0
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
            return LaneState(self.name, waiting, self._working, time.monotonic() - self._moved if waiting else 0.0)

    def submit(self, client: str, ticket: object, job: Job) -> None:
        """Takes a job; `ticket` is what it can be withdrawn by. A job handles its own errors."""
        with self._changed:
            if self._closed:
                return
            if not self._waiting and self._working < len(self._threads):
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
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # the lane goes on
                LOG.error("A job of the lane %s failed: %s", self.name, type(error).__name__)
            del job  # what it held, such as a file's bytes
            with self._changed:
                self._working -= 1
                self._moved = time.monotonic()

    def _next(self) -> Job | None:
        """The next job; None when the lane is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            client, jobs = self._waiting.popitem(last=False)
            _, job = jobs.popleft()
            if jobs:
                self._waiting[client] = jobs  # behind the others
            self._working += 1
            self._moved = time.monotonic()
            return job
