# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chooses which packets of a picture stream need decoding, so that nobody decodes pictures that are never shown.

Two facts allow it: pictures that no other picture refers to can be skipped by the decoder, and after a picture at
which decoding can begin anew, nothing before it matters. What is chosen is never too little: a packet without a
timestamp, a codec or container whose timestamps cannot be trusted, or damage end the choosing, and everything is
decoded.
"""

from collections.abc import Iterator

import av

from .picture_track_favor import TimeGrid

# Containers that carry each picture's presentation time. AVI, MPEG-PS and raw streams do not.
TIMED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")
SKIPPABLE = ("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video")  # decoders that leave out unreferenced pictures
INTRA_ONLY = ("mjpeg", "prores", "dnxhd", "rawvideo", "png")
REFRESHING = ("vp9", "av1", "mpeg4", "mpeg2video", "mpeg1video", *INTRA_ONLY)  # every key packet starts anew
# The first slice's type in a packet that starts anew: H.264 IDR; HEVC BLA, IDR and CRA.
RESTART_NAL_TYPES = {"h264": {5}, "hevc": set(range(16, 22))}
REORDERED_PACKETS = 34  # packets that may have to be seen before the next picture in time is known
MAX_PACKETS = 1200  # packets held while looking for the next restart
MAX_BYTES = 1 << 26

DECODE, SKIP_UNREFERENCED, DROP = "DEFAULT", "NONREF", None


class UntrustedTimestamps(Exception):
    """A picture that should have come out did not; the file must be decoded in full."""


class PacketSelection:
    """Says for each packet how to decode it, and checks that every chosen picture comes out.

    Args:
        stream: the picture stream.
        grid (`TimeGrid`): the times that are shown, in seconds from `zero`.
        zero (`float`): the clip's start in the stream's own time, in seconds.
        stop (`float`): end of the clip, in seconds from `zero`.
        tolerance (`float`): seconds by which a picture may be later than the time it is shown at.
    """

    def __init__(self, stream: av.VideoStream, grid: TimeGrid, zero: float, stop: float, tolerance: float):
        self.codec = stream.codec_context.name
        self.codec = {"libdav1d": "av1", "libvpx-vp9": "vp9"}.get(self.codec, self.codec)
        self.extradata = bytes(stream.codec_context.extradata or b"")
        self.grid, self.zero, self.stop, self.tolerance = grid, zero, stop, tolerance
        self.trusted = stream.container.format.name in TIMED_FORMATS and (
            self.codec in REFRESHING or self.codec in RESTART_NAL_TYPES
        )
        self.awaited: set[int] = set()

    def stop_choosing(self) -> None:
        """From now on every packet is decoded."""
        self.trusted = False
        self.awaited.clear()

    def choose(self, packets: Iterator[av.Packet]) -> Iterator[tuple[av.Packet, str | None]]:
        """Pairs each packet with `DECODE`, `SKIP_UNREFERENCED` or `DROP`, in the given order."""
        held: list[av.Packet] = []
        size = since_scan = 0
        for packet in packets:
            if packet.pts is None and packet.size:
                self.stop_choosing()
            if not self.trusted:
                yield from ((waiting, DECODE) for waiting in held)
                held, size = [], 0
                yield packet, DECODE
                continue
            held.append(packet)
            size, since_scan = size + packet.size, since_scan + 1
            full = len(held) > MAX_PACKETS or size > MAX_BYTES
            if len(held) > REORDERED_PACKETS and (full or (since_scan >= REORDERED_PACKETS and self._restart(held))):
                since_scan = 0
                ready = self._judge(held, at_end=False)
                yield from ready
                held = held[len(ready) :]
                size = sum(waiting.size for waiting in held)
        yield from self._judge(held, at_end=True) if self.trusted else ((packet, DECODE) for packet in held)

    def check(self, frame: av.VideoFrame) -> None:
        """Takes a decoded picture.

        Raises:
            UntrustedTimestamps: if one that should have come before it did not, or it is broken.
        """
        if not self.trusted:
            return
        if frame.pts is None or frame.is_corrupt or min(self.awaited, default=frame.pts) < frame.pts:
            raise UntrustedTimestamps
        self.awaited.discard(frame.pts)

    def check_end(self) -> None:
        """Raises `UntrustedTimestamps` if a chosen picture has not come out."""
        if self.trusted and self.awaited:
            raise UntrustedTimestamps

    def _restart(self, held: list[av.Packet]) -> bool:
        """Tells whether a restart lies within what can be judged now."""
        return any(packet.is_keyframe for packet in held[1:-REORDERED_PACKETS])

    def _judge(self, held: list[av.Packet], at_end: bool) -> list[tuple[av.Packet, str | None]]:
        """Judges the packets up to the last restart, or all but the last few if there is none."""
        times = sorted({packet.pts for packet in held if packet.pts is not None and not packet.is_discard})
        after: dict[int, int | None] = dict(zip(times, [*times[1:], None], strict=False))
        wanted = [self._wanted(packet, after) for packet in held]
        restarts = [place for place in range(1, len(held)) if self._starts_anew(held, place)]
        count = len(held) if at_end else len(held) - REORDERED_PACKETS
        if not at_end:
            count = max((place for place in restarts if place <= count), default=count)
        skip = SKIP_UNREFERENCED if self.codec in SKIPPABLE else DECODE
        needed = not at_end and count not in restarts  # what follows may refer to what is judged last
        ready: list[tuple[av.Packet, str | None]] = []
        for place in range(count - 1, -1, -1):
            packet = held[place]
            if wanted[place]:
                self.awaited.add(packet.pts)
                needed = True
            end = not packet.size  # the empty packet that makes the decoder hand out what it holds
            ready.append((packet, DECODE if wanted[place] or end else skip if needed else DROP))
            needed = needed and place not in restarts
        return ready[::-1]

    def _wanted(self, packet: av.Packet, after: dict[int, int | None]) -> bool:
        """Whether the picture is shown at some time, is the stream's last, or ends the clip."""
        if packet.pts not in after:
            return False
        begin = float(packet.pts * packet.time_base) - self.zero
        following = after[packet.pts]
        if following is None or begin >= self.stop - self.tolerance:
            return True
        end = float(following * packet.time_base) - self.zero
        return self.grid.hits(begin - self.tolerance - 1e-6, end - self.tolerance + 1e-6)

    def _starts_anew(self, held: list[av.Packet], place: int) -> bool:
        """Whether no picture from `place` on refers to one before: a clean key picture that none precedes in time."""
        packet = held[place]
        if not packet.is_keyframe or packet.pts is None or packet.is_discard:
            return False
        followers = held[place + 1 : place + 1 + REORDERED_PACKETS]
        if any(follower.pts is not None and follower.pts < packet.pts for follower in followers):
            return False
        if self.codec in REFRESHING:
            return True
        return _slice_type(packet, self.codec, self.extradata) in RESTART_NAL_TYPES[self.codec]


def _slice_type(packet: av.Packet, codec: str, extradata: bytes) -> int:
    """The NAL unit type of the first slice of an H.264 or HEVC packet; -1 if there is none."""
    data = bytes(packet)
    for start in _nal_starts(data, codec, extradata):
        if start >= len(data):
            break
        kind = data[start] & 0x1F if codec == "h264" else data[start] >> 1 & 0x3F
        if (1 <= kind <= 5) if codec == "h264" else kind < 32:
            return kind
    return -1


def _nal_starts(data: bytes, codec: str, extradata: bytes) -> Iterator[int]:
    if extradata[:1] == b"\x01":  # each unit after its length, in as many bytes as the header says
        place = 4 if codec == "h264" else 21
        width = (extradata[place] & 3) + 1 if len(extradata) > place else 4
        position = 0
        while position + width < len(data):
            yield position + width
            position += width + int.from_bytes(data[position : position + width], "big")
    else:  # each unit after a start code
        position = data.find(b"\x00\x00\x01")
        while position >= 0:
            yield position + 3
            position = data.find(b"\x00\x00\x01", position + 3)
