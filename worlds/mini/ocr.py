# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""OCR: a still of two coloured signs, a word on each."""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, lesson, single
from .picture import background, jittered, paint, text_mask
from .scene import Draw, MiniScene
from .world import COLOURS, FRAME_SIZE, WORDS

SIGN_SIZE = (40, 118)  # pixels, height and width
REFERENCES = 10  # of TextVQA; three of them that agree make a full score
_WANDER = 4  # pixels from the middle of its half of the picture
_DARK, _LIGHT = 18, 240  # of the letters
_DARK_LETTERS = ("green", "yellow", "white")  # on signs of these colours


@dataclass(frozen=True)
class Sign:
    """A plate of that colour in the "upper" or "lower" half, its centre at (x, y), letters of `size` pixels."""

    half: str
    colour: str
    word: str
    size: int
    centre: tuple[int, int]


@dataclass(frozen=True)
class OcrScene(MiniScene):
    """Two signs of different colours with different words; `asked` is the half that the benchmark asks about."""

    task = "ocr"
    media = ("image",)

    signs: tuple[Sign, Sign]
    asked: str

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        colours, words = rng.sample(COLOURS, 2), rng.sample(WORDS, 2)
        upper, lower = (
            Sign(half, colour, word, rng.randint(*draw.level.letters), _centre(rng, half))
            for half, colour, word in zip(("upper", "lower"), colours, words, strict=True)
        )
        return cls(*draw.base, (upper, lower), rng.choice(("upper", "lower")))

    def pictures(self) -> np.ndarray:
        rng = np.random.default_rng([self.seed, 1])
        frame = background(rng)
        plate = np.ones((*SIGN_SIZE, 1), dtype=np.float32)
        for sign in self.signs:
            paint(frame, sign.centre, plate, jittered(sign.colour, rng))
            letters = _DARK if sign.colour in _DARK_LETTERS else _LIGHT
            paint(frame, sign.centre, text_mask(sign.word, sign.size), np.full(3, letters, dtype=np.float32))
        return frame[None]

    def labels(self) -> dict[str, list[str | None]]:
        labels: dict[str, list[str | None]] = {}
        for sign in self.signs:
            labels[f"{sign.half}_sign_colour"], labels[f"{sign.half}_sign_word"] = [sign.colour], [sign.word]
        return labels

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        asked = [_ask(sign) for sign in self.signs if every or sign.half == self.asked]
        both = ", ".join(f"{sign.colour} {sign.word}" for sign in self.signs)
        lessons = [lesson("ocr_signs", "visual", "What is the colour and the word of each sign?", both)]
        return self.with_lesson(asked, lessons, every)


def _ask(sign: Sign) -> Question:
    return single(
        "ocr",
        "visual",
        f"What word is on the {sign.colour} sign?",
        sign.word,
        references=[sign.word] * REFERENCES,
        extra={"source": "textvqa"},
    )


def _centre(rng: random.Random, half: str) -> tuple[int, int]:
    x, y = (rng.randint(-_WANDER, _WANDER) for _ in range(2))
    return FRAME_SIZE // 2 + x, FRAME_SIZE * (1 if half == "upper" else 3) // 4 + y
