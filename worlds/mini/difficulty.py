# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How hard the tasks of AVEB-mini are: the one table of all that a difficulty changes."""

from dataclasses import dataclass


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


DIFFICULTIES = {
    "easy": Difficulty(
        transcript_words=(2, 3),
        tempo=(1.0, 1.25),
        speech_noise=(0.001, 0.003),
        sounds=(1, 2),
        pictured=(1, 2),
        shapes=(2, 3),
        letters=(30, 34),
        snr=(2, 10),
        drowned=0.3,
        captioned=0.8,
        segments=(3, 3),
        turns=(3, 3),
        lamps=(2, 2),
        described=(1, 1),
        differing_steps=6,
    ),
    "standard": Difficulty(
        transcript_words=(2, 6),
        tempo=(0.8, 1.2),
        speech_noise=(0.001, 0.006),
        sounds=(1, 4),
        pictured=(1, 3),
        shapes=(2, 4),
        letters=(26, 32),
        snr=(-4, 4),
        drowned=0.35,
        captioned=0.55,
        segments=(3, 5),
        turns=(3, 4),
        lamps=(2, 3),
        described=(1, 2),
        differing_steps=4,
    ),
    "hard": Difficulty(
        transcript_words=(5, 8),
        tempo=(0.65, 0.95),
        speech_noise=(0.02, 0.04),
        sounds=(3, 5),
        pictured=(2, 4),
        shapes=(3, 4),
        letters=(20, 24),
        snr=(-8, -2),
        drowned=0.4,
        captioned=0.3,
        segments=(5, 5),
        turns=(4, 4),
        lamps=(3, 4),
        described=(2, 2),
        differing_steps=2,
    ),
}


def find_difficulty(name: str) -> Difficulty:
    """The row of that name; a ValueError lists the names."""
    if name not in DIFFICULTIES:
        raise ValueError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {name!r}; pass one of these.")
    return DIFFICULTIES[name]
