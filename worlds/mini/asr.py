# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""ASR: a few spoken words in one voice, any word after any other."""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from favor.evaluation.tasks.asr import PROMPT

from .difficulty import Difficulty
from .scene import SoundEvent
from .sound import render_sound
from .task_scene import TaskQuestion, TaskScene, single
from .vocabulary import SPOKEN_WORDS, duration_of, utterance

_PAUSES = (0.05, 0.3)  # seconds


@dataclass(frozen=True)
class AsrScene(TaskScene):
    """Spoken words over faint noise."""

    task = "asr"
    media = ("audio",)

    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float

    @classmethod
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        words = rng.choices(SPOKEN_WORDS, k=rng.randint(*level.transcript_words))
        events = utterance(rng, words, level.tempo, _PAUSES)
        return cls(*base, duration_of(events), events, round(rng.uniform(*level.speech_noise), 4))

    def sound(self) -> np.ndarray:
        return render_sound(self)

    def questions(self, every: bool) -> list[TaskQuestion]:
        return [single("asr", "audio", PROMPT, " ".join(event.name for event in self.events))]
