# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSSD: two or three objects light up in turn, and one of them sounds whenever it is lit.

Which one it is lies in the coincidence alone: all objects are lit equally often, in an order that is drawn evenly, and
then one of them is drawn to be the source. So neither stream by itself says anything about it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, single
from ..timeline import STEP, steps_of
from .grid_still import CELLS, sample_looks
from .lamps import STEPS, Lamp, ask_timelines, draw_lamps, lamp_labels, odd_colours, place_lamp, sounds_when
from .scene import Draw, MiniScene, Sounding
from .sound_event import KINDS, SoundEvent
from .world import is_held_out_sound

TIMES_LIT = (2, 4)


@dataclass(frozen=True)
class AvssdScene(Sounding, MiniScene):
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
    def _sample(cls, draw: Draw) -> Self:
        rng, level, split = draw.rng, draw.level, draw.split
        steps, count, kind = rng.randint(*STEPS), rng.randint(*level.lamps), rng.choice(KINDS)
        steps = max(steps, TIMES_LIT[0] * count + 1)
        looks = sample_looks(rng, split, count, lambda looks: _accept([look[0] for look in looks], kind, split))
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
        return cls(*draw.base, steps * STEP, lamps, source, kind, events, round(rng.uniform(0.001, 0.006), 4))

    def pictures(self) -> np.ndarray:
        return draw_lamps(self.seed, self.lamps, steps_of(self.duration))

    def labels(self) -> dict[str, list[str | None]]:
        return lamp_labels(self.lamps, self.events, steps_of(self.duration))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        source = self.lamps[self.source]
        odd_sound = is_held_out_sound(source.colour, self.kind)
        odd, extra = odd_sound or source.held_out, {"class": source.name}
        asked = single("avssd", "both", prompts.avssd, f"the {source.name}", extra=extra, held_out=odd)
        lessons = ask_timelines(self.task, self.lamps, self.kind, source.lit, odd_sound)
        return self.with_lesson([asked], lessons, every)


def _accept(colours: list[str], kind: str, split: str) -> bool:
    """Different colours; all or, for "compositional", not all of them may sound like this in training.

    Asked of all objects and not of the source alone: else the kind of sound would tell something about the source.
    """
    return len(set(colours)) == len(colours) and bool(odd_colours(kind) & set(colours)) == (split == "compositional")
