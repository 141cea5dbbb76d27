# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws things on backgrounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

FRAME_SIZE = 224  # pixels, width and height
_LEAST_CONTRAST = 45  # of 255, between a thing's mean brightness and its background's


@dataclass(frozen=True)
class Sprite:
    """A picture of a thing: centre (x, y) and longer side as shares of the frame, turned by `angle` degrees.

    `tone` are factors of brightness, contrast and colour.
    """

    thing: str
    file: str
    x: float
    y: float
    size: float
    angle: float
    flipped: bool
    tone: tuple[float, float, float]


@dataclass(frozen=True)
class Sign:
    """A word on a coloured board; centre (x, y) as shares of the frame, letters of `size` pixels."""

    word: str
    colour: str
    x: float
    y: float
    size: int
    angle: float


SIGN_COLOURS = {
    "red": (190, 30, 35),
    "green": (20, 120, 50),
    "blue": (35, 65, 180),
    "yellow": (245, 210, 40),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
    "purple": (120, 40, 140),
    "orange": (240, 130, 25),
}


def draw_things(
    root: str, background: Image.Image, sprites: Sequence[Sprite], signs: Sequence[Sign] = ()
) -> np.ndarray:
    """A frame with things on it, (224, 224, 3) uint8; `root` is the folder of assets."""
    frame = background.copy()
    for sprite in sprites:
        picture = _sprite(root, sprite.file, sprite.size, sprite.angle, sprite.flipped, sprite.tone)
        _paste(frame, picture, sprite.x, sprite.y)
    for sign in signs:
        _paste(frame, _board(sign), sign.x, sign.y)
    return np.asarray(frame)


def draw_background(root: str, seed: int, sprites: Sequence[Sprite]) -> Image.Image:
    """A background from which the things stand out: plain, a slope, stripes, clouds or grain."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(20, 235, (4, 1, 1, 3)).astype(np.float32)
    if sprites:
        things = float(np.mean([_brightness(root, sprite.file) for sprite in sprites]))
        mean = float(colours.mean())
        away = things - 90 if things > 128 else things + 90
        if abs(mean - things) < _LEAST_CONTRAST:
            colours = np.clip(colours + away - mean, 5, 250)
    kind = rng.choice(("plain", "slope", "stripes", "clouds", "grain"))
    ramp = np.linspace(0, 1, FRAME_SIZE, dtype=np.float32)
    across, down = ramp[None, :, None], ramp[:, None, None]
    if kind == "plain":
        frame = np.broadcast_to(colours[0], (FRAME_SIZE, FRAME_SIZE, 3))
    elif kind == "slope":
        frame = (colours[0] * (1 - across) + colours[1] * across) * (1 - down) + colours[2] * down
    elif kind == "stripes":
        wave = 0.5 + 0.5 * np.sin((across * rng.uniform(-1, 1) + down * rng.uniform(-1, 1)) * rng.uniform(20, 120))
        frame = colours[0] + (colours[1] - colours[0]) * wave * 0.4
    else:
        cells = int(rng.integers(3, 9)) if kind == "clouds" else FRAME_SIZE // 2
        coarse = rng.uniform(0, 255, (cells, cells)).astype(np.uint8)
        mask = Image.fromarray(coarse).resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BICUBIC)
        share = np.asarray(mask, dtype=np.float32)[..., None] / 255
        frame = colours[0] + (colours[1] - colours[0]) * share * (0.6 if kind == "clouds" else 0.15)
    return Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))


def _paste(frame: Image.Image, picture: Image.Image, x: float, y: float) -> None:
    left, top = round(x * FRAME_SIZE - picture.width / 2), round(y * FRAME_SIZE - picture.height / 2)
    frame.paste(picture, (left, top), picture)


@lru_cache(maxsize=64)
def _sprite(
    root: str, file: str, size: float, angle: float, flipped: bool, tone: tuple[float, float, float]
) -> Image.Image:
    picture = _opened(root, file)
    scale = size * FRAME_SIZE / max(picture.size)
    picture = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BICUBIC
    )
    if flipped:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    alpha = picture.getchannel("A")
    colours = picture.convert("RGB")
    for enhancer, factor in zip(
        (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), tone, strict=True
    ):
        colours = enhancer(colours).enhance(factor)
    colours.putalpha(alpha)
    return colours.rotate(angle, Image.Resampling.BICUBIC, expand=True)


@lru_cache(maxsize=2048)
def _opened(root: str, file: str) -> Image.Image:
    return Image.open(Path(root) / file).convert("RGBA")


@lru_cache(maxsize=4096)
def _brightness(root: str, file: str) -> float:
    picture = np.asarray(_opened(root, file), dtype=np.float32)
    weight = picture[..., 3]
    return float((picture[..., :3].mean(-1) * weight).sum() / max(1.0, float(weight.sum())))


def _board(sign: Sign) -> Image.Image:
    font = ImageFont.load_default(sign.size)
    left, top, right, bottom = (round(value) for value in font.getbbox(sign.word))
    width, height = right - left + sign.size, bottom - top + sign.size * 3 // 4
    colour = SIGN_COLOURS[sign.colour]
    board = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(board)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=6, fill=(*colour, 255))
    ink = (10, 10, 10) if sum(colour) > 380 else (250, 250, 250)
    draw.text((sign.size // 2 - left, sign.size * 3 // 8 - top), sign.word, font=font, fill=ink)
    fitting = min(1.0, (FRAME_SIZE - 8) / width)
    board = board.resize((round(width * fitting), round(height * fitting)), Image.Resampling.BICUBIC)
    return board.rotate(sign.angle, Image.Resampling.BICUBIC, expand=True)
