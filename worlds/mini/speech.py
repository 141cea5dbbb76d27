# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The words of this world as eSpeak NG says them, each of them spoken once, in a fixed order (see `worlds/speech.py`).

The first use speaks the ten words of world.WORDS in every voice (about a second); then, when one of them is needed,
all other words of vocabulary.py are spoken.
"""

from functools import cache

import numpy as np

from ..speech import Recordings, engine, fit, speak_all
from .vocabulary import OTHER_WORDS
from .world import SPEECH_PITCHES, VOICES, WORDS

_SPEEDS = (110, 140, 175, 215)  # words per minute
_OTHER_SPEEDS = (130, 185)  # of the words beyond WORDS: fewer, for a quick start


@cache
def _bank() -> Recordings:
    """WORDS at every speed."""
    return speak_all(engine(), WORDS, VOICES, SPEECH_PITCHES, _SPEEDS)


@cache
def _other_bank() -> Recordings:
    """OTHER_WORDS at every speed; spoken after WORDS, always."""
    _bank()
    return speak_all(engine(), OTHER_WORDS, VOICES, SPEECH_PITCHES, _OTHER_SPEEDS)


def speak(word: str, voice: str, pitch: int, length: int, sampling_rate: int) -> np.ndarray:
    """Speaks `word` in exactly `length` samples, peak 1.

    Args:
        word: one of vocabulary.SPOKEN_WORDS.
        voice: one of world.VOICES.
        pitch: one of world.SPEECH_PITCHES.
        length: number of samples to return.
        sampling_rate: of the returned samples, in Hz.
    """
    bank = _other_bank() if word in OTHER_WORDS else _bank()
    if (word, voice, pitch) not in bank:
        raise ValueError(
            f"word, voice and pitch {word, voice, pitch} are not on record; use those of world.py and vocabulary.py."
        )
    return fit(bank[word, voice, pitch], length, sampling_rate)
