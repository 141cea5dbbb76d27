# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a picture would cost to decode, told before a pixel is: sides, scans, tiles and parts that its size hides.

Pillow's decoders cannot be interrupted, so work that a small file, or a small picture, hides must be found first.
"""

import io
from typing import BinaryIO

from PIL import Image

from .media_limits_favor import MediaError, MediaLimits

USUAL_SCANS = 64  # passes over a JPEG's pixels that are taken for one picture's work; encoders write up to about 20
MAX_CHUNKS = 1 << 16  # of a PNG; encoders write one for each 8 KiB of pixels or more
MAX_BLOCKS = 1 << 16  # of a GIF before its first picture
MAX_PAGES = 1000  # of a TIFF that are counted
START_OF_SCAN = b"\xff\xda"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TILE_WIDTH, TILE_LENGTH, STRIP_ROWS, BITS, SAMPLES = 322, 323, 278, 258, 277  # TIFF tags
USUAL_BITS = 128  # of a pixel: four samples of 32 bits
SLICE = 1 << 20  # bytes read in one go


def check_pixels(image: Image.Image, name: str, limits: MediaLimits) -> None:
    """Raises `MediaLimitError` if a picture is larger than `max_pixels`; nothing is decoded for it."""
    pixels = image.width * image.height
    limits.check("max_pixels", pixels, f"{name} is {image.width} x {image.height} = {pixels} pixels")


def check_parts(file: BinaryIO, name: str) -> None:
    """Refuses a PNG or GIF of so many parts that parsing it takes minutes; leaves `file` at its start.

    Raises:
        MediaError: if there are more than any encoder writes.
    """
    head = file.read(16)
    if head.startswith(PNG_SIGNATURE):
        parts, bound, what = _png_chunks(file), MAX_CHUNKS, "chunks"
    elif head.startswith(b"GIF8"):
        parts, bound, what = _gif_blocks(file, head), MAX_BLOCKS, "blocks before its first picture"
    else:
        parts, bound, what = 0, 1, ""
    file.seek(0)
    if parts > bound:
        raise MediaError(f"{name} has more than {bound} {what}, as no encoder writes them. Save it again as PNG.")


def check_work(image: Image.Image, file: BinaryIO, name: str, limits: MediaLimits) -> None:
    """Raises `MediaLimitError` if decoding an opened picture takes more work than one of `max_pixels` does.

    The position of `file` is left as it was.
    """
    check_pixels(image, name, limits)
    if image.format in ("JPEG", "MPO"):
        place = file.tell()
        check_scans(_scans(file), image.width * image.height, name, limits)
        file.seek(place)
    elif image.format == "TIFF":
        _check_tiles(image, name, limits)


def check_scans(scans: int, pixels: int, name: str, limits: MediaLimits) -> None:
    """Raises `MediaLimitError` if a JPEG goes over its pixels so often that a picture of `max_pixels` is less work."""
    work = pixels * scans // USUAL_SCANS
    what = f"{name} has {scans} scans of {pixels} pixels, as much work as a picture of {work} pixels"
    limits.check("max_pixels", work, what)


def pages_of(image: Image.Image) -> int:
    """Pages of an opened TIFF, counted up to one more than `MAX_PAGES`; the first one is current afterwards."""
    pages = 1
    try:
        while pages <= MAX_PAGES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    image.seek(0)
    return pages


def _scans(file: BinaryIO) -> int:
    """How often a JPEG's pixels are gone over. In coded data the mark cannot occur; a thumbnail's own counts, too."""
    file.seek(0)
    count, end = 0, b""
    while data := file.read(SLICE):
        count += (end + data).count(START_OF_SCAN)
        end = data[-1:]
    return count


def _check_tiles(image: Image.Image, name: str, limits: MediaLimits) -> None:
    """A TIFF's tiles are decoded whole, however little of them the picture shows; of strips the same is asked."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, length = (_number(tags.get(tag)) for tag in (TILE_WIDTH, TILE_LENGTH))
    if not (width and length):
        width, length = image.width, min(_number(tags.get(STRIP_ROWS)) or image.height, image.height)
    across, down = -(-image.width // max(width, 1)), -(-image.height // max(length, 1))
    pixels = across * width * down * length
    bits = tags.get(BITS)
    bits = (
        sum(bits) if isinstance(bits, tuple) and len(bits) > 1 else _number(bits) * (_number(tags.get(SAMPLES)) or 1)
    )
    pixels = pixels * max(bits, USUAL_BITS) // USUAL_BITS
    what = f"{name} has {across} x {down} tiles of {width} x {length} and {bits} bits, the work of {pixels} pixels"
    limits.check("max_pixels", pixels, what)


def _number(value: object) -> int:
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else 0


def _png_chunks(file: BinaryIO) -> int:
    """Chunks of a PNG, counted up to one more than `MAX_CHUNKS`."""
    count, place = 0, len(PNG_SIGNATURE)
    file.seek(place)
    while count <= MAX_CHUNKS and len(head := file.read(8)) == 8:
        count += 1
        place += 12 + int.from_bytes(head[:4], "big")
        file.seek(place)
    return count


def _gif_blocks(file: BinaryIO, head: bytes) -> int:
    """Blocks of a GIF before its first picture, counted up to one more than `MAX_BLOCKS`."""
    table = 3 << (1 + (head[10] & 7)) if len(head) > 10 and head[10] & 0x80 else 0
    file.seek(13 + table)
    reader = io.BufferedReader(_Unclosed(file))  # type: ignore[arg-type]  # byte by byte, not call by call
    count = 0
    while count <= MAX_BLOCKS and (kind := reader.read(1)):
        if kind == b",":
            break
        if kind != b"!":
            count += 1
            continue
        reader.read(1)
        while (size := reader.read(1)) and size[0]:
            reader.read(size[0])
            count += 1
        count += 1
    return count


class _Unclosed(io.RawIOBase):
    """A view of a binary file that leaves it open."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer) -> int:  # type: ignore[override]
        """Reads as much as is there."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
