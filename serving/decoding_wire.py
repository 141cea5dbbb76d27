# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a decoding process is asked and what it answers: JSON of known fields, and arrays as they lie in memory.

Whoever has taken a decoder over can send what it likes: nothing that it sends is code, or more than was asked for.
"""

import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from favor.processing.media_favor import MediaClip
from favor.processing.media_limits_favor import DamagedMediaError, MediaError, MediaLimitError, MediaLimits

MAX_HEAD = 1 << 20  # bytes of JSON
MAX_WARNINGS = 100
MAX_MESSAGE = 4000  # characters
EXTRA_SECONDS = 60.0  # of sound beyond a bound on a clip, which a codec's padding never is
LENGTH = struct.Struct(">I")
# To the program that makes the processes: what to do, and with which process; it answers with a number.
ORDER, REPLY = struct.Struct("<cq"), struct.Struct("<q")
MAKE, END = b"m", b"e"
ERRORS = {kind.__name__: kind for kind in (MediaError, MediaLimitError, DamagedMediaError)}


class BrokenAnswer(RuntimeError):
    """What came is no answer, or none came: the process has died, or is no longer ours."""


class OutOfMemory(RuntimeError):
    """The process says that it may not have as much memory as the file needs."""


@dataclass(frozen=True)
class DecodeRequest:
    """The arguments of `load_media`, beside the file itself.

    Attributes:
        name: of the file, for messages.
        fps, start, end: see `load_media`.
        limits: the fields of its `MediaLimits`.
        options: its other arguments.
    """

    name: str
    fps: float
    start: float | None
    end: float | None
    limits: dict[str, float]
    options: dict[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name[:MAX_MESSAGE])

    @property
    def sampling_rate(self) -> int:
        """Of the sound that is asked for, in Hz."""
        return int(self.options["sampling_rate"])


@dataclass(frozen=True)
class DecodeAnswer:
    """A clip, and what was warned of."""

    clip: MediaClip
    warnings: list[str] = field(default_factory=list)


def send_request(channel: socket.socket, request: DecodeRequest, file: int) -> None:
    """Asks a process to decode an open file, whose descriptor is handed over."""
    head = json.dumps(asdict(request)).encode()
    socket.send_fds(channel, [LENGTH.pack(len(head))], [file])
    channel.sendall(head)


def receive_request(channel: socket.socket) -> tuple[DecodeRequest, int] | None:
    """The request, and the descriptor of its file; None if nothing is asked any more."""
    prefix, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
    if not prefix:
        return None
    head = bytearray(LENGTH.unpack(prefix)[0])
    _read_into(channel, memoryview(head), None)
    return DecodeRequest(**json.loads(head)), descriptors[0]


def send_clip(channel: socket.socket, clip: MediaClip, warnings: Sequence[str]) -> None:
    """Answers with a clip."""
    head = {
        "frames": None if clip.frames is None else clip.frames.shape[:3],
        "audio": None if clip.audio is None else len(clip.audio),
        "duration": clip.duration,
        "still": clip.still,
        "warnings": [text[:MAX_MESSAGE] for text in warnings[:MAX_WARNINGS]],
    }
    _send_head(channel, head)
    for array in (clip.frames, clip.frame_times, clip.audio):
        if array is not None and array.size:
            channel.sendall(np.ascontiguousarray(array).view(np.uint8).data)


def send_error(channel: socket.socket, kind: str, message: str) -> None:
    """Answers with an error: one of `ERRORS`, or "memory"."""
    _send_head(channel, {"error": kind, "message": message[:MAX_MESSAGE]})


def _send_head(channel: socket.socket, head: dict[str, Any]) -> None:
    data = json.dumps(head).encode()
    channel.sendall(LENGTH.pack(len(data)) + data)


def receive_answer(channel: socket.socket, request: DecodeRequest, deadline: float) -> DecodeAnswer:
    """The answer to a request.

    Args:
        channel: the process's.
        request: what was asked: no more is taken than it allows.
        deadline: by `time.monotonic`.

    Raises:
        MediaError: what decoding raised.
        OutOfMemory: if it may not have as much memory as it needs.
        BrokenAnswer: if what comes is no answer, or nothing comes any more.
        TimeoutError: at the deadline.
    """
    prefix = bytearray(LENGTH.size)
    _read_into(channel, memoryview(prefix), deadline)
    (size,) = LENGTH.unpack(prefix)
    if size > MAX_HEAD:
        raise BrokenAnswer(f"a head of {size} bytes")
    data = bytearray(size)
    _read_into(channel, memoryview(data), deadline)
    try:
        head = json.loads(data)
        error = ERRORS.get(head["error"], OutOfMemory)(str(head["message"])) if "error" in head else None
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        raise BrokenAnswer("no JSON of an answer") from problem
    if error is not None:
        raise error
    try:
        frames, times, audio = _arrays(head, request)
        told = [str(text) for text in head["warnings"]][:MAX_WARNINGS]
        duration, still = float(head["duration"]), bool(head["still"])
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        raise BrokenAnswer("no fields of a clip") from problem
    for array in (frames, times, audio):
        if array is not None and array.size:
            _read_into(channel, array.reshape(-1).view(np.uint8).data, deadline)
    return DecodeAnswer(MediaClip(frames, times, audio, request.sampling_rate, duration, still), told)


def _arrays(head: dict[str, Any], request: DecodeRequest) -> list[np.ndarray | None]:
    """Room for pictures, their times, and sound; raises `ValueError` for more than was asked for."""
    limits = MediaLimits(**request.limits)  # type: ignore[arg-type]
    frames = times = audio = None
    if head["frames"] is not None:
        count, height, width = (_count(number) for number in head["frames"])
        if 3 * count * height * width > max(limits.max_clip_bytes, 3 * limits.max_pixels):
            raise ValueError("too large pictures")
        frames, times = np.empty((count, height, width, 3), np.uint8), np.empty(count, np.float64)
    if head["audio"] is not None:
        samples = _count(head["audio"])
        if samples > (limits.max_duration + EXTRA_SECONDS) * request.sampling_rate:
            raise ValueError("too long sound")
        audio = np.empty(samples, np.float32)
    return [frames, times, audio]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError("no count")
    return value


def _read_into(channel: socket.socket, view: memoryview, deadline: float | None) -> None:
    while len(view):
        if deadline is not None:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise TimeoutError
            channel.settimeout(seconds)
        try:
            count = channel.recv_into(view)
        except ConnectionError:
            count = 0
        if count == 0:
            raise BrokenAnswer("the answer ends early")
        view = view[count:]
