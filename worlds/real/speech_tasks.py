# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tasks of speech alone: transcribing sentences (ASR), and telling which thing was named."""

from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from .frames import NAMING_SENTENCES, sentence
from .names import a
from .scene import Draw, RealScene, Sounding
from .sound import Event

_NAMED_QUESTIONS = (
    "Which thing is named?",
    "What does the speaker talk about?",
    "Which thing do you hear about?",
    "What is being talked about?",
)


@dataclass(frozen=True)
class AsrScene(Sounding, RealScene):
    """A sentence of the small vocabulary, or a name alone; `thing` is the first that it names."""

    task = "asr"
    media = ("audio",)

    events: tuple[Event, ...]
    noise_level: float
    thing: str

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        if draw.split == "people":
            origin = draw.balanced(sorted({one.origin for one in draw.pool.readings}))  # names as often as digits
            reading = rng.choice([one for one in draw.pool.readings if one.origin == origin])
            return cls(*draw.base, (draw.read(reading),), draw.noise(), reading.thing)
        if rng.random() < 0.25:
            thing = rng.choice(draw.pool.named)
            text = rng.choice((thing, a(thing), f"the {thing}"))
        else:
            text, thing = sentence(rng, draw.pool.named)
        return cls(*draw.base, (draw.spoken(text),), draw.noise(), thing)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        return [single("asr", "audio", prompts.asr, self.events[0].name)]


@dataclass(frozen=True)
class FreeScene(AsrScene):
    """A free English sentence."""

    task = "asr_free"

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        return cls(*draw.base, (draw.spoken(draw.rng.choice(draw.pool.sentences)),), draw.noise(), "")


@dataclass(frozen=True)
class SpokenThingScene(AsrScene):
    """A sentence that names one thing, which is asked for."""

    task = "spoken_thing"

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        if draw.split == "people":
            reading = draw.rng.choice(tuple(one for one in draw.pool.readings if one.origin != "digits"))
            return cls(*draw.base, (draw.read(reading),), draw.noise(), reading.thing)
        text, thing = sentence(draw.rng, draw.pool.named, NAMING_SENTENCES)
        return cls(*draw.base, (draw.spoken(text),), draw.noise(), thing)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        question = _NAMED_QUESTIONS[self.seed % len(_NAMED_QUESTIONS)]
        asked = single("spoken_thing", "audio", question, self.thing, references=(self.thing, a(self.thing)))
        said = single("asr", "audio", prompts.asr, self.events[0].name)
        return [asked, *([Question(said.family, said.streams, said.turns, benchmark=False)] if every else [])]
