# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tells from a file's own headers how many bytes of it are missing; FFmpeg reads a cut file as a short one.

Only containers that announce their size can tell: MP4 and MOV by their boxes, Matroska and WebM by the segment, AVI
by the RIFF chunk and WAV by its samples. Of the others (MPEG-TS, MP3, Ogg, ...) every beginning is a file.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

MAX_BOXES = 1 << 20
MAX_CHUNKS = 1 << 10
BOX_TYPES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx", b"pnot", b"uuid")
MATROSKA_HEADER, MATROSKA_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
RIFF_KINDS = (b"RIFF", b"RF64", b"BW64")
# Writers that cannot seek back leave about so many bytes: a power of two, less headers and whole blocks. Any other
# number is one that was counted.
UNKNOWN_SIZES = ((1 << 28, 1 << 8), (1 << 29, 1 << 8), (1 << 30, 1 << 8), (1 << 31, 1 << 20), (1 << 32, 1 << 20))
UNKNOWN_RATIO = 64  # and the file holds less than a 64th of it, where a film or recording may have that size, too
SLACK = 64  # bytes; counts that are off by a header or two are no damage


def missing_bytes(file: BinaryIO) -> int:
    """The number of bytes that `file` announces beyond its end; 0 if it is whole or cannot tell."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head[4:8] in BOX_TYPES:
        announced = _boxes_end(file, size)
    elif head.startswith(MATROSKA_HEADER):
        announced = _segment_end(file)
    elif head[:4] in RIFF_KINDS:
        announced = _wave_end(file, size) if head[8:12] == b"WAVE" else _plausible(8 + _little(head[4:8]), size)
        announced = 0 if announced - size <= SLACK else announced
    else:
        announced = 0
    file.seek(0)
    return max(0, announced - size)


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last of the top-level boxes should end."""
    return max((end for _, end in _top_boxes(file, size)), default=0)


def _wave_end(file: BinaryIO, size: int) -> int:
    """Where a WAV file's samples should end; 0 if unknown. Chunks after them are no sound."""
    position, long_size = 12, None
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        header = file.read(24)
        if len(header) < 8:
            break
        length = _little(header[4:8])
        if header[:4] == b"ds64" and len(header) == 24:
            long_size = _little(header[16:24])
        if header[:4] == b"data":
            if length == 0xFFFFFFFF and long_size is not None:
                return position + 8 + long_size
            return _plausible(position + 8 + length, size)
        position += 8 + length + length % 2
        if position >= size:
            return position
    return 0


def _plausible(end: int, size: int) -> int:
    """The end that a 32-bit size gives in a file of `size` bytes; 0 if that size stands for an unknown length."""
    unknown = any(
        abs(end - center) <= around and (center >= 1 << 31 or size * UNKNOWN_RATIO < end)
        for center, around in UNKNOWN_SIZES
    )
    return 0 if unknown or end <= 8 else end


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def is_one_segment(file: BinaryIO) -> bool:
    """Whether a Matroska file is one segment of known size, so that nothing can have been joined to it."""
    size = file.seek(0, os.SEEK_END)
    end = _segment_end(file)
    file.seek(0)
    return end >= size


def joined_films(file: BinaryIO) -> int:
    """How many MP4 or MOV files of their own `file` is, one after another; only the first can be read."""
    size, films = file.seek(0, os.SEEK_END), 0
    for kind, _ in _top_boxes(file, size):
        films += kind == b"moov"
    file.seek(0)
    return films


def _top_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The boxes of a file: kind, and where each should end."""
    position = 0
    for _ in range(MAX_BOXES):
        if position >= size:  # before seeking: a box may announce more than a file position can be
            return
        file.seek(position)
        header = file.read(16)
        if len(header) < 8 or not header[4:8].isalnum():
            return
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        if length < 8:  # 0: up to the end of the file; less: no box
            return
        yield header[4:8], position + length
        position += length


def _segment_end(file: BinaryIO) -> int:
    """Where the Matroska segment should end; 0 if its size is unknown, as in live recordings."""
    file.seek(4)
    header_size = _read_size(file)
    if header_size is None:
        return 0
    file.seek(header_size, os.SEEK_CUR)
    if file.read(4) != MATROSKA_SEGMENT:
        return 0
    size = _read_size(file)
    return 0 if size is None else file.tell() + size


def _read_size(file: BinaryIO) -> int | None:
    """An EBML number: the count of leading zero bits tells how many bytes it has; all ones mean unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = first[0] & ((1 << (8 - length)) - 1)
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        return None
    for byte in rest:
        value = value << 8 | byte
    return None if value == (1 << (7 * length)) - 1 else value
