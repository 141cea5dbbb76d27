# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AC: a few sounds one after another, put into a sentence."""

import itertools
import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from favor.evaluation.tasks.ac import PROMPT

from .difficulty import Difficulty
from .scene import PITCHES, STEP, SoundEvent
from .sound import render_sound
from .task_scene import TaskQuestion, TaskScene, lesson, single, sound_labels

KINDS = ("beep", "hum", "noise", "bell")
_STEPS = (8, 12)  # half seconds of a clip
_MARGIN = (0.05, 0.11)  # seconds a sound keeps from the borders of its half seconds
_NUMBERS = ("", "a", "two", "three", "four", "five")


@dataclass(frozen=True)
class AcScene(TaskScene):
    """Sounds of one or two half seconds each, at least one silent half second between them."""

    task = "ac"
    media = ("audio",)

    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float

    @classmethod
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        steps, count = rng.randint(*_STEPS), rng.randint(*level.sounds)
        steps = max(steps, 2 * count - 1)
        spare = steps - (2 * count - 1)  # half seconds beyond one a sound and one between two
        longer = rng.randint(0, min(count, spare))
        lengths = rng.sample([2] * longer + [1] * (count - longer), count)
        gaps = _shares(rng, spare - longer, count + 1)
        events, time = [], 0
        for number, length in enumerate(lengths):
            time += gaps[number] + (number > 0)
            events.append(sound_at(rng, rng.choice(KINDS), time, length))
            time += length
        return cls(*base, steps * STEP, tuple(events), round(rng.uniform(0.001, 0.006), 4))

    def sound(self) -> np.ndarray:
        return render_sound(self)

    def labels(self) -> dict[str, list[str | None]]:
        return {"sound": sound_labels(self.events, round(self.duration / STEP))}

    def questions(self, every: bool) -> list[TaskQuestion]:
        captions = describe([event.kind for event in self.events])
        timeline = ", ".join(label or "" for label in self.labels()["sound"])
        asked = [single("ac", "audio", PROMPT, captions[0], references=captions)]
        return self.with_lesson(
            asked, [lesson("ac_timeline", "audio", "List only the sound for every half second.", timeline)], every
        )


def sound_at(rng: random.Random, kind: str, first_step: int, steps: int = 1) -> SoundEvent:
    """A sound of that kind that fills so many half seconds, but for small margins."""
    start = round(first_step * STEP + rng.uniform(*_MARGIN), 2)
    end = round((first_step + steps) * STEP - rng.uniform(*_MARGIN), 2)
    return SoundEvent(start, end, kind, round(rng.uniform(0.4, 1.0), 2), round(rng.uniform(*PITCHES[kind])))


def describe(kinds: list[str]) -> tuple[str, ...]:
    """Five sentences about the sounds in their order; the first is the answer to learn."""
    parts = []
    for kind, group in itertools.groupby(kinds):
        count = len(list(group))
        parts.append(f"{_NUMBERS[count]} {kind}{'s' if count > 1 else ''}")
    first, rest = parts[0], parts[1:]
    return (
        ", then ".join(parts),
        f"first {', then '.join(parts)}" if rest else f"there is {first}",
        f"{' followed by '.join(parts)} can be heard",
        f"the sound of {' and then '.join(parts)}",
        f"we hear {', after that '.join(parts)}",
    )


def _shares(rng: random.Random, total: int, parts: int) -> list[int]:
    """Splits `total` into so many parts, any of which may be nothing."""
    borders = sorted(rng.choices(range(total + 1), k=parts - 1))
    return [after - before for before, after in zip([0, *borders], [*borders, total], strict=True)]
