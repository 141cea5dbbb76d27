# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tasks of stills: captions (IC), signs (OCR), questions about things in their places (VQA), spoken ones (ISQA)."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, lesson, single
from .frames import NUMBERS, listed
from .names import a, is_countable, is_plural, plural
from .picture import SIGN_COLOURS, Sign, Sprite
from .scene import Draw, RealScene, Sounding
from .sound import Event

_CELLS = ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73))
_BESIDE = {  # of a cell: the one beside it, and how that is said
    0: ((1, "to the right of"), (2, "below")),
    1: ((0, "to the left of"), (3, "below")),
    2: ((3, "to the right of"), (0, "above")),
    3: ((2, "to the left of"), (1, "above")),
}
_OPPOSITE = {
    "to the right of": "to the left of",
    "to the left of": "to the right of",
    "below": "above",
    "above": "below",
}
RELATIONS = tuple(_OPPOSITE)
KINDS = ("beside", "count", "is_there")


@dataclass(frozen=True)
class Fact:
    """A question about a still with its answer, of one of `KINDS`."""

    kind: str
    question: str
    answer: str


def place_pair(draw: Draw, things: Sequence[str], relation: str) -> tuple[Sprite, ...]:
    """One thing alone, large, or two of which the first is in that `relation` to the second."""
    if len(things) == 1:
        return (in_cell(draw, things[0], None),)
    cells = draw.rng.choice(
        [(other, cell) for cell, beside in _BESIDE.items() for other, name in beside if name == relation]
    )
    return tuple(in_cell(draw, thing, cell) for thing, cell in zip(things, cells, strict=True))


def in_cell(draw: Draw, thing: str, cell: int | None, file: str | None = None) -> Sprite:
    """The thing in a quarter of the frame, or (None) large in its middle."""
    rng = draw.rng
    x, y = _CELLS[cell] if cell is not None else (0.5, 0.5)
    jitter = 0.03 if cell is not None else 0.1
    size = rng.uniform(0.32, 0.44) if cell is not None else rng.uniform(0.5, 0.8)
    return draw.sprite(thing, x + rng.uniform(-jitter, jitter), y + rng.uniform(-jitter, jitter), size, file)


@dataclass(frozen=True)
class IcScene(RealScene):
    """One or two things, and where the first is of the second."""

    task = "ic"
    media = ("image",)

    sprites: tuple[Sprite, ...]
    relation: str

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        things, relation = draw.rng.sample(draw.pool.seen, draw.rng.randint(1, 2)), draw.rng.choice(RELATIONS)
        return cls(*draw.base, place_pair(draw, things, relation), relation)

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        captions = captions_of([sprite.thing for sprite in self.sprites], self.relation)
        return [single("ic", "visual", prompts.ic, captions[0], references=captions)]


def captions_of(things: Sequence[str], relation: str) -> tuple[str, ...]:
    """Five captions of one or two things, the plainest first."""
    one = a(things[0])
    if len(things) == 1:
        return one, f"a picture of {one}", f"{one} on its own", f"there is {one}", f"an image of {one}"
    two, opposite = a(things[1]), _OPPOSITE[relation]
    return (
        f"{one} {relation} {two}",
        f"{two} {opposite} {one}",
        f"there is {one} {relation} {two}",
        f"{one} and {two}",
        f"a picture of {one} {relation} {two}",
    )


@dataclass(frozen=True)
class OcrScene(RealScene):
    """Two signs of different colours with a word on each, or one sign below a thing."""

    task = "ocr"
    media = ("image",)

    boards: tuple[Sign, ...]
    sprites: tuple[Sprite, ...]

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        words = rng.sample([name for name in draw.pool.named if " " not in name], 2)
        colours = rng.sample(tuple(SIGN_COLOURS), 2)
        boards = tuple(
            Sign(word, colour, 0.5, y + rng.uniform(-0.05, 0.05), rng.randint(26, 44), round(rng.uniform(-8, 8), 1))
            for word, colour, y in zip(words, colours, (0.28, 0.74), strict=True)
        )
        if rng.random() < 0.5:
            return cls(*draw.base, boards, ())
        thing = rng.choice(draw.pool.seen)
        return cls(*draw.base, boards[1:], (draw.sprite(thing, 0.5, 0.28, rng.uniform(0.35, 0.5)),))

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def signs(self) -> tuple[Sign, ...]:
        return self.boards

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        if len(self.boards) == 1:
            return [single("ocr", "visual", "What does the sign say?", self.boards[0].word)]
        asked = [
            single("ocr", "visual", f"What word is on the {board.colour} sign?", board.word) for board in self.boards
        ]
        return asked if every else [random.Random(f"ocr/{self.seed}").choice(asked)]


@dataclass(frozen=True)
class VqaScene(RealScene):
    """Things in quarters of a still, and the first of its questions."""

    task = "vqa"
    media = ("image",)

    sprites: tuple[Sprite, ...]
    facts: tuple[Fact, ...]

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        sprites = place_things(draw, draw.balanced(KINDS))
        return cls(*draw.base, *sprites)

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        asked = [single(f"vqa_{fact.kind}", "visual", fact.question, fact.answer) for fact in self.facts]
        return asked if every else asked[:1]


def place_things(draw: Draw, kind: str) -> tuple[tuple[Sprite, ...], tuple[Fact, ...]]:
    """Things in quarters of a still, and facts of them, the first of `kind`.

    How many there are of a thing, and whether one that is asked for is there, is drawn before the things are, so that
    a question's text says nothing about its answer.
    """
    rng = draw.rng
    count = rng.randint(2, 4)
    names = rng.sample([name for name in draw.pool.seen if is_countable(name)], count + 1)
    absent = names.pop()
    cells = rng.sample(range(4), count)
    if kind == "count":
        many = rng.randint(1, 4)
        names = [names[0]] * many + names[1 : 1 + rng.randint(0, 4 - many)]
        cells = rng.sample(range(4), len(names))
    elif kind == "beside":
        cells[:2] = (cell := rng.randrange(4)), rng.choice(_BESIDE[cell])[0]
        cells[2:] = rng.sample([free for free in range(4) if free not in cells[:2]], count - 2)
    sprites = tuple(in_cell(draw, name, cell) for name, cell in zip(names, cells, strict=True))
    facts = [_count(names), _is_there(rng, names, absent), *_beside(rng, names, cells)]
    if kind != "count":  # else how often a thing is there would depend on what is asked
        facts = [fact for fact in facts if fact.kind != "count"]
    rng.shuffle(facts)
    return sprites, tuple(sorted(facts, key=lambda fact: fact.kind != kind))


def _count(names: Sequence[str]) -> Fact:
    number = Counter(names)[names[0]]
    return Fact("count", f"How many {plural(names[0])} are there?", "one" if number == 1 else NUMBERS[number - 2])


def _is_there(rng: random.Random, names: Sequence[str], absent: str) -> Fact:
    truth = rng.random() < 0.5
    asked = rng.choice(names) if truth else absent
    return Fact("is_there", f"Is there {a(asked)} in the picture?", "yes" if truth else "no")


def _beside(rng: random.Random, names: Sequence[str], cells: Sequence[int]) -> list[Fact]:
    found = []
    for name, cell in zip(names, cells, strict=True):
        if names.count(name) > 1:
            continue
        for beside, relation in _BESIDE[cell]:
            if beside in cells:
                other = names[cells.index(beside)]
                found.append(Fact("beside", f"What is {relation} the {name}?", other))
    return rng.sample(found, min(2, len(found)))


@dataclass(frozen=True)
class IsqaScene(Sounding, RealScene):
    """A still as in VQA, and a question about it that is only spoken."""

    task = "isqa"
    media = ("image", "audio")

    sprites: tuple[Sprite, ...]
    fact: Fact
    events: tuple[Event, ...]
    noise_level: float

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        sprites, facts = place_things(draw, draw.balanced(KINDS))
        return cls(*draw.base, sprites, facts[0], (draw.spoken(facts[0].question),), draw.noise())

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        spoken = self.events[0].name
        extra = {"source": "gqa", "type": self.fact.kind, "spoken": spoken}
        asked = [single(f"isqa_{self.fact.kind}", "both", prompts.isqa, self.fact.answer, extra=extra)]
        seen = listed([f"the {name}" if is_plural(name) else a(name) for name in self._names()])
        lessons = [
            lesson("isqa_heard", "audio", "What is being asked?", spoken),
            lesson("isqa_seen", "visual", "What can be seen?", seen),
        ]
        return self.with_lesson(asked, lessons, every)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(sprite.thing for sprite in self.sprites))
