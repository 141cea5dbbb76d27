# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Bounds on what a media file may cost, and the errors and warnings of a file that breaks them or is damaged."""

import dataclasses
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any


class MediaError(ValueError):
    """A file or array that cannot be used as media; the message names it, the reason and the remedy."""


class MediaLimitError(MediaError):
    """A file that exceeds one of `MediaLimits`; the message names the bound and how to raise it."""


class DamagedMediaError(MediaError):
    """A truncated or corrupt file; the message names the time up to which it was read."""


@dataclass(frozen=True)
class MediaLimits:
    """What one file may cost. A file beyond a bound raises `MediaLimitError`; nothing is cut silently.

    Attributes:
        max_pixels (`int`): of one picture, before it is resized; beyond any camera by default.
        max_frames (`int`): pictures of a clip and, divided by `fps`, seconds of its sound; an hour at 2 Hz by default.
        max_duration (`float`): seconds of a clip, whatever its `fps`.
        max_tracks (`int`): streams in the file.
        max_source_frames (`int`): pictures that the file may hold up to the clip's end; 4.8 hours at 60 Hz by default.
        max_decode_seconds (`float`): of wall time for one file, looked at between packets.
        max_file_bytes (`int`): of the file; a stream that cannot seek is held in memory.
        max_clip_bytes (`int`): of all pictures of a clip, as `load_media` returns them.
        max_damaged_packets (`int`): that `on_error="warn"` passes over.
    """

    max_pixels: int = 1 << 27
    max_frames: int = 7200
    max_duration: float = 4 * 3600.0
    max_tracks: int = 64
    max_source_frames: int = 1 << 20
    max_decode_seconds: float = 3600.0
    max_file_bytes: int = 1 << 36
    max_clip_bytes: int = 1 << 32
    max_damaged_packets: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, Real) or isinstance(value, bool) or not float(value) > 0:
                raise MediaError(f"media_limits: {name} must be a positive number, but {value!r} was given.")

    def check(self, bound: str, value: float, what: str, remedy: str = "") -> None:
        """Raises `MediaLimitError` if `value` is above the bound; `what` says of which file it is what."""
        limit = getattr(self, bound)
        if value > limit:
            remedy = f"{remedy} or raise" if remedy else "If you trust the file, raise"
            raise MediaLimitError(
                f"{what}; the bound is {bound}={limit:g}. {remedy} {bound} "
                f'(load_media and FavorProcessor take media_limits={{"{bound}": ...}}).'
            )


def to_limits(value: MediaLimits | Mapping[str, Any] | None, max_frames: int | None = None) -> MediaLimits:
    """Makes `MediaLimits` of a dict of some of its fields; `max_frames` replaces that field.

    Raises:
        ValueError: if a name is no bound.
    """
    changes: dict[str, Any] = {}
    if value is not None:
        changes = dict(value) if isinstance(value, Mapping) else dict(vars(value))
    if max_frames is not None:
        changes["max_frames"] = max_frames
    bounds = [field.name for field in dataclasses.fields(MediaLimits)]
    unknown = sorted(set(changes) - set(bounds))
    if unknown:
        raise MediaError(f"media_limits has no bound {', '.join(unknown)}. The bounds are {', '.join(bounds)}.")
    return MediaLimits(**changes)


class DamageReport:
    """What could not be decoded in one file: an error at the first damage, or one warning at the end.

    Args:
        name (`str`): of the file, for messages.
        on_error (`"raise"` or `"warn"`): what damage does.
        limits (`MediaLimits`): for the number of damaged packets, and the time that decoding may take.
    """

    def __init__(self, name: str, on_error: str, limits: MediaLimits):
        self.name, self.on_error, self.limits = name, on_error, limits
        self.packets = 0
        self.junk_frames = 0  # of streams without a container: what looked like sound and was none
        self.silenced = 0  # samples that are no numbers
        self.unknown_codecs: list[str] = []
        self.unread = ""  # what of the file no demuxer reads
        self.truncated_at: float | None = None
        self._started = time.monotonic()

    @property
    def found(self) -> bool:
        """Something was damaged."""
        return self.packets > 0 or self.silenced > 0 or self.truncated_at is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The time spent within does not count as decoding."""
        begin = time.monotonic()
        yield
        self._started += time.monotonic() - begin

    def check_time(self) -> None:
        """Raises `MediaLimitError` when decoding has taken too long."""
        seconds = time.monotonic() - self._started
        self.limits.check("max_decode_seconds", seconds, f"{self.name} has taken {seconds:.1f} s to decode")

    def add_packet(self, seconds: float, reason: str) -> None:
        """A packet of about `seconds` on the file's clock could not be decoded."""
        self.packets += 1
        if self.on_error == "raise":
            raise DamagedMediaError(
                f"{self.name} is damaged at {seconds:.2f} s ({reason}). "
                'Use another copy, or on_error="warn" to take what can be decoded.'
            )
        self.limits.check("max_damaged_packets", self.packets, f"{self.name} has {self.packets} damaged packets")

    def reset(self) -> None:
        """Forgets what was found, before the file is read once more."""
        self.packets = self.junk_frames = self.silenced = 0
        self.unknown_codecs = []
        self.truncated_at = None

    def add_junk(self, frame: bool) -> None:
        """Bytes of a stream without a container are no sound: tags or filling, or (`frame`) they look like sound."""
        self.junk_frames += frame

    def add_samples(self, count: int, reason: str) -> None:
        """`count` samples of sound are no numbers; they will be silent."""
        self.silenced += count
        if self.on_error == "raise":
            raise DamagedMediaError(f'{reason} Or use on_error="warn", to hear silence there.')

    def add_unknown_codec(self, kind: str, codec: str) -> None:
        """The file's pictures or sound (`kind`) have a codec that cannot be decoded."""
        self.unknown_codecs.append(f"{self.name} has a {kind} stream of codec {codec!r}, which cannot be decoded")
        if self.on_error == "raise":
            other = "sound" if kind == "picture" else "pictures"
            raise MediaError(
                f"{self.unknown_codecs[-1]}. Convert it, for instance to H.264 and AAC in mp4, "
                f'or use on_error="warn" to take the {other} alone.'
            )

    def add_refused_picture(self, seconds: float) -> None:
        """The decoder refused a picture's size, as it does beyond `max_pixels`; damage to a header looks the same."""
        if self.on_error == "raise":
            refused = f"{self.name} has at {seconds:.2f} s a picture that is damaged or has too many pixels"
            self.limits.check("max_pixels", math.inf, refused)
        self.add_packet(seconds, "picture refused")

    def add_truncation(self, seconds: float, missing: int) -> None:
        """The file ends after `seconds`, although `missing` more bytes were announced."""
        if self.on_error == "raise":
            raise DamagedMediaError(
                f"{self.name} is truncated at {seconds:.2f} s: {missing} bytes that it announces are missing. "
                'Use a complete copy, or on_error="warn" to take what can be decoded.'
            )
        self.truncated_at = max(seconds, self.truncated_at or 0.0)

    def warn(self) -> None:
        """Warns once about all that was left out."""
        if self.packets:
            packets = "1 packet" if self.packets == 1 else f"{self.packets} packets"
            warnings.warn(f"{self.name} is damaged: {packets} could not be decoded and were left out.", stacklevel=2)
        if self.unread:
            remedy = "Give each as a file of its own, or join them with ffmpeg."
            warnings.warn(f"{self.name} is joined of several recordings: {self.unread}. {remedy}", stacklevel=2)
        for unknown in self.unknown_codecs:
            warnings.warn(f"{unknown}; it was left out.", stacklevel=2)
        if self.junk_frames:
            warnings.warn(
                f"{self.name} has bytes between its frames of sound: {self.junk_frames} times they looked like "
                "a frame and could not be decoded. They were left out.",
                stacklevel=2,
            )
        if self.silenced:
            samples = f"{self.silenced} samples that are not finite"
            warnings.warn(f"{self.name} holds {samples}; they are silent.", stacklevel=2)
        if self.truncated_at is not None:
            warnings.warn(f"{self.name} is truncated: it ends at {self.truncated_at:.2f} s.", stacklevel=2)
