# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How hard the tasks of AVEB-mini are: the one table of all that a difficulty changes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difficulty:
    """Pairs are the least and the greatest value, both possible.

    Attributes:
        transcript_words: words of an ASR clip.
        tempo: factor on the usual duration of spoken words.
        speech_noise: level of the noise under ASR, ISQA's questions and AVM's descriptions.
        sounds: sounds of an AC clip.
        pictured: shapes of an IC still.
        shapes: shapes of a VQA or ISQA still.
        letters: font size on OCR's signs, in pixels of 128.
        snr: of AVSR's words that can be heard, in decibels.
        drowned: share of AVSR's words that the noise drowns; all of them have a caption.
        captioned: share of AVSR's other words that have a caption.
        segments: shapes that a clip of Video QA and AVSD shows one after another.
        turns: turns of an AVSD dialogue.
        lamps: objects of an AVSSD clip.
        described: shapes of an AVM still and its description.
        differing_steps: half seconds, at least, in which sound and light of an AVM mismatch differ.
    """

    transcript_words: tuple[int, int]
    tempo: tuple[float, float]
    speech_noise: tuple[float, float]
    sounds: tuple[int, int]
    pictured: tuple[int, int]
    shapes: tuple[int, int]
    letters: tuple[int, int]
    snr: tuple[float, float]
    drowned: float
    captioned: float
    segments: tuple[int, int]
    turns: tuple[int, int]
    lamps: tuple[int, int]
    described: tuple[int, int]
    differing_steps: int


_LEVELS = ("easy", "standard", "hard")
_TABLE: dict[str, tuple[Any, Any, Any]] = {  # value at each of the levels
    "transcript_words": ((2, 3), (2, 6), (5, 8)),
    "tempo": ((1.0, 1.25), (0.8, 1.2), (0.65, 0.95)),
    "speech_noise": ((0.001, 0.003), (0.001, 0.006), (0.02, 0.04)),
    "sounds": ((1, 2), (1, 4), (3, 5)),
    "pictured": ((1, 2), (1, 3), (2, 4)),
    "shapes": ((2, 3), (2, 4), (3, 4)),
    "letters": ((30, 34), (26, 32), (20, 24)),
    "snr": ((2, 10), (-4, 4), (-8, -2)),
    "drowned": (0.3, 0.35, 0.4),
    "captioned": (0.8, 0.55, 0.3),
    "segments": ((3, 3), (3, 5), (5, 5)),
    "turns": ((3, 3), (3, 4), (4, 4)),
    "lamps": ((2, 2), (2, 3), (3, 4)),
    "described": ((1, 1), (1, 2), (2, 2)),
    "differing_steps": (6, 4, 2),
}
DIFFICULTIES = {
    level: Difficulty(**{name: values[place] for name, values in _TABLE.items()})
    for place, level in enumerate(_LEVELS)
}


def find_difficulty(name: str) -> Difficulty:
    """The row of that name; a ValueError lists the names."""
    if name not in DIFFICULTIES:
        raise ValueError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {name!r}; pass one of these.")
    return DIFFICULTIES[name]
