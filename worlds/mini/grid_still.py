# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Stills of coloured shapes in the four cells of a 2 x 2 grid: sampled, drawn, labelled and put into words."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..question import Question, lesson
from ..timeline import NOTHING
from .picture import background, jittered, paint, shape_mask
from .scene import MiniScene
from .world import COLOURS, FRAME_SIZE, SHAPES, Look, Seen, is_held_out_shape

CELLS = (1, 2, 3, 4)  # left to right, top to bottom
PLACES = {1: "top left", 2: "top right", 3: "bottom left", 4: "bottom right"}
_PIECE_SIZES = (36, 44)  # pixels
_WANDER = 6  # pixels from the middle of the cell
_HELD_OUT_SHARE = 0.6  # of the looks that "compositional" is made of
_HELD_OUT_LOOKS = tuple((c, s) for c in COLOURS for s in SHAPES if is_held_out_shape(c, s))
_TRAINING_LOOKS = tuple((c, s) for c in COLOURS for s in SHAPES if not is_held_out_shape(c, s))


@dataclass(frozen=True)
class Piece(Seen):
    """A shape in cell 1-4, `size` pixels large, its centre at (x, y), turned by `angle` degrees."""

    cell: int
    colour: str
    shape: str
    size: int
    centre: tuple[int, int]
    angle: float


@dataclass(frozen=True)
class StillScene(MiniScene):
    """A still of pieces in different cells."""

    pieces: tuple[Piece, ...]

    def pictures(self) -> np.ndarray:
        return draw_still(self.seed, self.pieces)

    def labels(self) -> dict[str, list[str | None]]:
        return cell_labels(self.pieces)


def sample_look(rng: random.Random, split: str) -> Look:
    """A colour and a shape that may go together in the split."""
    if split in ("train", "validation"):
        return rng.choice(_TRAINING_LOOKS)
    if split == "compositional" and rng.random() < _HELD_OUT_SHARE:
        return rng.choice(_HELD_OUT_LOOKS)
    return rng.choice((*_TRAINING_LOOKS, *_HELD_OUT_LOOKS))


def sample_looks(
    rng: random.Random, split: str, count: int, accept: Callable[[list[Look]], bool] | None = None
) -> list[Look]:
    """So many looks, no two the same, drawn again until `accept` takes them."""
    while True:
        looks = [sample_look(rng, split) for _ in range(count)]
        if len(set(looks)) == count and (accept is None or accept(looks)):
            return looks


def place_pieces(rng: random.Random, looks: Sequence[Look], cells: Sequence[int]) -> tuple[Piece, ...]:
    """The looks in these cells, in the order of the cells."""
    return tuple(place(rng, look, cell) for cell, look in sorted(zip(cells, looks, strict=True)))


def place(rng: random.Random, look: Look, cell: int, sizes: tuple[int, int] = _PIECE_SIZES) -> Piece:
    """The look near the middle of its cell, in a size between these two."""
    middle = cell_middle(cell)
    x, y = (at + rng.randint(-_WANDER, _WANDER) for at in middle)
    return Piece(cell, *look, rng.randint(*sizes), (x, y), round(rng.uniform(-12, 12), 1))


def cell_middle(cell: int) -> tuple[int, int]:
    """Centre (x, y) of a cell, in pixels."""
    row, column = divmod(cell - 1, 2)
    return FRAME_SIZE * (1 + 2 * column) // 4, FRAME_SIZE * (1 + 2 * row) // 4


def draw_still(seed: int, pieces: Sequence[Piece]) -> np.ndarray:
    """The still as a video of one frame, (1, 128, 128, 3) uint8."""
    rng = np.random.default_rng([seed, 1])
    frame = background(rng)
    for piece in pieces:
        paint(frame, piece.centre, shape_mask(piece.shape, piece.size, piece.angle), jittered(piece.colour, rng))
    return frame[None]


def cell_labels(pieces: Sequence[Piece], pictures: int = 1) -> dict[str, list[str | None]]:
    """`cell_1_colour`, `cell_1_shape` ... `cell_4_shape`, the same for each of so many pictures."""
    by_cell = {piece.cell: piece for piece in pieces}
    labels: dict[str, list[str | None]] = {}
    for cell in CELLS:
        piece = by_cell.get(cell)
        labels[f"cell_{cell}_colour"] = [piece.colour if piece else NOTHING] * pictures
        labels[f"cell_{cell}_shape"] = [piece.shape if piece else NOTHING] * pictures
    return labels


def ask_cells(task: str, pieces: Sequence[Piece]) -> Question:
    """What each of the four cells holds: a lesson, for it supervises the whole picture."""
    by_cell = {piece.cell: piece.name for piece in pieces}
    answer = ", ".join(by_cell.get(cell, NOTHING) for cell in CELLS)
    held_out = any(piece.held_out for piece in pieces)
    return lesson(f"{task}_cells", "visual", "What is in each of the four parts of the picture?", answer, held_out)
