# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVM: does a spoken description fit a still, does an on-and-off sound fit an object that lights up?

Every item begins with two variants that differ a little, in an order that is drawn evenly. Picture and sound show the
same one ("Yes"), or one each ("No"). So each stream by itself looks the same in both cases.
"""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, lesson, single
from ..sampling import shown_and_heard
from ..timeline import STEP
from .grid_still import CELLS, Piece, ask_cells, cell_labels, draw_still, place_pieces, sample_look, sample_looks
from .lamps import STEPS, Lamp, ask_timelines, draw_lamps, lamp_labels, odd_colours, place_lamp, sounds_when
from .scene import Draw, MiniScene, Sounding
from .sound_event import KINDS, SoundEvent
from .vocabulary import duration_of, utterance
from .world import COLOURS, SHAPES, Look, is_allowed, is_held_out_sound

_CELLS_OF = {  # of the first and the second shape, by what is said between them
    "left of": ((1, 2), (3, 4)),
    "right of": ((2, 1), (4, 3)),
    "above": ((1, 3), (2, 4)),
    "below": ((3, 1), (4, 2)),
}
_KINDS = (("image", True), ("image", False), ("video", True), ("video", False))
_LEAST_LIT = 3  # half seconds in which the object is lit, and in which it is not

Description = tuple[tuple[Look, ...], str]  # one or two looks, and what is said between two


@dataclass(frozen=True)
class AvmScene(Sounding, MiniScene):
    """A still of `pieces` and a description, or a video of one lamp and a sound; `matches` is the answer."""

    task = "avm"

    medium: str
    matches: bool
    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float
    pieces: tuple[Piece, ...] = ()
    lamp: Lamp | None = None
    sounding: tuple[bool, ...] = ()

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        medium, matches = draw.balanced(_KINDS)
        make = cls._sample_still if medium == "image" else cls._sample_video
        return make(draw, matches)

    @classmethod
    def _sample_still(cls, draw: Draw, matches: bool) -> Self:
        rng, level = draw.rng, draw.level
        shown, said = shown_and_heard(rng, _two_descriptions(rng, draw.split, rng.randint(*level.described)), matches)
        looks, relation = shown
        cells = rng.choice(_CELLS_OF[relation]) if relation else (rng.choice(CELLS),)
        events = utterance(rng, _words(said), level.tempo)
        noise = round(rng.uniform(*level.speech_noise), 4)
        pieces = place_pieces(rng, looks, cells)
        return cls(*draw.base, "image", matches, duration_of(events), events, noise, pieces=pieces)

    @classmethod
    def _sample_video(cls, draw: Draw, matches: bool) -> Self:
        rng, level = draw.rng, draw.level
        kind, steps = rng.choice(KINDS), rng.randint(*STEPS)
        lit, sounding = shown_and_heard(rng, _two_patterns(rng, steps, level.differing_steps), matches)
        seek = draw.split == "compositional" and rng.random() < 0.6
        while True:
            look = sample_look(rng, draw.split)
            if (look[0] in odd_colours(kind)) == seek:
                break
        lamp = place_lamp(rng, look, rng.choice(CELLS), lit)
        noise = round(rng.uniform(0.001, 0.006), 4)
        events = sounds_when(rng, kind, sounding)
        return cls(*draw.base, "video", matches, steps * STEP, events, noise, lamp=lamp, sounding=sounding)

    @property
    def media(self) -> tuple[str, ...]:
        return ("video",) if self.lamp else ("image", "audio")

    def pictures(self) -> np.ndarray:
        if self.lamp:
            return draw_lamps(self.seed, (self.lamp,), len(self.sounding))
        return draw_still(self.seed, self.pieces)

    def labels(self) -> dict[str, list[str | None]]:
        if self.lamp is None:
            return cell_labels(self.pieces)
        return lamp_labels((self.lamp,), self.events, len(self.sounding))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        answer = "Yes" if self.matches else "No"
        if self.lamp is None:
            heard = " ".join(event.name for event in self.events)
            odd = any(piece.held_out for piece in self.pieces)
            question, extra = prompts.avm_image, {"source": "still", "heard": heard}
            lessons = [lesson("avm_heard", "audio", "What is being said?", heard), ask_cells(self.task, self.pieces)]
        else:
            kind = self.events[0].kind
            odd_sound = is_held_out_sound(self.lamp.colour, kind)
            odd = odd_sound or self.lamp.held_out
            question, extra = prompts.avm_video, {"source": "video", "heard": kind}
            lessons = ask_timelines(self.task, (self.lamp,), kind, self.sounding, odd_sound)
        asked = [single(f"avm_{self.medium}", "both", question, answer, extra=extra, held_out=odd)]
        return self.with_lesson(asked, lessons, every)


def _two_descriptions(rng: random.Random, split: str, count: int) -> tuple[Description, Description]:
    """Two that differ in one colour, in one shape or in how the shapes lie."""
    looks = sample_looks(
        rng, split, count, lambda looks: count == 1 or all(a != b for a, b in zip(*looks, strict=True))
    )
    relation = rng.choice(tuple(_CELLS_OF)) if count == 2 else ""
    attribute = rng.choice(("colour", "shape", "relation")[: count + 1])
    if attribute == "relation":
        other = rng.choice([name for name in _CELLS_OF if name != relation])
        return (tuple(looks), relation), (tuple(looks), other)
    place = rng.randrange(count)
    (colour, shape), taken = looks[place], {value for look in looks for value in look}
    if attribute == "colour":
        others = [(value, shape) for value in COLOURS if value not in taken]
    else:
        others = [(colour, value) for value in SHAPES if value not in taken]
    changed = [*looks]
    changed[place] = rng.choice([look for look in others if is_allowed(look, split)])
    return (tuple(looks), relation), (tuple(changed), relation)


def _words(description: Description) -> list[str]:
    looks, relation = description
    parts = [["a", *look] for look in looks]
    return [*parts[0], *relation.split(), *parts[1]] if relation else parts[0]


def _two_patterns(rng: random.Random, steps: int, differing: int) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Two ways to be on equally often, which differ in at least so many half seconds."""
    on = [True] * rng.randint(max(_LEAST_LIT, differing // 2), steps - max(_LEAST_LIT, differing // 2))
    one = on + [False] * (steps - len(on))
    rng.shuffle(one)
    while True:
        other = rng.sample(one, steps)
        if sum(a != b for a, b in zip(one, other, strict=True)) >= differing:
            return tuple(one), tuple(other)
