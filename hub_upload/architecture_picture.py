# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws the way from a video and its sound to the language model, with the sizes of one model's config."""

import io

from PIL import Image, ImageDraw, ImageFont

from .model_parts import ModelParts, Part

SCALE = 2  # pixels a unit: sharp on dense screens
SIZE = (940, 330)
MARGIN = 14
WHITE, INK, LINE = "#ffffff", "#1f2430", "#7a8296"
ENCODER, CONNECTOR, INPUT, LANGUAGE = "#e3e8f2", "#ffe2b8", "#f4f4f0", "#d9efdc"
Box = tuple[float, float, float, float]


def architecture_picture(parts: ModelParts) -> bytes:
    """A PNG of the parts of a model. The same parts give the same bytes."""
    image = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE), WHITE)
    draw = ImageDraw.Draw(image)
    boxes = _boxes(parts)
    for start, end in _arrows(parts):
        _arrow(draw, boxes[start][0], boxes[end][0])
    for box, colour, title, lines in boxes.values():
        _box(draw, box, colour, title, lines)
    _legend(draw)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _boxes(parts: ModelParts) -> dict[str, tuple[Box, str, str, list[str]]]:
    """Where each part stands: left, top, right, bottom; its colour, its name and what it is."""
    pixels = [f"{parts.image_size} px"] if parts.image_size else []
    rate = f"{parts.audio_encoder_rate:g} vectors per second"
    boxes: dict[str, tuple[Box, str, str, list[str]]] = {
        "frames": ((14, 30, 134, 100), INPUT, "frames", [f"{parts.frame_rate:g} per second"]),
        "sound": ((14, 190, 134, 260), INPUT, "sound", ["log-mel"]),
        "vision": ((170, 30, 320, 100), ENCODER, "vision tower", [*_sizes(parts.vision), *pixels]),
        "audio": ((170, 190, 320, 260), ENCODER, "audio tower", [*_sizes(parts.audio), rate]),
        "connector": ((536, 78, 716, 212), CONNECTOR, *_connector(parts)),
        "language": ((762, 90, 926, 200), LANGUAGE, "language model", [parts.text.model_type, *_sizes(parts.text)]),
    }
    if parts.qformer is not None:
        queries = f"{parts.num_visual_query_tokens} vectors per frame"
        boxes["qformer"] = ((356, 30, 500, 100), ENCODER, "visual Q-Former", [*_sizes(parts.qformer), queries])
    return boxes


def _connector(parts: ModelParts) -> tuple[str, list[str]]:
    if parts.num_query_tokens is None:
        return "connector", [parts.connector.model_type]
    window = parts.window_frames
    seconds = f"windows of {window / parts.frame_rate:g} s" if window else "one window"
    return "causal Q-Former", [*_sizes(parts.connector), seconds, f"{parts.num_query_tokens} tokens per window"]


def _arrows(parts: ModelParts) -> list[tuple[str, str]]:
    arrows = [("frames", "vision"), ("sound", "audio"), ("audio", "connector"), ("connector", "language")]
    if parts.qformer is not None:
        return [*arrows, ("vision", "qformer"), ("qformer", "connector")]
    return [*arrows, ("vision", "connector")]


def _sizes(part: Part) -> list[str]:
    """ "4 layers of 128", if the config tells."""
    return [part.sizes] if part.sizes else []


def _box(draw: ImageDraw.ImageDraw, box: Box, colour: str, title: str, lines: list[str]) -> None:
    draw.rounded_rectangle([side * SCALE for side in box], 8 * SCALE, fill=colour, outline=LINE, width=SCALE)
    left, top, right, bottom = box
    height = 20 + 16 * len(lines)
    line_top = (top + bottom - height) / 2
    _text(draw, ((left + right) / 2, line_top + 9), title, 15)
    for number, line in enumerate(lines):
        _text(draw, ((left + right) / 2, line_top + 28 + 16 * number), line, 12)


def _arrow(draw: ImageDraw.ImageDraw, start: Box, end: Box) -> None:
    """From the right side of a box to the left side of another, bent before it if that lies higher or lower."""
    height = (start[1] + start[3]) / 2
    points = [(start[2], height)]
    if not end[1] + 8 <= height <= end[3] - 8:
        arrival = end[1] + 22 if height < end[1] + 8 else end[3] - 22
        points += [(end[0] - 18, height), (end[0] - 18, arrival)]
        height = arrival
    points.append((end[0], height))
    draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=INK, width=2 * SCALE, joint="curve")
    head = ((0, 0), (-9, -5), (-9, 5))
    draw.polygon([((end[0] + x) * SCALE, (height + y) * SCALE) for x, y in head], fill=INK)


def _legend(draw: ImageDraw.ImageDraw) -> None:
    left = MARGIN
    for colour, what in ((ENCODER, "encoders"), (CONNECTOR, "connector"), (LANGUAGE, "language model")):
        draw.rectangle([v * SCALE for v in (left, 296, left + 16, 312)], fill=colour, outline=LINE, width=SCALE)
        _text(draw, (left + 24, 304), what, 12, anchor="lm")
        left += 60 + 7 * len(what)


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, anchor: str = "mm") -> None:
    font = ImageFont.load_default(size * SCALE)
    draw.text((place[0] * SCALE, place[1] * SCALE), text, fill=INK, font=font, anchor=anchor)
