# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSD: a dialogue about a moments clip, every turn of which rests on the turns before it."""

import random
from dataclasses import dataclass
from typing import Self

from .clips import ClipScene, sample_clip
from .difficulty import Difficulty
from .scene import Scene, Segment, SoundEvent, is_held_out_shape, is_held_out_sound
from .task_scene import NOTHING, TaskQuestion, Turn, balanced

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
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        split, index, _, difficulty = base
        truth = balanced(f"avsd/{split}/{seed}/{difficulty}", index, (True, False))
        count, silent = rng.randint(*level.turns), rng.random() < _SILENT_SHARE

        def find(clip: Scene) -> tuple[Dialogue, bool] | None:
            return _sample_dialogue(rng, clip, count, silent, truth)

        clip, (dialogue, held_out) = sample_clip(rng, split, index, level.segments, find)
        return cls(*base, clip, dialogue, truth, held_out)

    def questions(self, every: bool) -> list[TaskQuestion]:
        turns = tuple(
            Turn(question, answer, extra={"dialogue": self.name, "turn": number, "question": question})
            for number, (question, answer) in enumerate(self.dialogue, start=1)
        )
        return [TaskQuestion("avsd", "both", turns, self.held_out)]


def _sample_dialogue(
    rng: random.Random, clip: Scene, count: int, silent: bool, truth: bool
) -> tuple[Dialogue, bool] | None:
    """Three or four turns, and whether they are about held-out combinations; None if the clip gives none.

    First a moment is picked; a step leads from it to the one before or after; then it is asked what is heard there,
    if there are four turns, and at last whether it is a certain shape.
    """
    place = rng.randrange(len(clip.segments))
    step = rng.choice([step for step in _STEPS if 0 <= place + step < len(clip.segments)])
    first, segment = clip.segments[place], clip.segments[place + step]
    start, heard = _point_at(rng, clip, first), _heard(clip, segment)
    if start is None or (count > 3 and len(heard) != (0 if silent else 1)):
        return None
    others = sorted({other.shape for other in clip.segments} - {segment.shape})
    shape = segment.shape if truth else rng.choice(others)
    middle = [("What is heard while it is seen?", _name(heard[0]) if heard else NOTHING)] if count > 3 else []
    turns = (
        (start, first.colour),
        (_STEPS[step], segment.colour),
        *middle,
        (f"Is it a {shape}?", "yes" if truth else "no"),
    )
    odd_looks = any(is_held_out_shape(part.colour, part.shape) for part in (first, segment))
    odd_sounds = any(is_held_out_sound(segment.colour, event.kind) for event in heard)
    return turns, odd_looks or (bool(middle) and odd_sounds)


def _point_at(rng: random.Random, clip: Scene, segment: Segment) -> str | None:
    """A question for the colour of `segment`, by its place or by what is heard; None if there is no way to ask."""
    ways = [f"What colour is seen while {_name(event)} is heard?" for event in _heard(clip, segment)]
    if segment == clip.segments[0]:
        ways.append("What colour is seen first?")
    elif segment == clip.segments[-1]:
        ways.append("What colour is seen last?")
    return rng.choice(ways) if ways else None


def _heard(clip: Scene, segment: Segment) -> list[SoundEvent]:
    return [event for event in clip.events if clip.segment_of(event) == segment]


def _name(event: SoundEvent) -> str:
    """ "the bell", or 'the word "tiger"'."""
    return f'the word "{event.word}"' if event.word else f"the {event.kind}"
