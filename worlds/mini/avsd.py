# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSD: a dialogue about a moments clip, every turn of which rests on the turns before it."""

import random
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, Turn
from ..timeline import NOTHING
from .clip import Clip, Segment, find_clip
from .clips import ClipScene
from .scene import Draw
from .world import is_held_out_sound

_SILENT_SHARE = 1 / 6  # of the turns that ask what is heard; five kinds of sound share the rest
_STEPS = {1: "And what colour comes after it?", -1: "And what colour comes before it?"}

Dialogue = tuple[tuple[str, str], ...]  # question and answer of each turn


@dataclass(frozen=True)
class AvsdScene(ClipScene):
    """A clip and (question, answer) of each turn. `truth` is whether the last answer is "yes"."""

    task = "avsd"

    dialogue: Dialogue
    truth: bool
    held_out: bool

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng, level = draw.rng, draw.level
        truth = draw.balanced((True, False))
        count, silent = rng.randint(*level.turns), rng.random() < _SILENT_SHARE

        def find(clip: Clip) -> tuple[Dialogue, bool] | None:
            return _sample_dialogue(rng, clip, count, silent, truth)

        clip, (dialogue, held_out) = find_clip(rng, draw.split, draw.index, level.segments, find)
        return cls(*draw.base, clip, dialogue, truth, held_out)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        turns = tuple(
            Turn(question, answer, extra={"dialogue": self.name, "turn": number, "question": question})
            for number, (question, answer) in enumerate(self.dialogue, start=1)
        )
        return [Question("avsd", "both", turns, self.held_out)]


def _sample_dialogue(
    rng: random.Random, clip: Clip, count: int, silent: bool, truth: bool
) -> tuple[Dialogue, bool] | None:
    """Three or four turns, and whether they are about held-out combinations; None if the clip gives none.

    First a moment is picked; a step leads from it to the one before or after; then it is asked what is heard there,
    if there are four turns, and at last whether it is a certain shape.
    """
    place = rng.randrange(len(clip.segments))
    step = rng.choice([step for step in _STEPS if 0 <= place + step < len(clip.segments)])
    first, segment = clip.segments[place], clip.segments[place + step]
    start, heard = _point_at(rng, clip, first), clip.heard_in(segment)
    if start is None or (count > 3 and len(heard) != (0 if silent else 1)):
        return None
    others = sorted({other.shape for other in clip.segments} - {segment.shape})
    shape = segment.shape if truth else rng.choice(others)
    middle = [("What is heard while it is seen?", heard[0].phrase if heard else NOTHING)] if count > 3 else []
    turns = (
        (start, first.colour),
        (_STEPS[step], segment.colour),
        *middle,
        (f"Is it a {shape}?", "yes" if truth else "no"),
    )
    odd_looks = first.held_out or segment.held_out
    odd_sounds = any(is_held_out_sound(segment.colour, event.kind) for event in heard)
    return turns, odd_looks or (bool(middle) and odd_sounds)


def _point_at(rng: random.Random, clip: Clip, segment: Segment) -> str | None:
    """A question for the colour of `segment`, by its place or by what is heard; None if there is no way to ask."""
    ways = [f"What colour is seen while {event.phrase} is heard?" for event in clip.heard_in(segment)]
    if segment == clip.segments[0]:
        ways.append("What colour is seen first?")
    elif segment == clip.segments[-1]:
        ways.append("What colour is seen last?")
    return rng.choice(ways) if ways else None
