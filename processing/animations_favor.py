# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Animated WebP, PNG and AVIF as a stream of pictures, read by Pillow; it has the methods of a `StreamCursor`."""

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import av
from PIL import Image

from .media_limits_favor import DamageReport, MediaError
from .picture_bounds_favor import check_pixels
from .picture_track_favor import TimeGrid
from .pictures_favor import FORMATS, image_to_array

SHORTEST = 0.01  # seconds; pictures that last no longer are shown for
SHORTEST_SHOWN = 0.1  # seconds, as browsers and FFmpeg (for GIF) do
TIME_BASE = Fraction(1, 1_000_000)


class AnimationCursor:
    """The pictures of an animation, each composed with those before it.

    Args:
        file (binary file): of a format that Pillow reads.
        damage (`DamageReport`): takes what cannot be decoded; knows the file's name and limits.
    """

    found = True
    unknown_codec: str | None = None
    frame_seconds = SHORTEST_SHOWN

    def __init__(self, file: BinaryIO, damage: DamageReport):
        self.damage = damage
        self._file = file
        self._zero = 0.0

    def first_time(self) -> float:
        """The first picture is the file's zero."""
        return 0.0

    def started(self, origin: float, start: float) -> "AnimationCursor":
        """The cursor to read a clip with that begins `start` seconds after the file's zero."""
        self._zero = origin + start
        return self

    def choose(self, grid: TimeGrid, stop: float) -> None:
        """Each picture builds on those before it: all are decoded."""

    def close(self) -> None:
        """The file stays open."""

    def end(self) -> float:
        """How long the animation lasts, in seconds."""
        return sum(seconds for _, seconds in self._pictures())

    def frames(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """The pictures in order, each with its time in seconds from the clip's start."""
        time = 0.0
        for image, seconds in self._pictures():
            frame = av.VideoFrame.from_ndarray(image_to_array(image), format="rgb24")
            frame.time_base, frame.pts, frame.duration = TIME_BASE, round(time / TIME_BASE), round(seconds / TIME_BASE)
            yield frame, time - self._zero
            time += seconds

    def _pictures(self) -> Iterator[tuple[Image.Image, float]]:
        """Each picture and how many seconds it lasts; the image is the same object each time."""
        name, limits, time = self.damage.name, self.damage.limits, 0.0
        self._file.seek(0)
        with Image.open(self._file, formats=FORMATS) as image:
            first = int(getattr(image, "default_image", False))  # a PNG's still for those who show no animation
            for number in range(first, getattr(image, "n_frames", 1)):
                self.damage.check_time()
                limits.check("max_source_frames", number, f"{name} has more than {number} pictures")
                try:
                    image.seek(number)
                    image.load()
                except MediaError:
                    raise
                except Exception as error:  # Pillow's decoders raise whatever their parsing meets
                    self.damage.add_packet(time, str(error))
                    return
                check_pixels(image, name, limits)
                seconds = float(image.info.get("duration") or 0) / 1000
                seconds = seconds if seconds > SHORTEST else SHORTEST_SHOWN
                yield image, seconds
                time += seconds
