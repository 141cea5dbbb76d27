# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AC: one to three real sounds one after another, with five captions."""

from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from .frames import listed, sound_of
from .scene import Draw, RealScene, Sounding
from .sound import Event

_PAUSE = 0.3  # seconds between two sounds


@dataclass(frozen=True)
class AcScene(Sounding, RealScene):
    """Sounds of different things."""

    task = "ac"
    media = ("audio",)

    events: tuple[Event, ...]
    noise_level: float

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        start, events = 0.1, []
        for thing in draw.rng.sample(draw.pool.heard, min(draw.rng.randint(1, 3), len(draw.pool.heard))):
            end = round(start + draw.rng.uniform(1.2, 2.5), 2)
            events.append(draw.sounding(thing, start, end))
            start = round(end + _PAUSE, 2)
        return cls(*draw.base, tuple(events), draw.noise())

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        names = [sound_of(event.name) for event in self.events]
        plain = ", then ".join(names)
        captions = (
            plain,
            listed(names),
            f"the sound of {plain}",
            f"first {plain}" if len(names) > 1 else f"{plain} can be heard",
            f"one hears {listed(names)}",
        )
        return [single("ac", "audio", prompts.ac, plain, references=captions)]
