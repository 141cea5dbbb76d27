# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Resamples decoded sound to mono and places it by timestamp, with silence in the gaps."""

import math
from collections import deque

import av
import numpy as np

from .media_limits_favor import DamageReport, MediaError, MediaLimits

TOLERANCE = 0.02  # seconds that timestamps may be off the running sound; one audio encoder vector
LOOKAHEAD = 0.3  # seconds for which they must be off, all in one direction, before the sound is moved
JITTER = 0.1  # seconds that a single timestamp may be off
FULL_SCALE = 16.0  # times full scale; floats beyond are no samples in [-1, 1], but integers of 16 bits or more


class SoundTrack:
    """Takes a stream's sound in order and hands out samples from the clip's start on.

    Sound runs on as long as its timestamps jitter about it. It is moved, with silence in the gap, where they have left
    it for longer: all of the next `LOOKAHEAD` seconds are off by more than `TOLERANCE` in one direction. Where pieces
    overlap in time, the earlier one is heard if there are pictures to keep pace with; else one follows the other.

    Args:
        rate (`int`): of the samples handed out, in Hz.
        stop (`float`): seconds after which nothing is heard.
        max_seconds (`float`): of sound; more raises `MediaLimitError`.
        damage (`DamageReport`): takes samples that are no numbers; knows the file's name and limits.
        alone (`bool`): the file has no pictures.
    """

    def __init__(self, rate: int, stop: float, max_seconds: float, damage: DamageReport, alone: bool):
        self.rate, self.stop, self.max_seconds, self.alone = rate, stop, max_seconds, alone
        self.damage, self.name = damage, damage.name
        self.limits: MediaLimits = damage.limits
        self.heard = False
        self.time = 0.0  # where the next piece of sound should begin
        self.end_time = 0.0
        self._ahead: deque[tuple[av.AudioFrame, float | None]] = deque()  # not placed yet
        self._ahead_seconds = 0.0
        self._resampler: av.AudioResampler | None = None
        self._signature: tuple | None = None
        self._position = 0  # samples from the clip's start at which the resampler's next output belongs
        self._filled = 0  # samples from the clip's start that earlier segments have filled
        self._taken = 0
        self._waiting: list[tuple[int, np.ndarray]] = []  # (position, samples)

    def add(self, frame: av.AudioFrame, time: float | None) -> None:
        """Takes the next piece of sound, heard from `time` (seconds from the clip's start) on."""
        if not frame.samples:
            return
        if not self._ahead and not self.heard and time is not None and time + _seconds(frame) <= 0:
            return
        self._ahead.append((frame, time))
        self._ahead_seconds += _seconds(frame)
        while self._ahead_seconds - _seconds(self._ahead[0][0]) > LOOKAHEAD:
            self._place_next()

    def finish(self) -> None:
        """Places what is waiting, and gets what the resampler still holds; call it at the stream's end."""
        while self._ahead:
            self._place_next()
        self._close_segment()

    def _place_next(self) -> None:
        """Places the first of the pieces ahead."""
        offset = self._lasting_offset()
        frame, _ = self._ahead.popleft()
        seconds = _seconds(frame)
        self._ahead_seconds -= seconds
        time = self.time + offset
        if time + seconds <= 0:
            self.time = time + seconds
            return
        if min(time + seconds, self.stop) > self.max_seconds + 1.0:
            remedy = 'Choose a part by start and end, thin it by long_video="thin",'
            what = f"{self.name} has more than {self.max_seconds:g} s of sound"
            self.limits.check("max_frames", self.limits.max_frames + 1, what, remedy)
        signature = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or signature != self._signature or offset:
            self._close_segment()
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self.rate)
            self._signature = signature
            self._position = round(time * self.rate)
        self.heard = True
        frame.pts = None  # placed here already; with timestamps the resampler would move samples by itself
        self._resample(frame)
        self.time = time + seconds
        self.end_time = max(self.end_time, self.time)

    def _lasting_offset(self) -> float:
        """The seconds by which the next piece is to be moved: 0.0 if the sound runs on.

        Of all pieces ahead, the one that is least off decides: it is off for good. The last pieces of a stream, too
        few to tell, must be off by more than any jitter.
        """
        if not self.heard and self._ahead[0][1] is not None:
            return self._ahead[0][1] - self.time
        tolerance = TOLERANCE if self._ahead_seconds >= LOOKAHEAD else JITTER
        offsets, expected = [], self.time
        for frame, time in self._ahead:
            offsets.append(0.0 if time is None else time - expected)
            if abs(offsets[-1]) <= tolerance or offsets[-1] * offsets[0] < 0:
                return 0.0
            expected += _seconds(frame)
        return 0.0 if self.alone and offsets[0] < 0 else min(offsets, key=abs)

    def _close_segment(self) -> None:
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
            samples = self._numbers(output.to_ndarray()[0])
            skipped = max(0, self._filled - self._position)
            if skipped < len(samples):
                self._waiting.append((self._position + skipped, samples[skipped:]))
            self._position += len(samples)

    def _numbers(self, samples: np.ndarray) -> np.ndarray:
        """The samples, with silence for those that are no numbers where damage is only warned about."""
        finite = np.isfinite(samples)
        if not finite.all():
            self.damage.add_samples(int(samples.size - finite.sum()), _not_finite(self.name))
            samples = np.where(finite, samples, np.float32(0))
        check_samples(samples, self.name)
        return samples


def _seconds(frame: av.AudioFrame) -> float:
    return frame.samples / frame.sample_rate


def _not_finite(name: str) -> str:
    return f"{name} holds samples that are not finite (NaN or infinity). Clean the sound first."


def check_samples(samples: np.ndarray, name: str) -> None:
    """Checks that (S,) float samples are sound.

    Raises:
        MediaError: if one is no number, or far beyond full scale, as integers that were not scaled to [-1, 1] are.
    """
    loudest = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(loudest):
        raise MediaError(_not_finite(name))
    if loudest > FULL_SCALE:
        raise MediaError(
            f"{name} holds samples of up to {loudest:g}, but floats must lie in [-1, 1] or a little beyond "
            f"(the bound is {FULL_SCALE:g}). Divide integers by their full scale, 32768 for 16 bits."
        )
