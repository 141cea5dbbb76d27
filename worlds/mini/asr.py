# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""ASR: a few spoken words in one voice, any word after any other."""

from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from .scene import Draw, SoundScene
from .vocabulary import SPOKEN_WORDS, duration_of, utterance

_PAUSES = (0.05, 0.3)  # seconds


@dataclass(frozen=True)
class AsrScene(SoundScene):
    """Spoken words over faint noise."""

    task = "asr"

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng, level = draw.rng, draw.level
        words = rng.choices(SPOKEN_WORDS, k=rng.randint(*level.transcript_words))
        events = utterance(rng, words, level.tempo, _PAUSES)
        return cls(*draw.base, duration_of(events), events, round(rng.uniform(*level.speech_noise), 4))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        return [single("asr", "audio", prompts.asr, " ".join(event.name for event in self.events))]
