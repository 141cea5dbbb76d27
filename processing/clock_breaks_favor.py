# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One clock for files whose timestamps start again or jump: recordings joined end to end, broadcasts, dropped streams.

Where a file's clock breaks, what follows is a part of its own that is put directly after what was before, with the
same shift for pictures and sound. Where the breaks are can only be told with both streams in the file's own order, so
the file is demultiplexed once for it (about a hundredth of what decoding costs), and only if a stream's stamps jump.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av

CODEC_PADDING = 0.1  # seconds of sound before and after the pictures that come from the codec, not from the scene
# Containers that can be joined byte by byte, or recorded across a break of the clock. Others have one index.
JOINABLE = ("mpegts", "mpeg", "ogg", "flv", "flac", "matroska,webm")
BACKWARD = 0.1  # seconds by which a stream's decoding times must go back to be a break; ffmpeg's value
REORDERED = 1.0  # the same for pictures of Matroska, which stores no decoding times: FFmpeg guesses them
FORWARD = 10.0  # seconds by which they must leave all streams behind to be one; ffmpeg's value
MAX_PACKETS = 1 << 22  # that are looked at, which bounds memory
SUSPICIOUS = 5.0  # seconds of a jump forward in one stream that are looked at more closely


def common_origin(picture: float | None, sound: float | None) -> float:
    """The zero of pictures and sound that begin at these times: the earlier one.

    Sound that leads the picture by less than `CODEC_PADDING` is an encoder's priming: then it is the picture's.
    """
    earliest = min((time for time in (picture, sound) if time is not None), default=0.0)
    picture = earliest if picture is None else picture
    return picture if picture - earliest < CODEC_PADDING else earliest


def common_end(picture: float | None, sound: float) -> float:
    """Where pictures and sound that end at these times end together: sound that pads the picture does not count."""
    return sound if picture is None or sound - picture >= CODEC_PADDING else picture


@dataclass
class PacketTimes:
    """What the clock needs of one packet; times in seconds.

    Attributes:
        place (`int`): in bytes from the file's start.
        stream, number (`int`): which stream, and which of its packets.
        decoded, shown (`float`): when it is decoded, and when what is in it is seen or heard.
        seconds (`float`): that it lasts.
        slack (`float`): by which the stream's decoding times go back without a break.
    """

    place: int
    stream: int
    number: int
    decoded: float
    shown: float
    seconds: float
    slack: float = BACKWARD


class ClockBreaks:
    """The breaks of one file's clock, shared by the cursors of its streams.

    Args:
        open_streams: opens the file once more; gives the container, and the streams that are read of it.
        joinable (`bool`): the file may have breaks.

    Attributes:
        joinable (`bool`): the file may have breaks.
    """

    def __init__(self, open_streams: Callable[[], tuple[av.container.InputContainer, Sequence]], joinable: bool):
        self._open_streams, self.joinable = open_streams, joinable
        self._looked = False
        self._shifts: dict[int, list[tuple[int, float]]] = {}  # of each stream: from which packet on, seconds

    @property
    def found(self) -> bool:
        """Whether breaks were found."""
        return bool(self._shifts)

    def look(self) -> None:
        """Finds the breaks, by reading the file once; nothing is done a second time."""
        if not self.joinable or self._looked:
            return
        self._looked = True
        container, streams = self._open_streams()
        try:
            pictures = next((stream.index for stream in streams if stream.type == "video"), None)
            self._shifts = find_breaks(_packet_times(container, streams), pictures)
        finally:
            container.close()

    def shift(self, stream: int, number: int) -> float:
        """The seconds to add to the stamps of packet `number` of a stream."""
        shift = 0.0
        for first, seconds in self._shifts.get(stream, ()):
            if number >= first:
                shift = seconds
        return shift


def is_suspicious(decoded: float, before: float, seconds: float) -> bool:
    """Whether a stream's decoding time may be the first one after a break: `before` was the last, and lasted."""
    return decoded + BACKWARD < before or decoded > before + seconds + SUSPICIOUS


def _packet_times(container: av.container.InputContainer, streams: Sequence) -> list[PacketTimes]:
    """All packets that have stamps, in the order in which they lie in the file."""
    numbers = {stream.index: 0 for stream in streams}
    rates = {stream.index: stream.average_rate for stream in streams if stream.type == "video"}
    packets: list[PacketTimes] = []
    place, guessed = 0, container.format.name == "matroska,webm"
    try:
        for packet in container.demux(*streams):
            index = packet.stream.index
            stamps = [stamp for stamp in (packet.dts, packet.pts) if stamp is not None]
            if not packet.size:
                continue
            place = packet.pos if packet.pos is not None and packet.pos >= 0 else place
            base = float(packet.time_base)
            rate = rates.get(index)
            seconds = packet.duration * base if packet.duration else 1 / float(rate) if rate else 0.0
            if stamps:
                slack = REORDERED if guessed and index in rates else BACKWARD
                times = PacketTimes(place, index, numbers[index], stamps[0] * base, stamps[-1] * base, seconds, slack)
                packets.append(times)
            numbers[index] += 1
            if len(packets) >= MAX_PACKETS:
                break
    except av.FFmpegError:  # who decodes the file reports it
        pass
    return sorted(packets, key=lambda times: times.place)


def find_breaks(packets: Sequence[PacketTimes], pictures: int | None) -> dict[int, list[tuple[int, float]]]:
    """The shifts of each stream: from which of its packets on, and by how many seconds; empty if nothing breaks.

    Args:
        packets: in the order of the file.
        pictures (`int`, *optional*): index of the stream that holds pictures.
    """
    following = _following(packets)
    shift = 0.0
    last: dict[int, float] = {}  # decoding time, and
    ends: dict[int, float] = {}  # end of what was shown of each stream so far, on the common clock
    shifts: dict[int, list[tuple[int, float]]] = {}
    for place, packet in enumerate(packets):
        time, next_time = packet.decoded + shift, following[place]
        before = last.get(packet.stream)
        backward = before is not None and time + packet.slack < before
        if ends and (backward or time > max(ends.values()) + FORWARD):
            expected = max(ends.values()) if before is None else before
            lasting = not backward if next_time is None else _lasts(next_time, packet, shift, expected)
            if not lasting:
                continue
            sound_end = max((end for stream, end in ends.items() if stream != pictures), default=0.0)
            end = common_end(ends.get(pictures) if pictures is not None else None, sound_end)
            shift = end - _origin_from(packets, place, pictures, shift)
            ends = {stream: min(value, end) for stream, value in ends.items()}
        noted = shifts.setdefault(packet.stream, [])
        if shift != (noted[-1][1] if noted else 0.0):
            noted.append((packet.number, shift))
        last[packet.stream] = packet.decoded + shift
        ends[packet.stream] = max(ends.get(packet.stream, 0.0), packet.shown + packet.seconds + shift)
    return {stream: noted for stream, noted in shifts.items() if noted}


def _following(packets: Sequence[PacketTimes]) -> list[float | None]:
    """For each packet the decoding time of the next one of its stream."""
    following: list[float | None] = [None] * len(packets)
    latest: dict[int, float] = {}
    for place in range(len(packets) - 1, -1, -1):
        following[place] = latest.get(packets[place].stream)
        latest[packets[place].stream] = packets[place].decoded
    return following


def _lasts(next_time: float, packet: PacketTimes, shift: float, expected: float) -> bool:
    """Whether the next packet goes on from this one, not from what was before: one wrong stamp is no break."""
    return abs(next_time - packet.decoded) < abs(next_time + shift - expected)


def _origin_from(packets: Sequence[PacketTimes], place: int, pictures: int | None, shift: float) -> float:
    """The zero of the part that begins with packet `place`, on its own clock."""
    first = packets[place]
    shown = {first.stream: first.shown}
    for packet in packets[place + 1 : place + 1000]:
        if packet.stream in shown or abs(packet.decoded - first.decoded) > FORWARD / 2:
            continue
        shown[packet.stream] = packet.shown
    picture = shown.get(pictures) if pictures is not None else None
    return common_origin(picture, min((time for stream, time in shown.items() if stream != pictures), default=None))
