# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A question about a scene, or a dialogue, with all that makes an answer right; and how a benchmark words it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Prompts:
    """The question of each task that asks the same of every item. A world knows where it goes, its owner how it reads.

    `avm_image` goes with a still and a sound, `avm_video` with a video; `options` stands between a question and its
    options.
    """

    asr: str
    ac: str
    ic: str
    avsr: str
    isqa: str
    avssd: str
    avm_image: str
    avm_video: str
    options: str


@dataclass(frozen=True)
class Turn:
    """A question and its answer, the one to learn; `references` are all that count as right, by default the answer."""

    question: str
    answer: str
    references: tuple[str, ...] = ()
    choices: tuple[str, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question about a scene, or a dialogue of several turns.

    Attributes:
        family: kind of question.
        streams: what is needed for the answer: "visual", "audio" or "both".
        turns: question and answer; several for a dialogue.
        held_out: whether the answer rests on a combination that training does not show.
        benchmark: whether the question is the task's own; others are there to learn from.
    """

    family: str
    streams: str
    turns: tuple[Turn, ...]
    held_out: bool = False
    benchmark: bool = True

    def messages(self, turns: int) -> list[dict[str, str]]:
        """The first so many turns, as chat messages."""
        messages = []
        for turn in self.turns[:turns]:
            messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
        return messages


def single(
    family: str,
    streams: str,
    question: str,
    answer: str,
    *,
    references: Sequence[str] = (),
    choices: Sequence[str] | None = None,
    extra: dict[str, Any] | None = None,
    held_out: bool = False,
) -> Question:
    """A benchmark question of one turn."""
    turn = Turn(question, answer, tuple(references), tuple(choices) if choices else None, extra or {})
    return Question(family, streams, (turn,), held_out)


def lesson(family: str, streams: str, question: str, answer: str, held_out: bool = False) -> Question:
    """A question to learn from, which the benchmark does not ask."""
    return Question(family, streams, (Turn(question, answer),), held_out, benchmark=False)
