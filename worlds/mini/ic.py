# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""IC: a still of one to three shapes in a 2 x 2 grid, put into a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, single
from .grid_still import CELLS, PLACES, Piece, StillScene, ask_cells, place_pieces, sample_looks
from .scene import Draw


@dataclass(frozen=True)
class IcScene(StillScene):
    """Shapes in different cells."""

    task = "ic"
    media = ("image",)

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        looks = sample_looks(draw.rng, draw.split, draw.rng.randint(*draw.level.pictured))
        return cls(*draw.base, place_pieces(draw.rng, looks, draw.rng.sample(CELLS, len(looks))))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        captions = describe(self.pieces)
        held_out = any(piece.held_out for piece in self.pieces)
        asked = [single("ic", "visual", prompts.ic, captions[0], references=captions, held_out=held_out)]
        return self.with_lesson(asked, [ask_cells(self.task, self.pieces)], every)


def describe(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """Five sentences about the shapes, which are in the order of their cells; the first is the answer to learn."""
    names = [f"a {piece.name}" for piece in pieces]
    if len(pieces) == 2:
        first, second = names
        relation, inverse = _RELATIONS[pieces[0].cell, pieces[1].cell]
        return (
            f"{first} {relation} {second}",
            f"{second} {inverse} {first}",
            f"there is {first} {relation} {second}",
            f"the picture shows {first} {relation} {second}",
            f"{first} is {relation} {second}",
        )
    places = [f"at the {PLACES[piece.cell]}" for piece in pieces]
    placed = join_parts([f"{name} {place}" for name, place in zip(names, places, strict=True)])
    return (
        placed,
        f"there is {placed}",
        f"the picture shows {placed}",
        join_parts([f"{place} {name}" for name, place in zip(names, places, strict=True)]),
        join_parts([f"{name} is {place}" for name, place in zip(names, places, strict=True)]),
    )


def join_parts(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_LEFT, _ABOVE = ("to the left of", "to the right of"), ("above", "below")
_RELATIONS = {  # of the first cell's shape to the second's, and the other way round
    (1, 2): _LEFT,
    (3, 4): _LEFT,
    (1, 3): _ABOVE,
    (2, 4): _ABOVE,
    (1, 4): ("above and to the left of", "below and to the right of"),
    (2, 3): ("above and to the right of", "below and to the left of"),
}
