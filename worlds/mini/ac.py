# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AC: a few sounds one after another, put into a sentence."""

import itertools
import random
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, lesson, single
from ..timeline import STEP, sound_labels, steps_of
from .scene import Draw, SoundScene
from .sound_event import KINDS, sound_at

_STEPS = (8, 12)  # half seconds of a clip
_NUMBERS = ("", "a", "two", "three", "four", "five")


@dataclass(frozen=True)
class AcScene(SoundScene):
    """Sounds of one or two half seconds each, at least one silent half second between them."""

    task = "ac"

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng, level = draw.rng, draw.level
        steps, count = rng.randint(*_STEPS), rng.randint(*level.sounds)
        steps = max(steps, 2 * count - 1)
        spare = steps - (2 * count - 1)  # half seconds beyond one per sound and one between two
        longer = rng.randint(0, min(count, spare))
        lengths = rng.sample([2] * longer + [1] * (count - longer), count)
        gaps = _shares(rng, spare - longer, count + 1)
        events, time = [], 0
        for number, length in enumerate(lengths):
            time += gaps[number] + (number > 0)
            events.append(sound_at(rng, rng.choice(KINDS), time, length))
            time += length
        return cls(*draw.base, steps * STEP, tuple(events), round(rng.uniform(0.001, 0.006), 4))

    def labels(self) -> dict[str, list[str | None]]:
        return {"sound": sound_labels(self.events, steps_of(self.duration))}

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        captions = describe([event.kind for event in self.events])
        timeline = ", ".join(label or "" for label in self.labels()["sound"])
        asked = [single("ac", "audio", prompts.ac, captions[0], references=captions)]
        return self.with_lesson(
            asked, [lesson("ac_timeline", "audio", "List only the sound for every half second.", timeline)], every
        )


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
