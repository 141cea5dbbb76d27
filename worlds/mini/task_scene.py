# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the eleven benchmark tasks have in common: a scene that can be drawn, heard, labelled and asked about."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from .difficulty import Difficulty, find_difficulty
from .scene import SPLITS, STEP, SoundEvent, hashed_seed, overlap

_SUFFIXES = {"video": ".mp4", "image": ".png", "audio": ".wav"}
NOTHING = "nothing"  # label of an empty cell, and of a moment in which no object is lit
SILENCE = "silence"
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Turn:
    """A question and its answer, the one to learn; `references` are all that count as right, by default the answer."""

    question: str
    answer: str
    references: tuple[str, ...] = ()
    choices: tuple[str, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskQuestion:
    """A question about a scene, or a dialogue of several turns.

    Attributes:
        family: kind of question; its name begins with the task's.
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


@dataclass(frozen=True)
class TaskScene(ABC):
    """Ground truth of the files of one benchmark item; `seed` drives what is left to chance in rendering.

    A subclass declares `task` and adds its own fields, all of them JSON-serialisable, among them `events`.
    """

    task: ClassVar[str]

    split: str
    index: int
    seed: int
    difficulty: str

    @classmethod
    def sample(cls, split: str, seed: int, index: int, difficulty: str = "standard") -> Self:
        """Samples item number `index` of a split, from 0; splits never share a random seed."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}; pass one of these.")
        level = find_difficulty(difficulty)
        scene_seed = hashed_seed(f"{cls.task}/{difficulty}/{split}/{seed}/{index}")
        return cls._sample(random.Random(scene_seed), level, (split, index, scene_seed, difficulty), seed)

    @classmethod
    @abstractmethod
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        """Samples the fields; `base` are those of this class, and `seed` is the split's."""

    @property
    @abstractmethod
    def media(self) -> tuple[str, ...]:
        """The kinds of file: ("audio",), ("image",), ("image", "audio") or ("video",)."""

    @property
    def name(self) -> str:
        return f"{self.task}_{self.index:06d}"

    @property
    def media_paths(self) -> dict[str, str]:
        """The files, relative to the split's folder, by kind."""
        return {kind: f"media/{self.name}{_SUFFIXES[kind]}" for kind in self.media}

    def pictures(self) -> np.ndarray:
        """All frames, (frames, 128, 128, 3) uint8, at 8 a second; a still has one.

        Raises `NotImplementedError` of a task whose `media` have no pictures.
        """
        raise NotImplementedError(f"{self.task} has no pictures; its media are {', '.join(self.media)}.")

    def sound(self) -> np.ndarray:
        """The sound track, (samples,) float32 mono in [-1, 1] at 16 kHz.

        Raises `NotImplementedError` of a task whose `media` have no sound.
        """
        raise NotImplementedError(f"{self.task} has no sound; its media are {', '.join(self.media)}.")

    def labels(self) -> dict[str, list[str | None]]:
        """Label lists by name, one value a half second, or one for a still; what is not labelled has no list."""
        return {}

    @abstractmethod
    def questions(self, every: bool) -> list[TaskQuestion]:
        """What is asked; with `every` all that can be asked, else the benchmark's questions and one to learn from."""

    def to_dict(self) -> dict[str, Any]:
        """The scene as JSON-serialisable values."""
        return asdict(self)

    def with_lesson(self, benchmark: list[TaskQuestion], lessons: list[TaskQuestion], every: bool) -> list:
        """The benchmark's questions, and all `lessons` or one of them."""
        if every or not lessons:
            return [*benchmark, *lessons]
        return [*benchmark, random.Random(f"lesson/{self.seed}").choice(lessons)]


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
) -> TaskQuestion:
    """A benchmark question of one turn."""
    turn = Turn(question, answer, tuple(references), tuple(choices) if choices else None, extra or {})
    return TaskQuestion(family, streams, (turn,), held_out)


def lesson(family: str, streams: str, question: str, answer: str, held_out: bool = False) -> TaskQuestion:
    """A question to learn from, which the benchmark does not ask."""
    return TaskQuestion(family, streams, (Turn(question, answer),), held_out, benchmark=False)


def balanced(key: str, index: int, options: Sequence[Choice]) -> Choice:
    """The option of item `index`: each option once in every block of as many items, in an order drawn from `key`."""
    block, place = divmod(index, len(options))
    return random.Random(f"{key}/{block}").sample(list(options), len(options))[place]


def sound_labels(events: Sequence[SoundEvent], steps: int) -> list[str | None]:
    """The name of the sound in each half second, or "silence", where every half second is clear-cut."""
    labels: list[str | None] = []
    for start in (step * STEP for step in range(steps)):
        heard = [event.name for event in events if overlap(event, start) > STEP / 4]
        labels.append(heard[0] if heard else SILENCE)
    return labels
