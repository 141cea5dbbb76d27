# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the scenes of this world have in common: how they are sampled, named and heard."""

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..sampling import Choice, balanced, hashed_seed
from ..scene import Scene
from ..speech import load_loader
from .difficulty import Difficulty, find_difficulty
from .half_second_words import half_second_words
from .sound import Heard, render_sound
from .sound_event import SoundEvent
from .world import FRAME_RATE, SPLITS


@dataclass(frozen=True)
class Draw:
    """What a scene is sampled from: its number and its own random generator."""

    split: str
    index: int
    seed: int
    difficulty: str
    rng: random.Random
    level: Difficulty
    siblings: str  # names all scenes of its task, split and difficulty together

    @property
    def base(self) -> tuple[str, int, int, str]:
        """The fields that every scene has."""
        return self.split, self.index, self.seed, self.difficulty

    def balanced(self, options: Sequence[Choice]) -> Choice:
        """The option of this item, each as often as the others (see `sampling.balanced`)."""
        return balanced(self.siblings, self.index, options)


@dataclass(frozen=True)
class MiniScene(Scene):
    """A scene of this world: pictures are (frames, 128, 128, 3), 8 per second."""

    frame_rate = FRAME_RATE

    @classmethod
    def sample(cls, split: str, seed: int, index: int, difficulty: str = "standard") -> Self:
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}; pass one of these.")
        level = find_difficulty(difficulty)
        own_seed = hashed_seed(f"aveb-mini/{cls._key(split, seed, index, difficulty)}")
        siblings = f"{cls.task}/{split}/{seed}/{difficulty}"
        return cls._sample(Draw(split, index, own_seed, difficulty, random.Random(own_seed), level, siblings))

    @classmethod
    def _key(cls, split: str, seed: int, index: int, difficulty: str) -> str:
        """Names one scene of this world and no other."""
        return f"{cls.task}/{difficulty}/{split}/{seed}/{index}"

    @classmethod
    @abstractmethod
    def _sample(cls, draw: Draw) -> Self:
        """Samples the fields after those of `draw.base`."""

    def heard(self) -> tuple[SoundEvent, ...]:
        """All sounds; a still has none."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        values.setdefault("events", ())  # every line of ground truth lists them
        return values

    def check_renderable(self) -> None:
        if any(event.word for event in self.heard()):
            load_loader()

    def half_second_words(self, line: Mapping[str, Any]) -> list[list[str]]:
        return half_second_words(line)


class Sounding:
    """The sound of a scene that has `duration`, `events` and `noise_level` among its fields."""

    def heard(self: Heard) -> tuple[SoundEvent, ...]:
        return self.events

    def sound(self: Heard) -> np.ndarray:
        return render_sound(self)


@dataclass(frozen=True)
class SoundScene(Sounding, MiniScene):
    """Sounds over faint noise, and no picture."""

    media = ("audio",)

    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float
