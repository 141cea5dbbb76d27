# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Decodes one stream of a file, packet by packet, within bounds.

Pictures and sound are read by a cursor each: whichever is behind in time goes on, so memory stays flat however a file
interleaves its streams.
"""

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.stream import Discard

from .clock_breaks_favor import JOINABLE, ClockBreaks, is_suspicious
from .media_container_favor import open_container, pick_stream, unknown_codec
from .media_limits_favor import DamageReport
from .media_truncation_favor import is_one_segment
from .packet_selection_favor import DECODE, DROP, PacketSelection
from .picture_bounds_favor import START_OF_SCAN, check_scans
from .picture_track_favor import ROUNDING, TimeGrid

SEEK_MARGIN = 2.0  # seconds decoded before `start`, so that the sound decoder has settled
# Recordings that may begin anywhere: what cannot be decoded at their start belongs to what was cut off.
CUT_STARTS = ("mpegts", "mpeg", "mpegvideo", "flv", "avi", "mp3", "aac", "ac3", "h264", "hevc", "m4v")
# Streams without a container, which decoders find again after what is none of theirs: mask and start of a frame.
FRAME_STARTS = {
    "mp3": (b"\xff\xe0", b"\xff\xe0"),
    "aac": (b"\xff\xf6", b"\xff\xf0"),
    "ac3": (b"\xff\xff", b"\x0b\x77"),
}
FILMS = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name of their format
# How another file of the kind begins, of which FFmpeg does not read a second (Matroska: a third).
BEGINNINGS = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "flv": rb"FLV\x01",
        "matroska,webm": rb"\x1a\x45\xdf\xa3",
        FILMS: rb"\0\0\0.ftyp",
        "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        "ivf": rb"DKIF\0\0",
        "ogg": rb"OggS\0\x02",
        "wav": rb"RIFF....WAVE",
        "aiff": rb"FORM....AIF[FC]",
        "w64": rb"riff\x2e\x91\xcf\x11",
        "caf": rb"caff\0\x01",
        "wv": rb"wvpk.{12}\0\0\0\0",  # a block of which the first sample is the recording's first
    }.items()
}
BEGINNING_WITHIN = 1 << 20  # bytes after a stream's last packet in which it is looked for
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
RESYNCHRONISING = (*FRAME_STARTS, "flac", "amr")


class MediaFile:
    """What the cursors of one file share.

    Args:
        file (binary file): read by several cursors.
        damage (`DamageReport`): takes what cannot be decoded; knows the file's name and limits.
        missing (`int`): bytes that the file announces but does not have.
        video_track, audio_track (`int`, *optional*): which streams.
    """

    def __init__(
        self, file: BinaryIO, damage: DamageReport, missing: int, video_track: int | None, audio_track: int | None
    ):
        self.file, self.damage, self.missing = file, damage, missing
        self.tracks = {"video": video_track, "audio": audio_track}
        self.breaks: ClockBreaks | None = None  # once a cursor knows the format

    def opened(self) -> av.container.InputContainer:
        """The file's container, to be closed by the caller."""
        container = open_container(self.file, self.damage.name, self.damage.limits)
        if self.breaks is None:
            name = container.format.name
            joinable = name in JOINABLE and not (name == "matroska,webm" and is_one_segment(self.file))
            self.breaks = ClockBreaks(self._opened_streams, joinable)
        return container

    def _opened_streams(self) -> tuple[av.container.InputContainer, Sequence]:
        container = self.opened()
        picked = [pick_stream(container, kind, track, self.damage.name) for kind, track in self.tracks.items()]
        return container, [stream for stream in picked if stream is not None]


class StreamCursor:
    """Decodes one stream of a file from its beginning, or from a point in time.

    Args:
        source (`MediaFile`): the file.
        kind (`"video"` or `"audio"`): which stream.
        threads (`int`): of the decoder.

    Attributes:
        found (`bool`): the file has a stream of that kind; if not, there is nothing else to do with the cursor.
        unknown_codec (`str`, *optional*): of a stream of that kind that cannot be decoded.
        frame_seconds (`float`): how long a picture lasts by the stream's rate; 0.0 if it has none.
        time (`float`): of the last packet, in the stream's own seconds.
    """

    def __init__(self, source: MediaFile, kind: str, threads: int = 1):
        self._arguments = (source, kind, threads)
        self._source = source
        self.damage, self.missing = source.damage, source.missing
        self.container = source.opened()
        self.stream = pick_stream(self.container, kind, source.tracks[kind], self.damage.name)
        self.found = self.stream is not None
        self.unknown_codec = None if self.found else unknown_codec(self.container, kind, source.file)
        self.time = 0.0
        self.origin = 0.0  # the file's zero in the stream's own time, and
        self.zero = 0.0  # the clip's start
        self.quiet_until = -math.inf  # damage before this time is none of the clip's
        self.selection: PacketSelection | None = None
        self._early: list[Any] = []  # frames decoded to learn the first timestamp
        self._stamps: list[int] = []  # of packets whose pictures have not come out, with `_sorted_stamps`
        self._decoded = False
        self.frame_seconds = 0.0
        if self.stream is None:
            return
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all
        rate = self.stream.average_rate if kind == "video" else None
        self.frame_seconds = float(1 / rate) if rate else 0.0
        self._breaks: Any = source.breaks
        self._time_base: Fraction = self.stream.time_base
        self._ticks = self._time_base.as_integer_ratio()
        self.codec = _alpha_decoder(self.stream) or self.stream.codec_context
        self.codec.thread_count = threads
        if threads > 1:
            self.codec.thread_type = "FRAME"
        if kind == "video":
            self.codec.options = {"max_pixels": str(self.damage.limits.max_pixels)}
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
        if not self.found:
            return None
        while not self._early:
            packet = next(self._packets, None)
            if packet is None:
                return None
            self._early += self._decode(packet, DECODE)
        return next((self._seconds(frame.pts) for frame in self._early if frame.pts is not None), None)

    def end(self) -> float:
        """Where the stream ends, in its own seconds, by its packets' timestamps; nothing is decoded."""
        cursor = self._again()
        try:
            end = 0.0
            for packet in cursor._packets if cursor.found else ():
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None:
                    end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base))
            return end
        finally:
            cursor.close()

    def started(self, origin: float, start: float) -> "StreamCursor":
        """The cursor to read a clip with that begins `start` seconds after the file's zero: this one, or a new one.

        Args:
            origin (`float`): the file's zero, in the stream's own seconds.
            start (`float`): in seconds.
        """
        cursor, zero = self, origin + start
        if start > 2 * SEEK_MARGIN:
            cursor.origin, cursor.quiet_until = origin, zero
            first = cursor.first_time() if cursor._seek(zero - SEEK_MARGIN) else None
            if first is None or first > zero:  # the seek went too far, as it may where a container has no index
                cursor.close()
                cursor = cursor._again()
        cursor.origin, cursor.zero = origin, zero
        cursor.quiet_until = zero if start > 0 else -math.inf
        return cursor

    def choose(self, grid: TimeGrid, stop: float) -> None:
        """From now on decodes only the pictures that `grid` shows before `stop` seconds from the clip's start."""
        self.selection = PacketSelection(self.stream, grid, self.zero, stop, tolerance=ROUNDING)

    def _again(self) -> "StreamCursor":
        """The same stream from its beginning."""
        return StreamCursor(*self._arguments)

    def _seek(self, seconds: float) -> bool:
        """Goes to the last restart before `seconds` of the stream's own time; False if the container cannot."""
        self._breaks.look()
        if self._breaks.found:  # then the file's index, if any, knows one part only
            return False
        try:
            self.container.seek(int(seconds / self._time_base), stream=self.stream)
        except av.FFmpegError:
            return False
        self._early, self._stamps, self._packets = [], [], self._read_packets()
        return True

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        """Decoded frames in order, each with its time in seconds from `zero`."""
        latest = None
        for latest in self._early:
            yield latest, self._since_zero(latest)
        self._early = []
        chosen = (
            self.selection.choose(self._packets)
            if self.selection is not None
            else ((packet, DECODE) for packet in self._packets)
        )
        for packet, effort in chosen:
            if effort is DROP:
                continue
            if _is_repeat(packet) and latest is not None and self.stream.type == "video":
                yield latest, self._seconds(packet.pts if packet.pts is not None else packet.dts) - self.zero
            for frame in self._decode(packet, effort):
                if self.selection is not None:
                    self.selection.check(frame)
                yield frame, self._since_zero(frame)
                latest = frame
        for frame in self._flush():
            yield frame, self._since_zero(frame)
        if self.selection is not None:
            self.selection.check_end()
        if self.missing:
            self.damage.add_truncation(self.time - self.origin, self.missing)

    def _since_zero(self, frame: Any) -> float | None:
        return None if frame.pts is None else self._seconds(frame.pts) - self.zero

    def _seconds(self, stamp: int) -> float:
        """A number of the stream's ticks, correctly rounded; the fraction itself is slow to compute with."""
        return stamp * self._ticks[0] / self._ticks[1]

    def _read_packets(self) -> Iterator[av.Packet]:
        packets = self.container.demux(self.stream)
        count, name = 0, self.damage.name
        self._last: tuple[float, float] | None = None  # decoding time of the last packet as it was, and its length
        self._shift = 0.0
        self._packet_end = self.time
        self._is_film = self.container.format.name == FILMS
        self._place = -1  # where the last packet ends, at the earliest, in bytes
        self._decoded_place = 0  # where the last packet lies of which something was decoded
        self._ended = False  # what follows belongs to another recording
        while not self._ended:
            self.damage.check_time()
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                # A truncated file is reported as such, once; and joined ones break the demuxers of some containers.
                if not (self._is_joined(self._place) or self.missing):
                    self.damage.add_packet(self.time - self.origin, error.strerror)
                return
            if packet is None:
                if not self._is_film:  # these are counted before
                    self._is_joined(self._place)
                return
            if packet.is_corrupt and self._is_joined(self._place):  # the other recording's header, taken for a packet
                return
            if self._is_film and self.damage.unread and packet.size and (packet.pos or 0) < self._place:
                return  # of the second film, whose fragments say where they lie in a file of their own
            self._place = packet.pos + packet.size if packet.pos is not None and packet.pos >= 0 else self._place
            if self._breaks.joinable and packet.size:
                self._mend_stamps(packet, count)
            count += 1
            if self.stream.type == "video":
                self.damage.limits.check("max_source_frames", count, f"{name} has more than {count - 1} pictures")
            if self.codec.name == "mjpeg" and packet.size:  # one call of the decoder, which nothing interrupts
                scans, pixels = bytes(packet).count(START_OF_SCAN), self.codec.width * self.codec.height
                check_scans(scans, pixels, f"A picture of {name}", self.damage.limits)
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                self.time = self._seconds(stamp)
                self._packet_end = self.time + self._seconds(packet.duration or 0)
            yield packet

    def _is_joined(self, place: int, stop: int | None = None) -> bool:
        """Whether another recording begins behind `place`, before `stop`, which is noted: no demuxer reads it."""
        name = self.container.format.name
        beginning = BEGINNINGS.get(name)
        if beginning is None or place < 0 or (name in JOINABLE and not self._breaks.joinable):
            return False
        size = BEGINNING_WITHIN if stop is None else max(0, min(stop - place, BEGINNING_WITHIN))
        self._source.file.seek(place)
        if beginning.search(self._source.file.read(size)) is None:
            return False
        end = self._packet_end - self.origin
        self.damage.unread = self.damage.unread or f"what follows {end:.2f} s cannot be read"
        return True

    def _mend_stamps(self, packet: av.Packet, number: int) -> None:
        """Puts a packet on the clock that goes on where the file's own begins again."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return
        decoded, seconds = self._seconds(stamp), self._seconds(packet.duration or 0) or self.frame_seconds
        if self._last is not None and is_suspicious(decoded, *self._last):
            self._breaks.look()
        self._last = decoded, seconds
        shift = self._breaks.shift(self.stream.index, number)
        if shift != self._shift:
            self._shift, self._decoded = shift, False  # a part of its own, which may begin anywhere, too
        if self._shift:
            ticks = round(self._shift / self._time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _decode(self, packet: av.Packet, effort: str) -> list[Any]:
        """A packet's frames; none, and a report, if it is damaged."""
        if self.selection is not None:
            self.codec.skip_frame = effort
        stamp = packet.pts if packet.pts is not None else packet.dts
        if _is_repeat(packet):
            return []
        try:
            frames = self.codec.decode(packet if packet.size else None)
        except av.EOFError:
            return []
        except av.FFmpegError as error:
            if self._is_joined(self._decoded_place + 1, (packet.pos or 0) + packet.size):
                self._ended = True
            else:
                self._report(packet, error)
            return []
        if self._sorted_stamps:
            self._stamps += [] if stamp is None else [stamp]
            self._stamps.sort(reverse=True)
            for frame in frames:
                frame.pts = self._stamps.pop() if self._stamps else None
        if frames:
            self._decoded, self._decoded_place = True, max(self._decoded_place, packet.pos or 0)
        return frames

    def _report(self, packet: av.Packet, error: av.FFmpegError) -> None:
        if self.selection is not None:
            self.selection.stop_choosing()
        if self.container.format.name in RESYNCHRONISING:
            self.damage.add_junk(frame=self._is_frame(packet))
            return
        cut_off = not self._decoded and self.container.format.name in CUT_STARTS
        if not (cut_off or self.time < self.quiet_until or (self.missing and packet.is_corrupt)):
            if isinstance(error, av.ArgumentError) and self.stream.type == "video":
                self.damage.add_refused_picture(self.time - self.origin)
            else:
                self.damage.add_packet(self.time - self.origin, error.strerror)

    def _is_frame(self, packet: av.Packet) -> bool:
        """Whether a packet of a stream without a container begins as its codec's frames do."""
        mask, start = FRAME_STARTS.get(self.container.format.name, (b"", b""))
        data = bytes(packet)[: len(mask)]
        return bytes(byte & kept for byte, kept in zip(data, mask, strict=False)) == start

    def _flush(self) -> list[Any]:
        """What the decoder still holds after a container that broke off; a whole one has handed it out."""
        try:
            return self.codec.decode(None)
        except av.FFmpegError:
            return []


def _alpha_decoder(stream: Any) -> av.CodecContext | None:
    """The decoder for pictures of WebM with alpha, of which FFmpeg's own shows what lies beneath; None of others."""
    codec = ALPHA_DECODERS.get(stream.codec_context.name)
    if codec is None or stream.metadata.get("alpha_mode") != "1":
        return None
    try:
        return av.CodecContext.create(codec, "r")
    except av.codec.codec.UnknownCodecError:  # FFmpeg was built without it
        return None


def _is_repeat(packet: av.Packet) -> bool:
    """Whether a packet is empty because nothing is new, as in Theora and AVI; the last one of a file has no stamp."""
    return not packet.size and (packet.pts is not None or packet.dts is not None)
