# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSSD: two or three objects light up in turn, and one of them sounds whenever it is lit.

Which one it is lies in the coincidence alone: all objects are lit equally often, in an order that is drawn evenly, and
then one of them is drawn to be the source. So neither stream by itself says anything about it.
"""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from favor.evaluation.tasks.avssd import PROMPT

from .ac import KINDS
from .difficulty import Difficulty
from .grid_still import CELLS, cell_labels, sample_looks
from .lamps import Lamp, draw_lamps, lit_labels, odd_colours, place_lamp, sounds_when, timelines
from .scene import STEP, SoundEvent, is_held_out_shape, is_held_out_sound
from .sound import render_sound
from .task_scene import TaskQuestion, TaskScene, lesson, single, sound_labels

STEPS = (8, 12)  # half seconds of a clip
TIMES_LIT = (2, 4)
TIMELINE = "List the lit object and the sound for every half second."
LIT_TIMELINE = "List only the lit object for every half second."
SOUND_TIMELINE = "List only the sound for every half second."


@dataclass(frozen=True)
class AvssdScene(TaskScene):
    """Objects of different colours, at most one lit at a time; number `source` is the one that sounds."""

    task = "avssd"
    media = ("video",)

    duration: float
    lamps: tuple[Lamp, ...]
    source: int
    kind: str
    events: tuple[SoundEvent, ...]
    noise_level: float

    @classmethod
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        steps, count, kind = rng.randint(*STEPS), rng.randint(*level.lamps), rng.choice(KINDS)
        steps = max(steps, TIMES_LIT[0] * count + 1)
        looks = sample_looks(rng, base[0], count, lambda looks: _accept([look[0] for look in looks], kind, base[0]))
        times = rng.randint(TIMES_LIT[0], min(TIMES_LIT[1], (steps - 1) // count))
        order: list[int | None] = [number for number in range(count) for _ in range(times)]
        order += [None] * (steps - len(order))
        rng.shuffle(order)
        cells = rng.sample(CELLS, count)
        lamps = tuple(
            place_lamp(rng, look, cell, [lit == number for lit in order])
            for number, (look, cell) in enumerate(zip(looks, cells, strict=True))
        )
        source = rng.randrange(count)
        events = sounds_when(rng, kind, lamps[source].lit)
        return cls(*base, steps * STEP, lamps, source, kind, events, round(rng.uniform(0.001, 0.006), 4))

    def pictures(self) -> np.ndarray:
        return draw_lamps(self.seed, self.lamps, round(self.duration / STEP))

    def sound(self) -> np.ndarray:
        return render_sound(self)

    def labels(self) -> dict[str, list[str | None]]:
        steps = round(self.duration / STEP)
        sound = {"sound": sound_labels(self.events, steps)}
        return {**lit_labels(self.lamps, steps), **cell_labels(self.lamps, steps), **sound}

    def questions(self, every: bool) -> list[TaskQuestion]:
        source = self.lamps[self.source]
        odd_looks = any(is_held_out_shape(lamp.colour, lamp.shape) for lamp in self.lamps)
        odd_sound = is_held_out_sound(source.colour, self.kind)
        odd = odd_sound or is_held_out_shape(source.colour, source.shape)
        both, lit, heard = timelines(self.lamps, self.kind, source.lit)
        asked = [
            single("avssd", "both", PROMPT, f"the {source.name}", extra={"class": source.name}, held_out=odd),
        ]
        lessons = [
            lesson("avssd_timeline", "both", TIMELINE, both, odd_sound or odd_looks),
            lesson("avssd_timeline_lit", "visual", LIT_TIMELINE, lit, odd_looks),
            lesson("avssd_timeline_sound", "audio", SOUND_TIMELINE, heard),
        ]
        return self.with_lesson(asked, lessons, every)


def _accept(colours: list[str], kind: str, split: str) -> bool:
    """Different colours; all or, for "compositional", not all of them may sound like this in training.

    Asked of all objects and not of the source alone: else the kind of sound would tell something about the source.
    """
    return len(set(colours)) == len(colours) and bool(odd_colours(kind) & set(colours)) == (split == "compositional")
