# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""VQA: questions about a still of two to four shapes in a 2 x 2 grid."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from .grid_still import CELLS, Piece, StillScene, ask_cells, place_pieces, sample_looks
from .scene import Draw
from .world import is_allowed, is_held_out_shape

NUMBERS = ("none", "one", "two", "three", "four")
KINDS = ("colour", "shape", "relation", "count", "exists")
LOOKED_UP = ("colour", "shape", "relation")  # answered by finding one shape
_NEIGHBOURS = {  # what lies on that side of a cell
    "to the left of": {2: 1, 4: 3},
    "to the right of": {1: 2, 3: 4},
    "above": {3: 1, 4: 2},
    "below": {1: 3, 2: 4},
}


@dataclass(frozen=True)
class Fact:
    """Something to ask about a still. `spoken` is the question in words of the spoken vocabulary."""

    kind: str
    question: str
    answer: str
    held_out: bool
    spoken: tuple[str, ...] = ()


@dataclass(frozen=True)
class VqaScene(StillScene):
    """Shapes in different cells; `kinds` are the two kinds of question that the benchmark asks."""

    task = "vqa"
    media = ("image",)

    kinds: tuple[str, ...]

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        kinds = (draw.balanced(KINDS), draw.rng.choice(KINDS))
        pieces = sample_pieces(draw.rng, draw.split, draw.rng.randint(*draw.level.shapes), kinds)
        return cls(*draw.base, pieces, kinds)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        rng = random.Random(f"vqa/{self.seed}")
        facts = find_facts(self.pieces, self.split)
        kinds = {kind: [fact for fact in facts if fact.kind == kind] for kind in KINDS}
        if every:
            facts = [fact for kind in KINDS for fact in kinds[kind]]
        else:
            facts = [fact for kind in dict.fromkeys(self.kinds) for fact in choose(kinds[kind], rng)]
        asked = [
            single(
                f"vqa_{fact.kind}",
                "visual",
                fact.question,
                fact.answer,
                extra={"source": "gqa", "type": fact.kind},
                held_out=fact.held_out,
            )
            for fact in facts
        ]
        return self.with_lesson(asked, [ask_cells(self.task, self.pieces)], every)


def sample_pieces(rng: random.Random, split: str, count: int, kinds: Sequence[str]) -> tuple[Piece, ...]:
    """So many shapes, of which every one of these kinds of question can be asked."""
    while True:
        looks = sample_looks(rng, split, count)
        pieces = place_pieces(rng, looks, rng.sample(CELLS, count))
        if set(kinds) <= {fact.kind for fact in find_facts(pieces, split)}:
            return pieces


def choose(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """One of the facts; of yes or no one of either, so that both are right equally often."""
    if facts[0].kind != "exists":
        return [rng.choice(facts)]
    yes = rng.choice([fact for fact in facts if fact.answer == "yes"])
    no = rng.choice([fact for fact in facts if fact.answer == "no" and fact.held_out == yes.held_out])
    return [yes, no]


def find_facts(pieces: Sequence[Piece], split: str) -> list[Fact]:
    """All that can be asked with one right answer."""
    facts = [Fact("count", "How many shapes are there?", NUMBERS[len(pieces)], False)]
    for piece in pieces:
        odd = piece.held_out
        if [other.shape for other in pieces].count(piece.shape) == 1:
            colour_words = ("what", "colour", "is", "the", piece.shape)
            facts.append(Fact("colour", f"What colour is the {piece.shape}?", piece.colour, odd, colour_words))
            facts += _relations(pieces, piece)
        if [other.colour for other in pieces].count(piece.colour) == 1:
            shape_words = ("what", "shape", "is", piece.colour)
            facts.append(Fact("shape", f"What shape is {piece.colour}?", piece.shape, odd, shape_words))
    return facts + _existence(pieces, split)


def _relations(pieces: Sequence[Piece], piece: Piece) -> list[Fact]:
    """What lies next to `piece`, whose shape is the only one of its kind."""
    by_cell = {other.cell: other for other in pieces}
    facts = []
    for side, cells in _NEIGHBOURS.items():
        neighbour = by_cell.get(cells.get(piece.cell, 0))
        if neighbour:
            words = side.removeprefix("to the ").split()
            spoken = ("what", "is", *words, "the", piece.shape)
            question, odd = f"What is {side} the {piece.shape}?", neighbour.held_out
            facts.append(Fact("relation", question, neighbour.name, odd, spoken))
    return facts


def _existence(pieces: Sequence[Piece], split: str) -> list[Fact]:
    """Yes or no: the looks of two shapes, and their colours and shapes the other way round.

    Of two shapes that differ in both, each is asked for, and so is each that would be there if they swapped colours:
    the text alone says nothing. Held-out looks, too, are asked for with "yes" as often as with "no".
    """
    looks = [piece.look for piece in pieces]
    found: dict[str, list[tuple[str, str]]] = {"yes": [], "no": []}
    for number, first in enumerate(looks):
        for second in looks[:number]:
            real, crossed = [first, second], [(first[0], second[1]), (second[0], first[1])]
            clear = first[0] != second[0] and first[1] != second[1] and not set(crossed) & set(looks)
            even = sorted(is_held_out_shape(*look) for look in real) == sorted(
                is_held_out_shape(*look) for look in crossed
            )
            new = not set(real) & set(found["yes"]) and not set(crossed) & set(found["no"])
            if clear and even and new and all(is_allowed(look, split) for look in crossed):
                found["yes"] += real
                found["no"] += crossed
    return [
        Fact("exists", f"Is there a {look[0]} {look[1]}?", answer, is_held_out_shape(*look))
        for answer, asked in found.items()
        for look in asked
    ]
