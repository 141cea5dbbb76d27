# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One sound of this world: when it is heard, and what it is."""

import random
from dataclasses import dataclass

from ..timeline import STEP

KINDS = ("beep", "hum", "noise", "bell")  # of sounds that are no speech
PITCHES = {"beep": (900, 1100), "hum": (120, 160), "noise": (0, 0), "bell": (550, 650)}  # Hz
_MARGIN = (0.05, 0.11)  # seconds that a sound keeps from the borders of the half seconds it fills


@dataclass(frozen=True)
class SoundEvent:
    """One sound from `start` to `end` (s). `pitch` is in Hz, for speech 0-100; only speech has `word` and `voice`."""

    start: float
    end: float
    kind: str
    level: float
    pitch: int
    word: str | None = None
    voice: str | None = None

    @property
    def name(self) -> str:
        """What tells the sound from all others of its scene: the spoken word, or the kind."""
        return self.word or self.kind

    @property
    def phrase(self) -> str:
        """ "the bell", or 'the word "tiger"'."""
        return f'the word "{self.word}"' if self.word else f"the {self.kind}"


def sound_at(rng: random.Random, kind: str, first_step: int, steps: int = 1) -> SoundEvent:
    """A sound of that kind that fills so many half seconds, but for small margins."""
    start = round(first_step * STEP + rng.uniform(*_MARGIN), 2)
    end = round((first_step + steps) * STEP - rng.uniform(*_MARGIN), 2)
    return SoundEvent(start, end, kind, round(rng.uniform(0.4, 1.0), 2), round(rng.uniform(*PITCHES[kind])))
