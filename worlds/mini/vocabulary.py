# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The words that can be spoken, and utterances of several of them in one voice."""

import random
from collections.abc import Sequence

from .sound_event import SoundEvent
from .world import SPEECH_PITCHES, VOICES

# Seconds that a word takes: the median over voices and speeds of what eSpeak NG says. WORDS of world.py come first.
_SECONDS = {
    **{"apple": 0.42, "seven": 0.53, "river": 0.46, "window": 0.54, "tiger": 0.49},
    **{"music": 0.55, "pencil": 0.53, "garden": 0.52, "doctor": 0.52, "banana": 0.49},
    **{"red": 0.42, "green": 0.43, "blue": 0.39, "yellow": 0.50, "white": 0.46, "purple": 0.48},
    **{"circle": 0.56, "square": 0.61, "triangle": 0.74, "star": 0.49},
    **{"what": 0.39, "colour": 0.39, "shape": 0.51, "is": 0.36, "the": 0.32, "left": 0.44, "right": 0.47},
    **{"above": 0.57, "below": 0.52, "a": 0.33, "of": 0.34},
}
SPOKEN_WORDS = tuple(_SECONDS)
OTHER_WORDS = SPOKEN_WORDS[10:]  # all but WORDS: spoken after those, in this order
MARGIN = 0.25  # seconds without speech before and after an utterance


def utterance(
    rng: random.Random,
    words: Sequence[str],
    tempo: tuple[float, float],
    pauses: tuple[float, float] = (0.05, 0.15),
) -> tuple[SoundEvent, ...]:
    """The words one after another in one voice, from MARGIN seconds on.

    Args:
        rng: draws voice, pitch, level, tempo and pauses.
        words: of SPOKEN_WORDS.
        tempo: least and greatest factor on the words' usual durations, one for the utterance.
        pauses: least and greatest pause between two words, in seconds.
    """
    voice, pitch, factor = rng.choice(VOICES), rng.choice(SPEECH_PITCHES), rng.uniform(*tempo)
    level, time = round(rng.uniform(0.5, 1.0), 2), MARGIN
    events = []
    for word in words:
        start = round(time, 2)
        end = round(start + _SECONDS[word] * factor * rng.uniform(0.95, 1.05), 2)
        events.append(SoundEvent(start, end, "speech", level, pitch, word, voice))
        time = end + rng.uniform(*pauses)
    return tuple(events)


def duration_of(events: Sequence[SoundEvent]) -> float:
    """Seconds of a sound file that holds an utterance."""
    return round(events[-1].end + MARGIN, 2)
