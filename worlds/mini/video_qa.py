# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Video QA: multiple-choice questions about a moments clip: order, cause and what goes with what.

Options are things of the clip that the question's text leaves equally likely. A sound in the last half second before a
shape appears, with no other sound in the half second before that, is what "makes" it appear: a rule of this world.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from ..timeline import SILENCE, STEP
from .clip import Clip, Segment, find_clip
from .clips import ClipScene
from .scene import Draw
from .world import SOUNDS, is_held_out_sound


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question with its right answer and all options, in the order of the alphabet; `sound` is a cause's kind."""

    kind: str
    streams: str
    question: str
    answer: str
    options: tuple[str, ...]
    held_out: bool
    sound: str | None = None


@dataclass(frozen=True)
class VideoQaScene(ClipScene):
    """A clip, and what the benchmark asks first."""

    task = "video_qa"

    asked: ChoiceQuestion

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        kind = draw.balanced(tuple(KINDS))
        # a long sound is a cause more often: the kind of cause is drawn first, evenly, and then a clip that has it
        cause = rng.choice(SOUNDS)

        def find(clip: Clip) -> ChoiceQuestion | None:
            asked = [item for item in KINDS[kind](clip) if kind != "cause" or item.sound == cause]
            return rng.choice(asked) if asked else None

        clip, asked = find_clip(rng, draw.split, draw.index, draw.level.segments, find)
        return cls(*draw.base, clip, asked)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        rng = random.Random(f"video_qa/{self.seed}")
        found = {kind: ask(self.clip) for kind, ask in KINDS.items()}
        if every:
            asked = [question for questions in found.values() for question in questions]
        else:
            other = rng.choice([kind for kind in KINDS if found[kind] and kind not in (self.asked.kind, "cause")])
            asked = [self.asked, rng.choice(found[other])]
        return [_with_options(question, prompts.options, rng) for question in asked]


def ask_order(clip: Clip) -> list[ChoiceQuestion]:
    """The colour before and after another."""
    colours = [segment.colour for segment in clip.segments]
    found = []
    for earlier, later in zip(clip.segments, clip.segments[1:], strict=False):
        for known, asked, text in (
            (earlier, later, "What comes after {}?"),
            (later, earlier, "What comes before {}?"),
        ):
            options = _options(colour for colour in colours if colour != known.colour)
            question = text.format(known.colour)
            found.append(ChoiceQuestion("order", "visual", question, asked.colour, options, asked.held_out))
    return found


def ask_ends(clip: Clip) -> list[ChoiceQuestion]:
    """The first and the last colour."""
    colours = _options(segment.colour for segment in clip.segments)
    ends = (("What is seen first?", clip.segments[0]), ("What is seen last?", clip.segments[-1]))
    return [ChoiceQuestion("ends", "visual", text, end.colour, colours, end.held_out) for text, end in ends]


def ask_next(clip: Clip) -> list[ChoiceQuestion]:
    """What appears after a sound; the shape that is there while it sounds is no option."""
    found = []
    for event in clip.events:
        place = clip.segments.index(clip.segment_of(event))
        if place + 1 < len(clip.segments):
            others = clip.segments[:place] + clip.segments[place + 1 :]
            answer, options = _appears(clip.segments[place + 1]), _options(map(_appears, others))
            question = f"What happens after {event.phrase} is heard?"
            odd = clip.is_held_out(event) or clip.segments[place + 1].held_out
            found.append(ChoiceQuestion("next", "both", question, answer, options, odd))
    return found


def ask_cause(clip: Clip) -> list[ChoiceQuestion]:
    """What is heard just before a shape appears."""
    sounds = clip.labels()["sound"]
    names = _options(event.phrase for event in clip.events)
    found = []
    for segment in clip.segments[1:]:
        step = round(segment.start / STEP)
        heard = [label for label in sounds[step - 2 : step] if label != SILENCE]
        if sounds[step - 1] != SILENCE and len(set(heard)) == 1 and len(names) > 1:
            (event,) = [event for event in clip.events if event.name == heard[0]]
            question, odd = f"What makes the {segment.name} appear?", segment.held_out
            found.append(ChoiceQuestion("cause", "both", question, event.phrase, names, odd, event.kind))
    return found


def ask_colour(clip: Clip) -> list[ChoiceQuestion]:
    """The colour at the moment of a sound."""
    found = []
    for event in clip.events:
        segment = clip.segment_of(event)
        options = _options(s.colour for s in clip.segments if _possible(s.colour, event.kind, clip.split))
        if len(options) > 1:
            question, odd = f"What colour is seen while {event.phrase} is heard?", clip.is_held_out(event)
            found.append(ChoiceQuestion("colour", "both", question, segment.colour, options, odd))
    return found


def ask_shape(clip: Clip) -> list[ChoiceQuestion]:
    """The shape at the moment of a sound."""
    found = []
    options = _options(segment.shape for segment in clip.segments)
    for event in clip.events:
        segment = clip.segment_of(event)
        question, odd = (
            f"What shape is seen while {event.phrase} is heard?",
            clip.is_held_out(event) or segment.held_out,
        )
        found.append(ChoiceQuestion("shape", "both", question, segment.shape, options, odd))
    return found


def ask_sound(clip: Clip) -> list[ChoiceQuestion]:
    """The sound at the moment of a colour that has just one."""
    found = []
    for segment in clip.segments:
        heard = clip.heard_in(segment)
        possible = [event for event in clip.events if _possible(segment.colour, event.kind, clip.split)]
        options = _options(event.phrase for event in possible)
        if len(heard) == 1 and len(options) > 1:
            question, odd = f"What is heard while {segment.colour} is seen?", clip.is_held_out(heard[0])
            found.append(ChoiceQuestion("sound", "both", question, heard[0].phrase, options, odd))
    return found


KINDS: dict[str, Callable[[Clip], list[ChoiceQuestion]]] = {
    "order": ask_order,
    "ends": ask_ends,
    "next": ask_next,
    "cause": ask_cause,
    "colour": ask_colour,
    "shape": ask_shape,
    "sound": ask_sound,
}


def _with_options(item: ChoiceQuestion, prompt: str, rng: random.Random) -> Question:
    choices: Sequence[str] = rng.sample(item.options, len(item.options))
    question = f"{item.question} {prompt}{'; '.join(choices)}"
    family, extra = f"video_qa_{item.kind}", {"source": "moments", "type": item.kind}
    return single(family, item.streams, question, item.answer, choices=choices, extra=extra, held_out=item.held_out)


def _options(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _possible(colour: str, kind: str, split: str) -> bool:
    """Whether they can go together: else an option would be ruled out by the text alone."""
    return split == "compositional" or not is_held_out_sound(colour, kind)


def _appears(segment: Segment) -> str:
    return f"a {segment.name} appears"
