# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Objects at fixed places that light up in some half seconds: drawn, and heard when the one that sounds is lit."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .ac import sound_at
from .grid_still import Look, cell_middle
from .picture import background, jittered, paint, shape_mask
from .scene import COLOURS, FRAME_RATE, STEP, SoundEvent, is_held_out_sound
from .task_scene import NOTHING, SILENCE

_REST_SIZES = (28, 32)  # pixels
_GROWTH = 1.4  # of a lit object's size
_DIMMED = 0.4  # of an unlit object's brightness
_WANDER = 6  # pixels from the middle of the cell


@dataclass(frozen=True)
class Lamp:
    """A shape in cell 1-4, `size` pixels large when it is dark; `lit` says for each half second if it is lit."""

    cell: int
    colour: str
    shape: str
    size: int
    centre: tuple[int, int]
    angle: float
    lit: tuple[bool, ...]

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


def place_lamp(rng: random.Random, look: Look, cell: int, lit: Sequence[bool]) -> Lamp:
    """A lamp of that look near the middle of its cell."""
    middle = cell_middle(cell)
    x, y = (place + rng.randint(-_WANDER, _WANDER) for place in middle)
    return Lamp(cell, *look, rng.randint(*_REST_SIZES), (x, y), round(rng.uniform(-12, 12), 1), tuple(lit))


def draw_lamps(seed: int, lamps: Sequence[Lamp], steps: int) -> np.ndarray:
    """All frames, (frames, 128, 128, 3) uint8, at 8 a second."""
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


def lit_labels(lamps: Sequence[Lamp], steps: int) -> dict[str, list[str | None]]:
    """`lit_colour` and `lit_shape` of the one lamp that is lit in each half second, or "nothing"."""
    lit = [next((lamp for lamp in lamps if lamp.lit[step]), None) for step in range(steps)]
    return {
        "lit_colour": [lamp.colour if lamp else NOTHING for lamp in lit],
        "lit_shape": [lamp.shape if lamp else NOTHING for lamp in lit],
    }


def timelines(lamps: Sequence[Lamp], kind: str, sounding: Sequence[bool]) -> tuple[str, str, str]:
    """Half second by half second what is lit and heard ("red circle bell, nothing silence"), what is lit, and what
    is heard."""
    lit = [next((lamp.name for lamp in lamps if lamp.lit[step]), NOTHING) for step in range(len(sounding))]
    heard = [kind if sounds else SILENCE for sounds in sounding]
    both = [f"{seen} {sound}" for seen, sound in zip(lit, heard, strict=True)]
    return ", ".join(both), ", ".join(lit), ", ".join(heard)


def odd_colours(kind: str) -> set[str]:
    """The colours with which `kind` never sounds in training."""
    return {colour for colour in COLOURS if is_held_out_sound(colour, kind)}
