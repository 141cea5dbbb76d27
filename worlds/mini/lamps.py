# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Objects at fixed places that light up in some half seconds: drawn, and heard when the one that sounds is lit."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..question import Question, lesson
from ..timeline import NOTHING, SILENCE, STEP, sound_labels
from .grid_still import Piece, cell_labels, place
from .picture import background, jittered, paint, shape_mask
from .sound_event import SoundEvent, sound_at
from .world import COLOURS, FRAME_RATE, Look, is_held_out_sound

STEPS = (8, 12)  # half seconds of a clip
SOUND_TIMELINE = "List only the sound for every half second."
_TIMELINE = "List the lit object and the sound for every half second."
_LIT_TIMELINE = "List only the lit object for every half second."
_REST_SIZES = (28, 32)  # pixels
_GROWTH = 1.4  # of a lit object's size
_DIMMED = 0.4  # of an unlit object's brightness


@dataclass(frozen=True)
class Lamp(Piece):
    """A piece, `size` pixels large when it is dark; `lit` says for each half second if it is lit."""

    lit: tuple[bool, ...]


def place_lamp(rng: random.Random, look: Look, cell: int, lit: Sequence[bool]) -> Lamp:
    """A lamp of that look near the middle of its cell."""
    return Lamp(**vars(place(rng, look, cell, _REST_SIZES)), lit=tuple(lit))


def draw_lamps(seed: int, lamps: Sequence[Lamp], steps: int) -> np.ndarray:
    """All frames, (frames, 128, 128, 3) uint8, at 8 per second."""
    rng = np.random.default_rng([seed, 1])
    still = background(rng)
    looks = {}
    for lamp in lamps:
        colour = jittered(lamp.colour, rng)
        looks[lamp, False] = shape_mask(lamp.shape, lamp.size, lamp.angle), colour * _DIMMED
        looks[lamp, True] = shape_mask(lamp.shape, round(lamp.size * _GROWTH), lamp.angle), colour
    pictures = np.repeat(still[None], steps, axis=0)  # (half seconds, height, width, 3)
    for step, picture in enumerate(pictures):
        for lamp in lamps:
            paint(picture, lamp.centre, *looks[lamp, lamp.lit[step]])
    return np.repeat(pictures, round(FRAME_RATE * STEP), axis=0)


def sounds_when(rng: random.Random, kind: str, sounding: Sequence[bool]) -> tuple[SoundEvent, ...]:
    """One sound of that kind in each of these half seconds, all equally loud and high."""
    model = sound_at(rng, kind, 0)
    events = []
    for step in np.flatnonzero(sounding):
        event = sound_at(rng, kind, int(step))
        events.append(SoundEvent(event.start, event.end, kind, model.level, model.pitch))
    return tuple(events)


def lamp_labels(lamps: Sequence[Lamp], events: Sequence[SoundEvent], steps: int) -> dict[str, list[str | None]]:
    """Labels by name: `lit_colour` and `lit_shape` of the lamp that is lit, those of the cells, and `sound`.

    Each has one value per half second: where no lamp is lit, "nothing".
    """
    lit = [next((lamp for lamp in lamps if lamp.lit[step]), None) for step in range(steps)]
    return {
        "lit_colour": [lamp.colour if lamp else NOTHING for lamp in lit],
        "lit_shape": [lamp.shape if lamp else NOTHING for lamp in lit],
        **cell_labels(lamps, steps),
        "sound": sound_labels(events, steps),
    }


def ask_timelines(task: str, lamps: Sequence[Lamp], kind: str, sounding: Sequence[bool], odd: bool) -> list[Question]:
    """Lessons: half second by half second what is lit and heard, what is lit, and what is heard.

    An answer reads "red circle bell, nothing silence". `odd`: whether training does not show the sound with that
    colour.
    """
    lit = [next((lamp.name for lamp in lamps if lamp.lit[step]), NOTHING) for step in range(len(sounding))]
    heard = [kind if sounds else SILENCE for sounds in sounding]
    both = [f"{seen} {sound}" for seen, sound in zip(lit, heard, strict=True)]
    odd_look = any(lamp.held_out for lamp in lamps)
    return [
        lesson(f"{task}_timeline", "both", _TIMELINE, ", ".join(both), odd or odd_look),
        lesson(f"{task}_timeline_lit", "visual", _LIT_TIMELINE, ", ".join(lit), odd_look),
        lesson(f"{task}_timeline_sound", "audio", SOUND_TIMELINE, ", ".join(heard)),
    ]


def odd_colours(kind: str) -> set[str]:
    """The colours with which `kind` never sounds in training."""
    return {colour for colour in COLOURS if is_held_out_sound(colour, kind)}
