# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Puts decoded pictures on the time grid, and converts and resizes only those that the grid shows."""

import functools
import math
import struct

import av
import numpy as np
import torch
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter

from .media_limits_favor import MediaError, MediaLimits
from .media_sources_favor import resize_frames
from .pictures_favor import on_white

Matrix = tuple[float, float, float, float]  # (a, b, c, d): (x, y) is shown at (ax + cy, bx + dy)
OPAQUE = ("yuv420p", "rgb24")  # pixel formats that need not be asked
ROUNDING = 0.002  # seconds; mkv and webm keep milliseconds, so that times and durations are a little off


@functools.cache
def _has_alpha(pixel_format: str) -> bool:
    return any(component.is_alpha for component in av.VideoFormat(pixel_format).components)


class TimeGrid:
    """The times at which a clip shows a picture, in seconds from its start.

    Args:
        fps (`float`): the grid is i / fps without end.
        times (`np.ndarray`, *optional*): ascending times instead of those.
    """

    def __init__(self, fps: float, times: np.ndarray | None = None):
        self.fps, self.times = fps, times

    def time(self, index: int) -> float:
        """The time of one picture; infinite beyond the last."""
        if self.times is None:
            return index / self.fps
        return float(self.times[index]) if index < len(self.times) else math.inf

    def before(self, seconds: float) -> int:
        """The number of times before `seconds`."""
        if self.times is None:
            return math.ceil(seconds * self.fps - 1e-6)
        return int(np.searchsorted(self.times, seconds - 1e-9))

    def hits(self, begin: float, end: float) -> bool:
        """Whether a time lies in [begin, end)."""
        begin = max(begin, 0.0)
        if begin >= end:
            return False
        if self.times is None:
            return self.time(max(0, math.ceil(begin * self.fps - 1e-9))) < end
        return self.time(int(np.searchsorted(self.times, begin))) < end


class PictureTrack:
    """Takes a stream's pictures in order and hands out those of the grid.

    The picture at time g is the last whose timestamp is not after g; before the first one, it is the first.

    Args:
        grid (`TimeGrid`): times to show.
        size ((height, width), *optional*): to resize to; the first picture's by default.
        stop (`float`): seconds after which nothing is shown.
        frame_seconds (`float`): how long a picture without a duration lasts.
        name (`str`): of the file, for messages.
        limits (`MediaLimits`).
    """

    def __init__(
        self,
        grid: TimeGrid,
        size: tuple[int, int] | None,
        stop: float,
        frame_seconds: float,
        name: str,
        limits: MediaLimits,
    ):
        self.grid, self.size, self.stop, self.frame_seconds = grid, size, stop, frame_seconds
        self.name, self.limits = name, limits
        self.current: av.VideoFrame | None = None
        self.time = -math.inf
        self.end_time = 0.0
        self.shown = 0
        self._pixels: np.ndarray | None = None  # of `current`, once it is shown
        self._waiting: list[np.ndarray] = []
        self._matrices: dict[tuple[int, int, int], Matrix | None] = {}
        self._converter = VideoReformatter()  # one for all pictures: setting it up costs more than a small picture

    def add(self, frame: av.VideoFrame, time: float | None) -> None:
        """Takes the next picture, shown from `time` (seconds from the clip's start) on."""
        what = f"{self.name} has a picture of {frame.width} x {frame.height} = {frame.width * frame.height} pixels"
        self.limits.check("max_pixels", frame.width * frame.height, what)
        time = self.end_time if time is None else time
        if time < self.time:
            return
        if self.current is not None:
            self._show_until(time)
        self.current, self._pixels, self.time = frame, None, time
        seconds = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self.frame_seconds
        self.end_time = max(self.end_time, time + seconds)

    def take(self, count: int) -> np.ndarray:
        """Pictures up to the grid's first `count` that were not taken yet, the last one repeated: (T, H, W, 3)."""
        while self.shown < count:
            self._show()
        number = len(self._waiting) - (self.shown - count)
        taken, self._waiting = self._waiting[:number], self._waiting[number:]
        if not taken:
            return np.empty((0, *(self.size or (0, 0)), 3), dtype=np.uint8)
        return np.stack(taken)

    def _display_matrix(self, frame: av.VideoFrame) -> Matrix | None:
        """How a picture is to be turned and mirrored.

        A frame whose side data were looked at lives until Python collects its cycles, so that is done once for all
        pictures of one size and rotation.
        """
        kind = (frame.rotation, frame.width, frame.height)
        if kind not in self._matrices:
            self._matrices[kind] = display_matrix(frame)
        return self._matrices[kind]

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 as stored; what is transparent lies on white."""
        if frame.format.name in OPAQUE or not (frame.format.has_palette or _has_alpha(frame.format.name)):
            return self._converter.reformat(frame, format="rgb24").to_ndarray()
        return on_white(self._converter.reformat(frame, format="rgba").to_ndarray())

    def _show_until(self, time: float) -> None:
        time = min(time, self.stop)
        while self.grid.time(self.shown) < time - ROUNDING:
            self._show()

    def _show(self) -> None:
        if self._pixels is None and self.current is not None:
            # As the file says (phones do): FFmpeg's libraries hand pictures out as they are stored.
            pixels = upright(self._to_rgb(self.current), self._display_matrix(self.current))
            self._pixels = np.ascontiguousarray(resized(pixels, self.size))
            self.size = self._pixels.shape[:2]
        if self._pixels is None:
            raise MediaError(f"{self.name} has no picture that could be decoded.")
        what = f"{self.name} has more than {self.shown} pictures at {self.grid.fps:g} Hz"
        remedy = 'Choose a part by start and end, lower fps, thin it by long_video="thin",'
        self.limits.check("max_frames", self.shown + 1, what, remedy)
        size = (len(self._waiting) + 1) * self._pixels.nbytes
        remedy = "Choose a part by start and end, lower fps, give size,"
        self.limits.check("max_clip_bytes", size, f"{self.name} has pictures of {size} bytes or more", remedy)
        self._waiting.append(self._pixels)
        self.shown += 1


def display_matrix(frame: av.VideoFrame) -> Matrix | None:
    """How a picture is to be turned and mirrored, by its own side data."""
    side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX) if frame.side_data else None
    if side_data is None:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side_data)[:36])
    return a, b, c, d


def upright(pixels: np.ndarray, matrix: Matrix | None) -> np.ndarray:
    """Turns and mirrors (H, W, C) pixels by a display matrix, to the nearest of the eight ways."""
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):  # x is shown downwards or upwards, and y across
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def kept_steps(steps: int, bound: int) -> np.ndarray:
    """Which of so many time steps are left when a long clip is thinned: `bound` of them, uniformly spaced."""
    return np.arange(bound) * steps // bound


def resized(pixels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resizes one (H, W, 3) uint8 picture, or leaves it as it is."""
    if size is None or pixels.shape[:2] == size:
        return pixels
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)  # (3, H, W)
    return resize_frames(tensor, *size).permute(1, 2, 0).contiguous().numpy()
