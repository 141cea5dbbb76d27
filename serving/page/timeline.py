# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws what the model perceives: per window its pictures side by side and, on the same clock, how loud it is."""

import base64
import html
import io
import math

import numpy as np
from PIL import Image

from .perception import Perception

ROW_STEPS = 10  # time steps a box where the model has no windows
WAVE_POINTS_PER_STEP = 24
WAVE_HEIGHT = 20.0  # of the drawing, above and below the middle
LOUDEST = 0.92  # of that height
JPEG_QUALITY = 80


def draw_timeline(perception: Perception, with_sound: bool = True) -> str:
    """The timeline as HTML; without sound, sound is shown as not heard and time that has nothing else as unused."""
    steps_per_box = perception.window_steps or ROW_STEPS
    starts = range(0, perception.steps, steps_per_box)
    used_steps = perception.steps if with_sound else len(perception.shown)
    boxes = "".join(_box(perception, start, steps_per_box, start < used_steps) for start in starts)
    state = (" pictures" if perception.shown else "") + ("" if with_sound else " not-heard")
    legend = "".join(f"<span>{line}</span>" for line in _legend(perception, with_sound))
    return (
        f'<div class="favor-timeline{state}" style="--box-steps: {min(steps_per_box, perception.steps)}">'
        f'<div class="boxes">{boxes}</div><p class="legend">{legend}</p></div>'
    )


def summary(perception: Perception, with_sound: bool = True) -> str:
    """One line: what reaches the model."""
    sound = perception.has_sound and with_sound
    parts = []
    if perception.kind == "video":
        parts.append(_count(len(perception.shown), "picture"))
    if perception.kind == "image":
        parts.append("1 still picture")
    if perception.has_sound:
        seconds = len(perception.loudness) / perception.loudness_rate
        parts.append(f"{seconds:.1f} s of sound" if sound else "sound not heard")
    elif perception.kind == "video":
        parts.append("no sound")
    windows = math.ceil((perception.steps if sound else len(perception.shown)) / (perception.window_steps or 1))
    if perception.window_steps is not None:
        parts.append(_count(windows, "window"))
    return " · ".join(parts)


def _legend(perception: Perception, with_sound: bool) -> list[str]:
    lines = []
    if perception.kind == "video":
        every = perception.drawn_every
        thinned = f", drawn is one in {every}" if every > 1 else ""
        lines.append(f"Pictures as the model sees them, {perception.frame_rate:g} a second{thinned}.")
    if perception.has_sound:
        heard = "Loudness of what it hears." if with_sound else "Sound that it does not hear."
        lines.append(heard)
    if perception.window_steps is not None and perception.kind != "image":
        seconds = perception.window_steps / perception.frame_rate
        lines.append(f"A box is a window: {seconds:g} s that become tokens together.")
    return lines


def _box(perception: Perception, start: int, length: int, used: bool) -> str:
    """One window, or one row of a model without windows: its times, its pictures and its loudness."""
    stop = min(start + length, perception.steps)
    begin, end = start / perception.frame_rate, stop / perception.frame_rate
    still = perception.kind == "image" and not perception.has_sound
    times = "still" if still else f"{begin:g}–{end:g} s"
    classes = "box" if used else "box unused"
    # A box that the clip ends within is as wide as the others, and filled in proportion.
    filled = 100.0 if still or perception.steps <= length else 100.0 * (stop - start) / length
    inside = _strip(perception, start, stop) + _wave(perception, start, stop)
    return (
        f'<div class="{classes}" data-begin="{begin:g}" data-end="{end:g}"><div class="times">{times}</div>'
        f'<div class="tracks" style="width: {filled:.4g}%">{inside}<i class="cursor"></i></div></div>'
    )


def _strip(perception: Perception, start: int, stop: int) -> str:
    """The pictures of the time steps, side by side in one JPEG; where there is none, the strip is dark."""
    rows = perception.shown[start:stop]
    if not rows:
        return "" if not perception.shown else '<div class="strip"></div>'
    pictures = perception.pictures[rows]  # (steps, h, w, 3)
    empty = np.zeros((stop - start - len(rows), *pictures.shape[1:]), np.uint8)
    strip = np.concatenate([*pictures, *empty], axis=1)
    data = io.BytesIO()
    Image.fromarray(strip).save(data, "JPEG", quality=JPEG_QUALITY)
    encoded = base64.b64encode(data.getvalue()).decode()
    alt = html.escape(f"{_count(len(rows), 'picture')} from {start / perception.frame_rate:g} s", quote=True)
    return f'<div class="strip"><img alt="{alt}" src="data:image/jpeg;base64,{encoded}"></div>'


def _wave(perception: Perception, start: int, stop: int) -> str:
    """The loudness between two time steps as a shape around a middle line."""
    if not perception.has_sound:
        return ""
    points = (stop - start) * WAVE_POINTS_PER_STEP
    samples_per_point = perception.loudness_rate / perception.frame_rate / WAVE_POINTS_PER_STEP
    edges = (np.arange(points + 1) + start * WAVE_POINTS_PER_STEP) * samples_per_point
    heights = [LOUDEST * _loudest(perception.loudness, *pair) for pair in zip(edges, edges[1:], strict=False)]
    upper = " ".join(f"{x},{WAVE_HEIGHT * (1 - height):.1f}" for x, height in enumerate(heights))
    lower = " ".join(f"{x},{WAVE_HEIGHT * (1 + height):.1f}" for x, height in reversed(list(enumerate(heights))))
    return (
        f'<svg class="wave" viewBox="0 0 {max(points - 1, 1)} {2 * WAVE_HEIGHT:g}" preserveAspectRatio="none" '
        f'role="img" aria-label="loudness"><polygon points="{upper} {lower}"/>'
        f'<line x1="0" y1="{WAVE_HEIGHT:g}" x2="{points}" y2="{WAVE_HEIGHT:g}"/></svg>'
    )


def _loudest(loudness: np.ndarray, begin: float, end: float) -> float:
    return float(loudness[int(begin) : max(int(begin) + 1, int(end))].max(initial=0.0))


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
