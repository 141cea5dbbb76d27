# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Resamples decoded sound to mono and places it by timestamp, with silence in the gaps."""

import av
import numpy as np

from .media_limits_favor import MediaLimits

GAP_TOLERANCE = 0.02  # seconds of timestamp jitter that are no gap; one audio encoder vector


class SoundTrack:
    """Takes a stream's sound in order and hands out samples from the clip's start on.

    Where pieces overlap in time, the earlier one is heard.

    Args:
        rate (`int`): of the samples handed out, in Hz.
        stop (`float`): seconds after which nothing is heard.
        max_seconds (`float`): of sound; more raises `MediaLimitError`.
        name (`str`): of the file, for messages.
        limits (`MediaLimits`).
    """

    def __init__(self, rate: int, stop: float, max_seconds: float, name: str, limits: MediaLimits):
        self.rate, self.stop, self.max_seconds = rate, stop, max_seconds
        self.name, self.limits = name, limits
        self.heard = False
        self.time = 0.0  # where the next piece of sound should begin
        self.end_time = 0.0
        self._resampler: av.AudioResampler | None = None
        self._signature: tuple | None = None
        self._position = 0  # samples from the clip's start at which the resampler's next output belongs
        self._filled = 0  # samples from the clip's start that earlier segments have filled
        self._taken = 0
        self._waiting: list[tuple[int, np.ndarray]] = []  # (position, samples)

    def add(self, frame: av.AudioFrame, time: float | None) -> None:
        """Takes the next piece of sound, heard from `time` (seconds from the clip's start) on."""
        time = self.time if time is None else time
        seconds = frame.samples / frame.sample_rate
        if time + seconds <= 0:
            return
        if min(time + seconds, self.stop) > self.max_seconds + 1.0:
            remedy = 'Choose a part by start and end, thin it by long_video="thin",'
            what = f"{self.name} has more than {self.max_seconds:g} s of sound"
            self.limits.check("max_frames", self.limits.max_frames + 1, what, remedy)
        signature = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or signature != self._signature or abs(time - self.time) > GAP_TOLERANCE:
            self.close_segment()
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self.rate)
            self._signature = signature
            self._position = round(time * self.rate)
            self.time = time
        self.heard = True
        frame.pts = None  # placed here already; with timestamps the resampler would move samples by itself
        self._resample(frame)
        self.time += seconds
        self.end_time = max(self.end_time, self.time)

    def close_segment(self) -> None:
        """Gets what the resampler still holds; call it at the stream's end."""
        if self._resampler is not None:
            self._resample(None)
            self._resampler = None
            self._filled = max(self._filled, self._position)

    def take(self, end: int) -> np.ndarray:
        """The samples up to `end` that were not taken yet: (S,) float32."""
        samples = np.zeros(max(0, end - self._taken), dtype=np.float32)
        kept = []
        for position, piece in self._waiting:
            inside = piece[: max(0, end - position)]
            begin = position - self._taken
            samples[begin : begin + len(inside)] = inside
            if len(inside) < len(piece):
                kept.append((position + len(inside), piece[len(inside) :]))
        self._waiting = kept
        self._taken = max(self._taken, end)
        return samples

    def _resample(self, frame: av.AudioFrame | None) -> None:
        for output in self._resampler.resample(frame):  # type: ignore[union-attr]
            samples = output.to_ndarray()[0]
            skipped = max(0, self._filled - self._position)
            if skipped < len(samples):
                self._waiting.append((self._position + skipped, samples[skipped:]))
            self._position += len(samples)
