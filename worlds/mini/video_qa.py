# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Video QA: multiple-choice questions about a moments clip: order, cause and what goes with what.

Options are things of the clip that the question's text leaves equally likely. A sound in the last half second before a
shape appears, with no other sound in the half second before that, is what "makes" it appear: a rule of this world.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from favor.evaluation.readers.questions import OPTIONS_PROMPT

from .clips import ClipScene, sample_clip
from .difficulty import Difficulty
from .scene import SOUNDS, STEP, Scene, Segment, SoundEvent, half_second_labels, is_held_out_shape, is_held_out_sound
from .task_scene import SILENCE, TaskQuestion, balanced, single


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
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        split, index, _, difficulty = base
        kind = balanced(f"video_qa/{split}/{seed}/{difficulty}", index, tuple(KINDS))
        # a long sound is a cause more often: the kind of cause is drawn first, evenly, and then a clip that has it
        cause = rng.choice(SOUNDS)

        def find(clip: Scene) -> ChoiceQuestion | None:
            asked = [item for item in KINDS[kind](clip) if kind != "cause" or item.sound == cause]
            return rng.choice(asked) if asked else None

        clip, asked = sample_clip(rng, split, index, level.segments, find)
        return cls(*base, clip, asked)

    def questions(self, every: bool) -> list[TaskQuestion]:
        rng = random.Random(f"video_qa/{self.seed}")
        found = {kind: ask(self.clip) for kind, ask in KINDS.items()}
        if every:
            asked = [question for questions in found.values() for question in questions]
        else:
            other = rng.choice([kind for kind in KINDS if found[kind] and kind not in (self.asked.kind, "cause")])
            asked = [self.asked, rng.choice(found[other])]
        return [_with_options(question, rng) for question in asked]


def ask_order(clip: Scene) -> list[ChoiceQuestion]:
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
            found.append(ChoiceQuestion("order", "visual", question, asked.colour, options, _odd(asked)))
    return found


def ask_ends(clip: Scene) -> list[ChoiceQuestion]:
    """The first and the last colour."""
    colours = _options(segment.colour for segment in clip.segments)
    ends = (("What is seen first?", clip.segments[0]), ("What is seen last?", clip.segments[-1]))
    return [ChoiceQuestion("ends", "visual", text, end.colour, colours, _odd(end)) for text, end in ends]


def ask_next(clip: Scene) -> list[ChoiceQuestion]:
    """What appears after a sound; the shape that is there while it sounds is no option."""
    found = []
    for event in clip.events:
        place = clip.segments.index(clip.segment_of(event))
        if place + 1 < len(clip.segments):
            others = clip.segments[:place] + clip.segments[place + 1 :]
            answer, options = _appears(clip.segments[place + 1]), _options(map(_appears, others))
            question = f"What happens after {_named(event)} is heard?"
            odd = _odd_moment(clip, event) or _odd(clip.segments[place + 1])
            found.append(ChoiceQuestion("next", "both", question, answer, options, odd))
    return found


def ask_cause(clip: Scene) -> list[ChoiceQuestion]:
    """What is heard just before a shape appears."""
    sounds = half_second_labels(clip)["sound"]
    names = _options(_named(event) for event in clip.events)
    found = []
    for segment in clip.segments[1:]:
        step = round(segment.start / STEP)
        heard = [label for label in sounds[step - 2 : step] if label != SILENCE]
        if sounds[step - 1] != SILENCE and len(set(heard)) == 1 and len(names) > 1:
            (event,) = [event for event in clip.events if event.name == heard[0]]
            question, odd = f"What makes the {segment.colour} {segment.shape} appear?", _odd(segment)
            found.append(ChoiceQuestion("cause", "both", question, _named(event), names, odd, event.kind))
    return found


def ask_colour(clip: Scene) -> list[ChoiceQuestion]:
    """The colour at the moment of a sound."""
    found = []
    for event in clip.events:
        segment = clip.segment_of(event)
        options = _options(s.colour for s in clip.segments if _possible(s.colour, event.kind, clip.split))
        if len(options) > 1:
            question, odd = f"What colour is seen while {_named(event)} is heard?", _odd_moment(clip, event)
            found.append(ChoiceQuestion("colour", "both", question, segment.colour, options, odd))
    return found


def ask_shape(clip: Scene) -> list[ChoiceQuestion]:
    """The shape at the moment of a sound."""
    found = []
    options = _options(segment.shape for segment in clip.segments)
    for event in clip.events:
        segment = clip.segment_of(event)
        question, odd = (
            f"What shape is seen while {_named(event)} is heard?",
            _odd_moment(clip, event) or _odd(segment),
        )
        found.append(ChoiceQuestion("shape", "both", question, segment.shape, options, odd))
    return found


def ask_sound(clip: Scene) -> list[ChoiceQuestion]:
    """The sound at the moment of a colour that has just one."""
    found = []
    for segment in clip.segments:
        heard = [event for event in clip.events if clip.segment_of(event) == segment]
        possible = [event for event in clip.events if _possible(segment.colour, event.kind, clip.split)]
        options = _options(_named(event) for event in possible)
        if len(heard) == 1 and len(options) > 1:
            question, odd = f"What is heard while {segment.colour} is seen?", _odd_moment(clip, heard[0])
            found.append(ChoiceQuestion("sound", "both", question, _named(heard[0]), options, odd))
    return found


KINDS: dict[str, Callable[[Scene], list[ChoiceQuestion]]] = {
    "order": ask_order,
    "ends": ask_ends,
    "next": ask_next,
    "cause": ask_cause,
    "colour": ask_colour,
    "shape": ask_shape,
    "sound": ask_sound,
}


def _with_options(item: ChoiceQuestion, rng: random.Random) -> TaskQuestion:
    choices: Sequence[str] = rng.sample(item.options, len(item.options))
    question = f"{item.question} {OPTIONS_PROMPT}{'; '.join(choices)}"
    family, extra = f"video_qa_{item.kind}", {"source": "moments", "type": item.kind}
    return single(family, item.streams, question, item.answer, choices=choices, extra=extra, held_out=item.held_out)


def _options(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _possible(colour: str, kind: str, split: str) -> bool:
    """Whether they can go together: else an option would be ruled out by the text alone."""
    return split == "compositional" or not is_held_out_sound(colour, kind)


def _odd(segment: Segment) -> bool:
    return is_held_out_shape(segment.colour, segment.shape)


def _odd_moment(clip: Scene, event: SoundEvent) -> bool:
    return is_held_out_sound(clip.segment_of(event).colour, event.kind)


def _appears(segment: Segment) -> str:
    return f"a {segment.colour} {segment.shape} appears"


def _named(event: SoundEvent) -> str:
    """ "the bell", or 'the word "tiger"'."""
    return f'the word "{event.word}"' if event.word else f"the {event.kind}"
