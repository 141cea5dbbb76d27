# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Who is answered next: questions that go together share a batch, and batches share the time.

A batch runs for a while, and is set aside if others are due: a long answer, or one that needs a batch of its own,
keeps nobody waiting for its end. Due is the client on whom the least of the model's time was spent lately; of clients
alike, and of one client's questions, what has had the smallest share of it since it came. What a batch takes is shared
by its questions, so that many who are answered together come before one who is answered alone.
Newcomers of clients alike that can share a batch have every other turn at least, however many came before them who
cannot.
"""

import math
import time
from collections import deque
from collections.abc import Sequence

from .answer import Answer
from .batch_generation import Question
from .lanes import TimeSpent

FIRST_SHARE = 0.01  # seconds of the model that a newcomer is taken to have had; else one of this moment came first
# Shorter than that of lanes: a call is shorter than a file's decoding, and what a newcomer costs shows at once.
HALF_LIFE = 5.0
# Who has had more than twice the mean, and more than so many seconds, joins no batch of those who have had less.
HEAVY_SECONDS, HEAVY_FACTOR = 0.1, 2.0
Rank = tuple[int, float]  # who has less of it is due


class Turns:
    """
    The questions that are ready, and the batches that were set aside. Not safe for threads by itself.

    Args:
        max_batch_size: questions of a batch.
        max_batch_tokens: of their prompts and longest answers, padding included; a question that is longer is alone.
    """

    def __init__(self, max_batch_size: int, max_batch_tokens: int):
        self.max_batch_size, self.max_batch_tokens = max_batch_size, max_batch_tokens
        self._new: deque[Question] = deque()
        self._aside: deque[list[Question]] = deque()
        self._newcomers_turn = True
        self._spent = TimeSpent(HALF_LIFE)

    def __bool__(self) -> bool:
        return bool(self._new or self._aside)

    @property
    def new(self) -> int:
        """Questions of which nothing has been generated."""
        return len(self._new) + sum(not question.begun for batch in self._aside for question in batch)

    def add(self, question: Question) -> None:
        """A question that is ready."""
        if question.settings.seed is None:
            self._new.append(question)
        else:
            self._aside.append([question])

    def set_aside(self, batch: list[Question]) -> None:
        """A batch that goes on later."""
        self._aside.append(batch)

    def charge(self, questions: Sequence[Question], seconds: float) -> None:
        """Counts a call's time to its questions and their clients."""
        for question in questions:
            question.had += seconds / len(questions)
            self._spent.add(question.client, seconds / len(questions))

    def rank(self, questions: Sequence[Question], seconds: float = 0.0) -> Rank:
        """The lowest rank of questions that have just run for `seconds`.

        First the client's time, in steps of twice as much, so that clients alike share batches and take turns; then
        the share of the time since the question came.
        """
        now, each = time.monotonic(), seconds / max(1, len(questions))
        return min(
            (
                math.floor(math.log2(FIRST_SHARE + self._spent.of(one.client) + each)),
                (FIRST_SHARE + one.had + each) / max(now - one.since, 1e-6),
            )
            for one in questions
        )

    def are_due(self, running: Sequence[Question], seconds: float) -> bool:
        """Whether somebody is due before the questions that have been running for `seconds`."""
        own = self.rank(running, seconds)
        return any(self.rank(waiting) < own for waiting in (*([one] for one in self._new), *self._aside))

    def next(self) -> list[Question]:
        """The batch that is due; newcomers have joined one that was begun if they can."""
        due = min(self._aside, key=self.rank, default=None)
        in_order = sorted(self._new, key=lambda question: self.rank([question]))
        if due is None or (in_order and self._come_first(in_order[0], due)):
            self._newcomers_turn = False
            batch = self._joined_by(in_order[0])
        else:
            self._newcomers_turn = True
            batch = due
            self._aside = deque(one for one in self._aside if one is not due)
        heavy = self._heavy([*batch, *in_order])
        with_heavy = any(question.client in heavy for question in batch or in_order[:1])
        for question in in_order:
            if self.fits(question, batch) and (with_heavy or question.client not in heavy):
                batch.append(question)
                self._new.remove(question)
        return batch

    def _come_first(self, newcomer: Question, batch: list[Question]) -> bool:
        own, other = self.rank([newcomer]), self.rank(batch)
        return own <= other or (self._newcomers_turn and own[0] <= other[0])

    def _heavy(self, questions: Sequence[Question]) -> set[str]:
        """Of the questions' clients those who have had much more of the model lately than others have."""
        bound = max(HEAVY_SECONDS, HEAVY_FACTOR * self._spent.mean())
        return {question.client for question in questions if self._spent.of(question.client) > bound}

    def fits(self, question: Question, batch: list[Question]) -> bool:
        """Whether a question can join a batch."""
        if not batch:
            return True
        if question.suspect or batch[0].suspect:
            return False
        tokens = max(one.tokens for one in [*batch, question]) * (len(batch) + 1)
        within = len(batch) < self.max_batch_size and tokens <= self.max_batch_tokens
        return within and batch[0].settings.may_share_a_batch(question.settings)

    def withdraw(self, answer: Answer) -> Question | None:
        """Forgets the question of an answer; returns it if it was begun."""
        self._new = deque(question for question in self._new if question.answer is not answer)
        for batch in self._aside:
            for question in batch:
                if question.answer is answer:
                    batch.remove(question)
                    self._aside = deque(batch for batch in self._aside if batch)
                    return question if question.begun else None
        return None

    def _joined_by(self, question: Question) -> list[Question]:
        """Takes out the begun batch that a newcomer can join, or begins one."""
        found = next((batch for batch in self._aside if self.fits(question, batch)), None)
        if found is None:
            return []
        self._aside = deque(batch for batch in self._aside if batch is not found)
        return found
