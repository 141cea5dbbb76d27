# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tells from a file's own headers how many bytes of it are missing; FFmpeg reads a cut file as a short one.

Only containers that announce their size can tell: MP4 and MOV by their boxes, Matroska and WebM by the segment, AVI
and WAV by the RIFF chunk. Of the others (MPEG-TS, MP3, Ogg, ...) every beginning is a file.
"""

import os
import struct
from typing import BinaryIO

MAX_BOXES = 1 << 20
BOX_TYPES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx", b"pnot", b"uuid")
MATROSKA_HEADER, MATROSKA_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF)  # what writers that cannot seek back leave there


def missing_bytes(file: BinaryIO) -> int:
    """The number of bytes that `file` announces beyond its end; 0 if it is whole or cannot tell."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head[4:8] in BOX_TYPES:
        announced = _boxes_end(file, size)
    elif head.startswith(MATROSKA_HEADER):
        announced = _segment_end(file)
    elif head[:4] == b"RIFF":
        length = struct.unpack("<I", head[4:8])[0]
        announced = 0 if length in UNKNOWN_RIFF_SIZES else 8 + length
    else:
        announced = 0
    file.seek(0)
    return max(0, announced - size)


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last of the top-level boxes should end."""
    position = 0
    for _ in range(MAX_BOXES):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8 or position >= size or not header[4:8].isalnum():
            break
        length = struct.unpack(">I", header[:4])[0]
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        if length < 8:  # 0: up to the end of the file; less: no box
            break
        position += length
    return position


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
