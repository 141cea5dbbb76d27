# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Video QA and AVSD: what is shown while something is heard, what is heard while something is shown, and the order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, Turn, lesson, single
from ..timeline import NOTHING
from .clip import Clip, ClipScene, Segment, sample_clip
from .frames import sound_of, while_heard
from .names import a, is_plural
from .scene import Draw
from .sound import Event


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question of one of `KINDS` with its right answer and all options, in an order that is drawn."""

    kind: str
    streams: str
    question: str
    answer: str
    options: tuple[str, ...]


def _is(name: str) -> str:
    return "are" if is_plural(name) else "is"


def event_name(event: Event) -> str:
    """A sound as an option: "a dog", "the word 'door'"."""
    return f"the word '{event.name}'" if event.is_speech else sound_of(event.name)


def ask_shown_while(clip: Clip, rng: random.Random) -> list[ChoiceQuestion]:
    """What is shown while a sound is heard: any of the clip's things could be."""
    options = [segment.thing for segment in clip.segments]
    found = []
    for event in clip.events:
        text = rng.choice(("What is shown {}?", "What do you see {}?", "Which thing is on the screen {}?"))
        question = text.format(while_heard(rng, event.name, event.is_speech))
        found.append(_choice("shown_while", "both", question, clip.segment_of(event).thing, options, rng))
    return found


def ask_heard_while(clip: Clip, rng: random.Random) -> list[ChoiceQuestion]:
    """What is heard while a thing is shown: any of the clip's sounds could be."""
    options = [event_name(event) for event in clip.events]
    found = []
    for event in clip.events:
        thing = clip.segment_of(event).thing
        text = rng.choice(("What is heard while the {} {} shown?", "What do you hear when the {} {} on the screen?"))
        found.append(_choice("heard_while", "both", text.format(thing, _is(thing)), event_name(event), options, rng))
    return found


def ask_order_seen(clip: Clip, rng: random.Random) -> list[ChoiceQuestion]:
    """What is shown right after or before another thing."""
    return _ask_order("order_seen", "visual", [segment.thing for segment in clip.segments], rng, "shown")


def ask_order_heard(clip: Clip, rng: random.Random) -> list[ChoiceQuestion]:
    """What is heard right after or before another sound; it takes three to be a question."""
    if len(clip.events) < 3:
        return []
    found = []
    names = [event_name(event) for event in clip.events]
    for place, event in enumerate(clip.events):
        others = [name for name in names if name != event_name(event)]
        for step, tense in ((1, "after"), (-1, "before")):
            if 0 <= place + step < len(names):
                clause = while_heard(rng, event.name, event.is_speech, tense)
                question = f"What do you hear right {clause}?"
                found.append(_choice("order_heard", "audio", question, names[place + step], others, rng))
    return found


def _ask_order(kind: str, streams: str, names: Sequence[str], rng: random.Random, verb: str) -> list[ChoiceQuestion]:
    found = []
    for earlier, later in zip(names, names[1:], strict=False):
        for known, answer, word in ((earlier, later, "after"), (later, earlier, "before")):
            others = [name for name in names if name != known]
            found.append(_choice(kind, streams, f"What is {verb} right {word} the {known}?", answer, others, rng))
    return found


def _choice(
    kind: str, streams: str, question: str, answer: str, options: Sequence[str], rng: random.Random
) -> ChoiceQuestion:
    return ChoiceQuestion(kind, streams, question, answer, tuple(rng.sample(list(options), len(options))))


KINDS = {
    "shown_while": ask_shown_while,
    "heard_while": ask_heard_while,
    "order_seen": ask_order_seen,
    "order_heard": ask_order_heard,
}


@dataclass(frozen=True)
class VideoQaScene(ClipScene):
    """A clip, and what the benchmark asks about it."""

    task = "video_qa"

    asked: ChoiceQuestion

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        kind = draw.balanced(tuple(KINDS))
        clip = sample_clip(draw, least_events=3)
        return cls(*draw.base, clip, draw.noise(), draw.rng.choice(KINDS[kind](clip, draw.rng)))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        rng = random.Random(f"video_qa/{self.seed}")
        asked = [_with_options(self.asked, prompts.options)]
        lessons = [lesson("timeline", "both", "What is shown and heard, one after another?", timeline(self.clip))]
        if every:
            found = [question for ask in KINDS.values() for question in ask(self.clip, rng)]
            chosen = [question for question in rng.sample(found, 4) if question.question != self.asked.question]
            lessons += [_with_options(question, prompts.options) for question in chosen]
        return [*asked, *(lessons if every else [])]


def timeline(clip: Clip) -> str:
    """All that is shown and heard, in its order: "a key with the word 'door', then a pear"."""
    parts = []
    for segment in clip.segments:
        event = clip.heard_in(segment)
        parts.append(f"{a(segment.thing)} with {event_name(event)}" if event else a(segment.thing))
    return ", then ".join(parts)


def _with_options(asked: ChoiceQuestion, prompt: str) -> Question:
    question = f"{asked.question} {prompt}{'; '.join(asked.options)}"
    return single(f"video_qa_{asked.kind}", asked.streams, question, asked.answer, choices=asked.options)


@dataclass(frozen=True)
class AvsdScene(ClipScene):
    """A clip, and (question, answer) of four turns; `truth` is whether the last answer is yes."""

    task = "avsd"

    dialogue: tuple[tuple[str, str], ...]
    truth: bool

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        truth = draw.balanced((True, False))
        clip = sample_clip(draw)
        return cls(*draw.base, clip, draw.noise(), _dialogue(draw, clip, truth), truth)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        turns = tuple(
            Turn(question, answer, extra={"dialogue": self.name, "turn": number, "question": question})
            for number, (question, answer) in enumerate(self.dialogue, start=1)
        )
        return [Question("avsd", "both", turns)]


def _dialogue(draw: Draw, clip: Clip, truth: bool) -> tuple[tuple[str, str], ...]:
    """From a sound to what is shown with it, on to what is shown before or after it, and to what is heard then."""
    rng = draw.rng
    event = rng.choice(clip.events)
    first = clip.segment_of(event)
    place = clip.segments.index(first)
    step = rng.choice([step for step in (1, -1) if 0 <= place + step < len(clip.segments)])
    segment: Segment = clip.segments[place + step]
    heard, shown = clip.heard_in(segment), [one.thing for one in clip.segments]
    # what an earlier answer named is there for certain: the last question is about something else
    unnamed = [name for name in shown if name not in (first.thing, segment.thing)]
    asked = rng.choice(unnamed if truth else [name for name in draw.pool.seen if name not in shown])
    return (
        (f"What is shown {while_heard(rng, event.name, event.is_speech)}?", first.thing),
        (f"And what is shown right {'after' if step == 1 else 'before'} it?", segment.thing),
        ("What is heard while that is shown?", event_name(heard) if heard else NOTHING),
        (f"Is there {a(asked)} in the clip?", "yes" if truth else "no"),
    )
