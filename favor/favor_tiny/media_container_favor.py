# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Opens media files safely and decodes one stream of them, packet by packet, within bounds.

Containers are opened as file objects with the demuxers that we accept and no protocol, so that a playlist dressed as a
video opens nothing else. Pictures and sound are read by a cursor each: whichever is behind in time goes on, so memory
stays flat however a file interleaves its streams.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.stream import Discard

from .media_limits_favor import DamagedMediaError, DamageReport, MediaError, MediaLimits
from .packet_selection_favor import DECODE, DROP, PacketSelection

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,flv,avi,asf,ogg,gif,h264,hevc,ivf,m4v,"
    "wav,w64,mp3,flac,aac,ac3,aiff,au,caf,amr,wv"
)
# Recordings that may begin anywhere: what cannot be decoded at their start belongs to what was cut off.
CUT_STARTS = ("mpegts", "mpeg", "mpegvideo", "flv", "avi", "mp3", "aac", "ac3", "h264", "hevc", "m4v")
ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: cover art, which is no video
DEFAULT_TRACK = 0x1  # AV_DISPOSITION_DEFAULT
READABLE = "mp4, mov, mkv, webm, avi, ts, flv, ogg, gif, wav, mp3, flac, m4a, png, jpeg or webp"


class FileView:
    """A second reading position in a binary file that somebody else holds open."""

    def __init__(self, file: BinaryIO):
        self._file, self._position = file, 0

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes."""
        self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position, and returns it."""
        if whence == os.SEEK_CUR:
            offset, whence = self._position + offset, os.SEEK_SET
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True


@contextmanager
def media_errors(name: str, missing: int = 0) -> Iterator[None]:
    """The one place where PyAV's many exceptions become a `MediaError` that names the file.

    Args:
        name (`str`): of the file.
        missing (`int`): bytes that the file announces but does not have.
    """
    try:
        yield
    except MediaError:
        raise
    except (av.FFmpegError, OSError, EOFError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if missing:
            raise DamagedMediaError(
                f"{name} cannot be read as media ({reason}): it is truncated at 0.00 s, {missing} bytes that it "
                "announces are missing. Use a complete copy."
            ) from error
        raise MediaError(
            f"{name} cannot be read as media ({reason}). It must be a complete video, sound or picture file: "
            f"{READABLE}."
        ) from error


def open_container(file: BinaryIO, name: str, limits: MediaLimits) -> av.container.InputContainer:
    """Opens a container that can open nothing else."""
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "none",
        "max_pixels": str(limits.max_pixels),
        "max_streams": str(limits.max_tracks + 1),  # one more, so that there is something to complain about
    }
    container = av.open(FileView(file), mode="r", options=options, metadata_errors="replace")
    try:
        tracks = len(container.streams)
        limits.check("max_tracks", tracks, f"{name} has {tracks} tracks")
        for stream in container.streams.video:
            pixels = stream.codec_context.width * stream.codec_context.height if stream.codec_context else 0
            limits.check("max_pixels", pixels, f"{name} has pictures of {pixels} pixels")
    except MediaError:
        container.close()
        raise
    return container


def pick_stream(container: av.container.InputContainer, kind: str, track: int | None, name: str) -> Any:
    """The stream to use: number `track` of its kind, else the default one, else the first; None if there is none.

    Raises:
        ValueError: if there is no such track.
    """
    streams = container.streams.video if kind == "video" else container.streams.audio
    usable = [stream for stream in streams if not int(stream.disposition) & ATTACHED_PICTURE and stream.codec_context]
    if track is not None:
        if not 0 <= track < len(usable):
            raise MediaError(f"{name} has {len(usable)} {kind} tracks, but {kind}_track={track} was asked for.")
        return usable[track]
    return next((stream for stream in usable if int(stream.disposition) & DEFAULT_TRACK), next(iter(usable), None))


class StreamCursor:
    """Decodes one stream of a file from its beginning, or from a point in time.

    Args:
        file (binary file): shared with other cursors.
        kind (`"video"` or `"audio"`), track (`int`, *optional*): which stream.
        damage (`DamageReport`): takes what cannot be decoded; knows the file's name and limits.
        missing (`int`): bytes that the file announces but does not have.
        threads (`int`): of the decoder.

    Attributes:
        stream: the stream, or None if the file has none of that kind; then there is nothing else to do with it.
        time (`float`): of the last packet, in the stream's own seconds.
    """

    def __init__(
        self, file: BinaryIO, kind: str, track: int | None, damage: DamageReport, missing: int = 0, threads: int = 1
    ):
        self._arguments = (file, kind, track, damage, missing, threads)
        self.damage, self.missing = damage, missing
        self.container = open_container(file, damage.name, damage.limits)
        self.stream = pick_stream(self.container, kind, track, damage.name)
        self.time = 0.0
        self.origin = 0.0  # the file's zero in the stream's own time, and
        self.zero = 0.0  # the clip's start
        self.quiet_until = -math.inf  # damage before this time is none of the clip's
        self.selection: PacketSelection | None = None
        self._early: list[Any] = []  # frames decoded to learn the first timestamp
        self._stamps: list[int] = []  # of packets whose pictures have not come out, with `_sorted_stamps`
        self._decoded = False
        if self.stream is None:
            return
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all
        self._time_base = self.stream.time_base
        self.codec = self.stream.codec_context
        self.codec.thread_count = threads
        if threads > 1:
            self.codec.thread_type = "FRAME"
        if kind == "video":
            self.codec.options = {"max_pixels": str(damage.limits.max_pixels)}
        # AVI tells when a picture is decoded, not when it is shown: the earliest time goes to what comes out next.
        self._sorted_stamps = kind == "video" and self.container.format.name == "avi" and self.codec.has_b_frames
        self._packets = self._read_packets()

    def close(self) -> None:
        """Closes the file's container; the file itself stays open."""
        self.container.close()

    def reopened(self) -> "StreamCursor":
        """The same stream from its beginning."""
        self.close()
        return StreamCursor(*self._arguments)

    def first_time(self) -> float | None:
        """The timestamp of the first frame, in seconds; nothing is lost by asking."""
        if self.stream is None:
            return None
        while not self._early:
            packet = next(self._packets, None)
            if packet is None:
                return None
            self._early += self._decode(packet, DECODE)
        return next((self._seconds(frame.pts) for frame in self._early if frame.pts is not None), None)

    def seek(self, seconds: float) -> bool:
        """Goes to the last restart before `seconds` of the stream's own time; False if the container cannot."""
        try:
            self.container.seek(int(seconds / self.stream.time_base), stream=self.stream)
        except av.FFmpegError:
            return False
        self._early, self._stamps, self._packets = [], [], self._read_packets()
        return True

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        """Decoded frames in order, each with its time in seconds from `zero`."""
        for frame in self._early:
            yield frame, self._since_zero(frame)
        self._early = []
        chosen = (
            self.selection.choose(self._packets)
            if self.selection is not None
            else ((packet, DECODE) for packet in self._packets)
        )
        for packet, effort in chosen:
            if effort is DROP:
                continue
            for frame in self._decode(packet, effort):
                if self.selection is not None:
                    self.selection.check(frame)
                yield frame, self._since_zero(frame)
        for frame in self._flush():
            yield frame, self._since_zero(frame)
        if self.selection is not None:
            self.selection.check_end()
        if self.missing:
            self.damage.add_truncation(self.time - self.origin, self.missing)

    def _since_zero(self, frame: Any) -> float | None:
        return None if frame.pts is None else self._seconds(frame.pts) - self.zero

    def _seconds(self, stamp: int) -> float:
        """A timestamp of the stream, correctly rounded; the fraction itself is slow to compute with."""
        return stamp * self._time_base.numerator / self._time_base.denominator

    def _read_packets(self) -> Iterator[av.Packet]:
        packets = self.container.demux(self.stream)
        count, name = 0, self.damage.name
        while True:
            self.damage.check_time()
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                if not self.missing:  # a truncated file is reported as such, once
                    self.damage.add_packet(self.time - self.origin, error.strerror)
                packet = None
            if packet is None:
                return
            count += 1
            if self.stream.type == "video":
                self.damage.limits.check("max_source_frames", count, f"{name} has more than {count - 1} pictures")
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                self.time = self._seconds(stamp)
            yield packet

    def _decode(self, packet: av.Packet, effort: str) -> list[Any]:
        """A packet's frames; none, and a report, if it is damaged."""
        if self.selection is not None:
            self.codec.skip_frame = effort
        stamp = packet.pts if packet.pts is not None else packet.dts
        try:
            frames = packet.decode()
        except av.EOFError:
            return []
        except av.FFmpegError as error:
            self._report(packet, error)
            return []
        if self._sorted_stamps:
            self._stamps += [] if stamp is None else [stamp]
            self._stamps.sort(reverse=True)
            for frame in frames:
                frame.pts = self._stamps.pop() if self._stamps else None
        self._decoded = self._decoded or bool(frames)
        return frames

    def _report(self, packet: av.Packet, error: av.FFmpegError) -> None:
        if self.selection is not None:
            self.selection.stop_choosing()
        cut_off = not self._decoded and self.container.format.name in CUT_STARTS
        if not (cut_off or self.time < self.quiet_until or (self.missing and packet.is_corrupt)):
            if isinstance(error, av.ArgumentError) and self.stream.type == "video":
                self.damage.add_refused_picture(self.time - self.origin)
            else:
                self.damage.add_packet(self.time - self.origin, error.strerror)

    def _flush(self) -> list[Any]:
        """What the decoder still holds after a container that broke off; a whole one has handed it out."""
        try:
            return self.codec.decode(None)
        except av.FFmpegError:
            return []


def packets_end(file: BinaryIO, kind: str, track: int | None, damage: DamageReport) -> float:
    """Where a stream ends, in its own seconds, by its packets' timestamps; nothing is decoded."""
    cursor = StreamCursor(file, kind, track, damage)
    try:
        end = 0.0
        for packet in cursor._packets if cursor.stream is not None else ():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base))
        return end
    finally:
        cursor.close()
