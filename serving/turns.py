# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Who is answered next: questions that go together share a batch, and batches share the time.

A batch runs for a while, and is set aside if others wait: a long answer, or one that needs a batch of its own, keeps
nobody waiting for its end. Newcomers that can share a batch have every other turn, so that none of them waits for more
than one of those that cannot.
"""

from collections import deque

from .answer import Answer
from .batch_generation import Question


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

    def next(self) -> list[Question]:
        """The batch whose turn it is; newcomers have joined one that was begun if they can."""
        newcomers = bool(self._new) and (self._newcomers_turn or not self._aside)
        self._newcomers_turn = not newcomers
        batch = self._joined_by(self._new[0]) if newcomers else self._aside.popleft()
        passed_over: deque[Question] = deque()
        while self._new:
            question = self._new.popleft()
            (batch if self.fits(question, batch) else passed_over).append(question)
        self._new = passed_over
        return batch

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
