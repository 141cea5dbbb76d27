# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws the frames of a clip: one moving coloured shape on a dark background, at times a word in large letters."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .clip import Clip, ScreenWord, Segment
from .world import FRAME_RATE, FRAME_SIZE, TEXT_BAND

RGB = {
    "red": (225, 40, 40),
    "green": (40, 190, 60),
    "blue": (45, 80, 240),
    "yellow": (240, 215, 40),
    "white": (240, 240, 240),
    "purple": (165, 55, 205),
}
_SHAPE_SCALE = 4  # shapes are drawn this much larger, then scaled down: smooth edges
_TEXT_RGB = (205, 215, 215)
_TEXT_MARGIN = 5  # pixels
_COLOUR_JITTER = 14
_BEND = 14  # pixels by which the path of a shape leaves the straight line at most


def render_frames(clip: Clip) -> np.ndarray:
    """All frames of `clip`: (frames, 128, 128, 3) uint8, frame i shown from i / 8 s; a still has one."""
    rng = np.random.default_rng([clip.seed, 1])
    frames = backdrop(rng, 1 if clip.medium == "image" else round(clip.duration * FRAME_RATE))
    for segment in clip.segments:
        draw_segment(frames, segment, clip.screen_word, rng)
    if clip.screen_word:
        write_word(frames, clip.screen_word)
    return frames


def backdrop(rng: np.random.Generator, count: int) -> np.ndarray:
    """So many frames without anything on them, all the same: (count, 128, 128, 3) uint8."""
    return np.repeat(background(rng)[None], count, axis=0)


def draw_segment(
    frames: np.ndarray, segment: Segment, screen_word: ScreenWord | None, rng: np.random.Generator
) -> None:
    """Draws the segment's shape, which keeps off the word, on those of `frames` that are shown during its time."""
    colour = jittered(segment.colour, rng)
    mask = shape_mask(segment.shape, segment.size, segment.angle)
    for number in range(round(segment.start * FRAME_RATE), min(len(frames), round(segment.end * FRAME_RATE))):
        paint(frames[number], centre_at(segment, number / FRAME_RATE, screen_word), mask, colour)


def centre_at(segment: Segment, time: float, screen_word: ScreenWord | None) -> tuple[int, int]:
    """Where (x, y in pixels) the centre of the segment's shape is at `time` seconds."""
    progress = (time - segment.start) / (segment.end - segment.start)
    progress = progress * progress * (3 - 2 * progress)
    (x0, y0), (x1, y1) = segment.origin, segment.target
    bend = np.sin(np.pi * progress) * segment.bend * _BEND
    reach = segment.size // 2 + 2
    position = screen_word.position if screen_word else None
    top = reach + (TEXT_BAND if position == "top" else 0)
    bottom = FRAME_SIZE - reach - (TEXT_BAND if position == "bottom" else 0)
    x = np.clip(x0 + (x1 - x0) * progress + bend, reach, FRAME_SIZE - reach)
    y = np.clip(y0 + (y1 - y0) * progress + bend, top, bottom)
    return round(float(x)), round(float(y))


def background(rng: np.random.Generator) -> np.ndarray:
    """A frame without anything on it, (128, 128, 3) uint8: dark vertical and horizontal gradient with slight noise."""
    corners = rng.uniform(8, 44, (4, 3)).astype(np.float32)
    ramp = np.linspace(0, 1, FRAME_SIZE, dtype=np.float32)
    down, across = ramp[:, None, None], ramp[None, :, None]
    upper = corners[0] * (1 - across) + corners[1] * across
    lower = corners[2] * (1 - across) + corners[3] * across
    noise = rng.normal(0, 3, (FRAME_SIZE, FRAME_SIZE, 1)).astype(np.float32)
    return np.clip(upper * (1 - down) + lower * down + noise, 0, 255).astype(np.uint8)


def jittered(colour: str, rng: np.random.Generator) -> np.ndarray:
    """A hue near the colour of that name: (3,) float32."""
    jitter = rng.integers(-_COLOUR_JITTER, _COLOUR_JITTER + 1, 3)
    return np.clip(np.array(RGB[colour]) + jitter, 0, 255).astype(np.float32)


def shape_mask(shape: str, size: int, angle: float) -> np.ndarray:
    """Coverage in [0, 1] of a shape of `size` pixels, turned by `angle` degrees: (size + 4, size + 4, 1)."""
    side = size + 4
    image = Image.new("L", (side * _SHAPE_SCALE, side * _SHAPE_SCALE), 0)
    centre, radius = side * _SHAPE_SCALE / 2, size * _SHAPE_SCALE / 2
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse((centre - radius, centre - radius, centre + radius, centre + radius), fill=255)
    else:
        draw.polygon(_corners(shape, np.deg2rad(angle), centre, radius), fill=255)
    return np.asarray(image.reduce(_SHAPE_SCALE), dtype=np.float32)[..., None] / 255


def paint(frame: np.ndarray, centre: tuple[int, int], mask: np.ndarray, colour: np.ndarray) -> None:
    """Lays `colour` over the part of `frame` that `mask`, centred at `centre` (x, y), covers."""
    x, y = centre[0] - mask.shape[1] // 2, centre[1] - mask.shape[0] // 2
    top, left = max(0, y), max(0, x)
    region = frame[top : y + mask.shape[0], left : x + mask.shape[1]]
    part = mask[top - y :, left - x :][: region.shape[0], : region.shape[1]]
    region[:] = region * (1 - part) + colour * part


def write_word(frames: np.ndarray, word: ScreenWord) -> None:
    """Writes the word on those of `frames` (frames, 128, 128, 3), 8 per second, that are shown during its time."""
    shown = frames[round(word.start * FRAME_RATE) : round(word.end * FRAME_RATE)]
    mask = text_mask(word.word, word.size)
    height, width = mask.shape[:2]
    left = (FRAME_SIZE - width) // 2
    top = _TEXT_MARGIN if word.position == "top" else FRAME_SIZE - _TEXT_MARGIN - height
    region = shown[:, top : top + height, left : left + width]
    region[:] = region * (1 - mask) + np.array(_TEXT_RGB, dtype=np.float32) * mask


@lru_cache(maxsize=256)
def text_mask(word: str, size: int) -> np.ndarray:
    """Coverage in [0, 1] of the letters, (height, width, 1), no wider than the frame."""
    for fitting in range(size, 8, -1):
        font = ImageFont.load_default(fitting)
        left, top, right, bottom = font.getbbox(word)
        if right - left <= FRAME_SIZE - 2 * _TEXT_MARGIN:
            break
    image = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(image).text((-left, -top), word, fill=255, font=font)
    return np.asarray(image, dtype=np.float32)[..., None] / 255


def _corners(shape: str, angle: float, centre: float, radius: float) -> list[tuple[float, float]]:
    if shape == "square":
        turns, radii = np.arange(4) / 4 + 1 / 8, np.full(4, 1.1)
    elif shape == "triangle":
        turns, radii = np.arange(3) / 3, np.full(3, 1.0)
    elif shape == "star":
        turns, radii = np.arange(10) / 10, np.where(np.arange(10) % 2, 0.42, 1.0)
    else:
        raise ValueError(f"shape {shape!r} is no shape of this world; use one of world.SHAPES.")
    directions = 2 * np.pi * turns + angle
    return [
        (centre + radius * r * float(np.sin(d)), centre - radius * r * float(np.cos(d)))
        for r, d in zip(radii, directions, strict=True)
    ]
