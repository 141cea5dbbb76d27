# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One thing at a time: what is in the picture, what makes the sound. No tasks of AVEB, but what they all rest on."""

import random
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, lesson, single
from .names import a
from .picture import Sprite
from .scene import Draw, RealScene, Sounding
from .sound import Event

_SEEN_QUESTIONS = ("What is this?", "What is shown?", "What is in the picture?", "Name the thing in the picture.")
_HEARD_QUESTIONS = ("What makes this sound?", "What do you hear?", "What is heard?", "Name the source of the sound.")


def references(thing: str) -> tuple[str, ...]:
    """All answers that name a thing: its name, with its article, or any word of it."""
    return tuple(dict.fromkeys((thing, a(thing), *thing.split())))


@dataclass(frozen=True)
class NamePictureScene(RealScene):
    """A still of one thing."""

    task = "name_picture"
    media = ("image",)

    sprite: Sprite

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        thing = draw.rng.choice(draw.pool.seen)
        size = draw.rng.uniform(0.4, 0.9)
        reach = (1 - size) / 2
        x, y = (0.5 + draw.rng.uniform(-reach, reach) for _ in range(2))
        return cls(*draw.base, draw.sprite(thing, x, y, size))

    def things(self) -> tuple[Sprite, ...]:
        return (self.sprite,)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        thing = self.sprite.thing
        question = random.Random(f"question/{self.seed}").choice(_SEEN_QUESTIONS)
        asked = single("name_picture", "visual", question, thing, references=references(thing))
        return [asked, *([lesson("ic", "visual", prompts.ic, a(thing))] if every else [])]


@dataclass(frozen=True)
class NameSoundScene(Sounding, RealScene):
    """A real sound of one thing."""

    task = "name_sound"
    media = ("audio",)

    events: tuple[Event, ...]
    noise_level: float

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        event = draw.sounding(draw.rng.choice(draw.pool.heard), 0.1, round(draw.rng.uniform(1.5, 4.5), 2))
        return cls(*draw.base, (event,), draw.noise())

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        thing = self.events[0].name
        question = random.Random(f"question/{self.seed}").choice(_HEARD_QUESTIONS)
        return [single("name_sound", "audio", question, thing, references=references(thing))]
