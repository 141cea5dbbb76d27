# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSR: a sentence in strong noise, while what it names is shown, written, or neither."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, single
from ..scene import SAMPLING_RATE
from .frames import SENTENCES, sentence
from .picture import Sign, Sprite
from .scene import FRAME_RATE, Draw, RealScene, Sounding
from .sound import Event

_SNR = (-3.0, 6.0)  # dB, of the sentence's peak-normalised power over the noise's
_SPEECH_POWER = 0.02  # of speech whose peak is 1, about
_SHOWN = (("picture", 0.55), ("caption", 0.3), ("nothing", 0.15))
_FRAMES = tuple(text for text in SENTENCES if "{a}" in text or "{t}" in text)


@dataclass(frozen=True)
class AvsrScene(Sounding, RealScene):
    """A spoken sentence, and its first thing as a picture or a caption, or neither."""

    task = "avsr"
    media = ("video",)

    events: tuple[Event, ...]
    noise_level: float
    sprites: tuple[Sprite, ...]
    boards: tuple[Sign, ...]

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        text, thing = sentence(rng, draw.pool.seen, _FRAMES)
        event = draw.spoken(text)
        assert event.utterance is not None
        noise = event.level * (_SPEECH_POWER / 10 ** (rng.uniform(*_SNR) / 10)) ** 0.5
        kind = rng.choices([name for name, _ in _SHOWN], [share for _, share in _SHOWN])[0]
        sprites = (draw.sprite(thing, 0.5, 0.45, rng.uniform(0.5, 0.75)),) if kind == "picture" else ()
        boards = (Sign(thing, rng.choice(("white", "black")), 0.5, 0.75, 28, 0.0),) if kind == "caption" else ()
        return cls(*draw.base, (event,), round(noise, 4), sprites, boards)

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def signs(self) -> tuple[Sign, ...]:
        return self.boards

    def pictures(self) -> np.ndarray:
        frames = math.ceil(len(super().sound()) / SAMPLING_RATE * FRAME_RATE)
        return np.repeat(super().pictures(), frames, axis=0)

    def sound(self) -> np.ndarray:
        samples = super().sound()
        return np.pad(samples, (0, -len(samples) % (SAMPLING_RATE // FRAME_RATE)))  # to the end of the last picture

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        return [single("avsr", "both", prompts.avsr, self.events[0].name)]
