# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""HEIF pictures (HEIC, as telephones write them): tiles joined, cropped, turned and mirrored, alpha over white.

FFmpeg shows each tile of such a file as a stream of its own; the layout stands in the file's `meta` box, which is read
here. The pictures themselves are decoded by FFmpeg's HEVC and AV1 decoders.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from .media_limits_favor import MediaError, MediaLimits

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")  # of still pictures
AVIF_BRANDS = (b"avif", b"avis")  # Pillow reads these
CODECS = {"hvc1": ("hevc", "hvcC"), "av01": ("libdav1d", "av1C")}
ALPHA_KINDS = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}  # by their numbers in `colr`
MAX_META_BYTES = 1 << 24
MAX_BOXES = 1 << 16
MAX_DEPTH = 4  # a picture derived from one derived from ...
REMEDY = "Save it as JPEG or PNG."


def is_heif(file: BinaryIO) -> bool:
    """Tells by its brands whether `file`, at its start, is a still HEIF picture that Pillow does not read."""
    head = file.read(64)
    file.seek(0)
    if head[4:8] != b"ftyp" or head[8:12] not in BRANDS:
        return False
    length = int.from_bytes(head[:4], "big")
    return not any(brand in AVIF_BRANDS for brand in _fours(head[16 : min(length, 64)]))


def is_avif(file: BinaryIO) -> bool:
    """Tells by its brands whether `file`, at its start, is an AVIF picture or animation, which Pillow reads."""
    head = file.read(64)
    file.seek(0)
    length = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *_fours(head[16 : min(length, 64)])]
    known = brands[0] in (*AVIF_BRANDS, b"mif1", b"msf1")
    return head[4:8] == b"ftyp" and known and any(brand in AVIF_BRANDS for brand in brands)


def load_heif(file: BinaryIO, name: str, limits: MediaLimits) -> np.ndarray:
    """Reads the primary picture, upright: (H, W, 3) uint8; a part of it that is transparent shows white.

    Raises:
        MediaError: if the file is damaged, or its picture of a kind that is not read; the message names it.
        MediaLimitError: if it has too many pixels.
    """
    try:
        return _HeifFile(file, name, limits).picture()
    except MediaError:
        raise
    except (av.FFmpegError, struct.error, LookupError, ValueError, OSError) as error:
        raise MediaError(f"{name} is a HEIF picture that cannot be read ({error}). {REMEDY}") from error


def _fours(data: bytes) -> list[bytes]:
    return [data[place : place + 4] for place in range(0, len(data), 4)]


def _boxes(data: bytes, start: int = 0) -> Iterator[tuple[str, bytes]]:
    """The boxes in `data` from `start` on: kind and content."""
    for _ in range(MAX_BOXES):
        if start + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, start + 8), 16
        end = len(data) if length == 0 else start + length
        if end > len(data) or end < start + head:
            raise ValueError(f"a box of {length} bytes does not fit")
        yield kind.decode("latin-1"), data[start + head : end]
        start = end


class _Numbers:
    """Reads big-endian numbers one after another."""

    def __init__(self, data: bytes, place: int = 0):
        self.data, self.place = data, place

    def take(self, size: int) -> int:
        """The next number of `size` bytes."""
        end = self.place + size
        if end > len(self.data):
            raise ValueError("a box ends early")
        number = int.from_bytes(self.data[self.place : end], "big")
        self.place = end
        return number


@dataclass
class _Item:
    """One coded or derived picture of the file."""

    kind: str = ""
    properties: list[tuple[str, bytes]] = field(default_factory=list)  # in the order in which they apply
    made_of: list[int] = field(default_factory=list)
    from_idat: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)  # offset and length in bytes

    def property(self, kind: str) -> bytes | None:
        """The first property of a kind."""
        return next((content for name, content in self.properties if name == kind), None)


class _HeifFile:
    def __init__(self, file: BinaryIO, name: str, limits: MediaLimits):
        self.file, self.name, self.limits = file, name, limits
        self.size = file.seek(0, os.SEEK_END)
        self.items: dict[int, _Item] = {}
        self.alpha_of: dict[int, int] = {}  # picture: the item that holds its alpha
        self.primary = 0
        self.idat = b""
        readers = {"pitm": self._read_primary, "iinf": self._read_kinds, "iloc": self._read_places}
        children = list(_boxes(self._meta(), start=4))
        for kind, content in children:
            if kind in readers:
                readers[kind](content)
            elif kind == "idat":
                self.idat = content
        for kind, content in children:
            if kind == "iprp":
                self._read_properties(content)
        for kind, content in children:
            if kind == "iref":
                self._read_references(content)

    def picture(self) -> np.ndarray:
        """The primary picture as it is to be shown."""
        color = self._decoded(self.primary, alpha=False)
        if self.primary in self.alpha_of:
            alpha = self._decoded(self.alpha_of[self.primary], alpha=True)
            if alpha.shape[:2] != color.shape[:2]:
                raise MediaError(f"{self.name} has a picture and an alpha plane of different sizes. {REMEDY}")
            weight = alpha[..., :1].astype(np.uint16)
            color = ((color * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
        for kind, content in self.items[self.primary].properties:
            if kind == "irot":
                color = np.rot90(color, k=content[0] & 3)
            elif kind == "imir":
                color = color[:, ::-1] if content[0] & 1 else color[::-1]
            elif kind == "clap":
                color = _cropped(color, content)
        return np.ascontiguousarray(color)

    def _decoded(self, number: int, alpha: bool, tile: bool = False) -> np.ndarray:
        """One item's (H, W, 3) pixels, before it is cropped and turned; of alpha (H, W, 1).

        A `tile` is no grid itself, so that a small file cannot stand for endless work.
        """
        item = self.items.get(number, _Item())
        for _ in range(MAX_DEPTH):
            if item.kind == "iden":  # the same picture again, turned another way
                item = self.items.get(item.made_of[0], _Item())
        self._check_size(item)
        if item.kind == "grid" and not tile:
            return self._grid(item, alpha)
        if item.kind not in CODECS:
            raise MediaError(f'{self.name} is a HEIF picture of kind "{item.kind}", which is not read. {REMEDY}')
        return self._coded(item, alpha)

    def _check_size(self, item: _Item) -> None:
        extent = item.property("ispe")
        if extent is not None:
            width, height = struct.unpack(">II", extent[4:12])
            what = f"{self.name} is {width} x {height} = {width * height} pixels"
            self.limits.check("max_pixels", width * height, what)

    def _grid(self, item: _Item, alpha: bool) -> np.ndarray:
        numbers = _Numbers(self._data(item), 1)
        size = 4 if numbers.take(1) & 1 else 2
        rows, columns = numbers.take(1) + 1, numbers.take(1) + 1
        width, height = numbers.take(size), numbers.take(size)
        self.limits.check("max_pixels", width * height, f"{self.name} is {width} x {height} = {width * height} pixels")
        if len(item.made_of) != rows * columns or not width or not height:
            raise MediaError(
                f"{self.name} is a picture of {rows} x {columns} tiles but has {len(item.made_of)}. {REMEDY}"
            )
        canvas = np.zeros((height, width, 1 if alpha else 3), dtype=np.uint8)
        for place, number in enumerate(item.made_of):
            tile = self._decoded(number, alpha, tile=True)
            if (rows - 1) * tile.shape[0] >= height or (columns - 1) * tile.shape[1] >= width:
                raise MediaError(f"{self.name} has tiles that lie outside of its {width} x {height} pixels. {REMEDY}")
            top, left = place // columns * tile.shape[0], place % columns * tile.shape[1]
            part = canvas[top : top + tile.shape[0], left : left + tile.shape[1]]
            part[:] = tile[: part.shape[0], : part.shape[1]]
        return canvas

    def _coded(self, item: _Item, alpha: bool) -> np.ndarray:
        codec, configuration = CODECS[item.kind]
        context: Any = av.CodecContext.create(codec, "r")
        context.extradata = item.property(configuration)
        context.options = {"max_pixels": str(self.limits.max_pixels)}
        context.thread_count = 1
        frames = [*context.decode(av.Packet(self._data(item))), *context.decode(None)]
        if not frames:
            raise ValueError("a tile holds no picture")
        frame = frames[0]
        full = {"src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.JPEG}
        if alpha:
            return frame.reformat(format="gray", **full).to_ndarray()[..., None]
        color = item.property("colr")
        given: dict[str, Any] = {}
        if color is not None and color[:4] == b"nclx":
            given["src_colorspace"] = MATRICES.get(int.from_bytes(color[8:10], "big"), Colorspace.DEFAULT)
            given["src_color_range"] = ColorRange.JPEG if color[10] & 0x80 else ColorRange.MPEG
        return frame.reformat(format="rgb24", **given).to_ndarray()

    def _data(self, item: _Item) -> bytes:
        pieces: list[bytes] = []
        size = len(self.idat) if item.from_idat else self.size
        announced = sum(length for _, length in item.extents)
        end = max((offset + length for offset, length in item.extents), default=0)
        if end > size or announced > size:
            raise MediaError(
                f"{self.name} is truncated: a picture of {announced} bytes ends after {end} of {size}. {REMEDY}"
            )
        for offset, length in item.extents:
            if item.from_idat:
                pieces.append(self.idat[offset : offset + length])
            else:
                self.file.seek(offset)
                pieces.append(self.file.read(length))
        return b"".join(pieces)

    def _meta(self) -> bytes:
        """The content of the file's `meta` box."""
        size, position = self.size, 0
        while position + 8 <= size:
            self.file.seek(position)
            head = self.file.read(16)
            length, kind = struct.unpack_from(">I4s", head)
            start = 8
            if length == 1 and len(head) == 16:
                (length,), start = struct.unpack_from(">Q", head, 8), 16
            length = size - position if length == 0 else length
            if kind == b"meta" and length <= min(MAX_META_BYTES, size - position):
                self.file.seek(position + start)
                return self.file.read(length - start)
            if length < start:
                break
            position += length
        raise ValueError("it has no whole meta box")

    def _read_primary(self, content: bytes) -> None:
        self.primary = _Numbers(content, 4).take(4 if content[0] else 2)

    def _item(self, number: int) -> _Item:
        return self.items.setdefault(number, _Item())

    def _read_kinds(self, content: bytes) -> None:
        for kind, entry in _boxes(content, start=8 if content[0] else 6):
            if kind == "infe" and entry[0] >= 2:
                numbers = _Numbers(entry, 4)
                item = self._item(numbers.take(2 if entry[0] == 2 else 4))
                place = numbers.place + 2
                item.kind = {"hev1": "hvc1"}.get(entry[place : place + 4].decode("latin-1"), "")
                item.kind = item.kind or entry[place : place + 4].decode("latin-1")

    def _read_places(self, content: bytes) -> None:
        version, numbers = content[0], _Numbers(content, 4)
        sizes = numbers.take(1), numbers.take(1)
        offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
        index_size = sizes[1] & 15 if version else 0
        for _ in range(numbers.take(2 if version < 2 else 4)):
            item = self._item(numbers.take(2 if version < 2 else 4))
            method = numbers.take(2) & 15 if version else 0
            item.from_idat = method == 1
            if numbers.take(2) or method > 1:
                raise ValueError("its data lie in another file or picture")
            base = numbers.take(base_size)
            for _ in range(numbers.take(2)):
                numbers.take(index_size)
                item.extents.append((base + numbers.take(offset_size), numbers.take(length_size)))

    def _read_properties(self, content: bytes) -> None:
        parts = list(_boxes(content))
        shared = [box for kind, part in parts if kind == "ipco" for box in _boxes(part)]
        for kind, part in parts:
            if kind != "ipma":
                continue
            numbers, wide = _Numbers(part, 4), part[3] & 1
            for _ in range(numbers.take(4)):
                item = self._item(numbers.take(4 if part[0] else 2))
                for _ in range(numbers.take(1)):
                    index = numbers.take(2) & 0x7FFF if wide else numbers.take(1) & 0x7F
                    if 0 < index <= len(shared):
                        item.properties.append(shared[index - 1])

    def _read_references(self, content: bytes) -> None:
        size = 4 if content[0] else 2
        for kind, part in _boxes(content, start=4):
            numbers = _Numbers(part)
            origin = numbers.take(size)
            targets = [numbers.take(size) for _ in range(numbers.take(2))]
            if kind == "dimg":
                self._item(origin).made_of += targets
            elif kind == "auxl" and (self._item(origin).property("auxC") or b"")[4:].split(b"\0")[0] in ALPHA_KINDS:
                self.alpha_of.update(dict.fromkeys(targets, origin))


def _cropped(pixels: np.ndarray, clap: bytes) -> np.ndarray:
    """The clean aperture of (H, W, C) pixels: its size, and the offset of its centre from the picture's."""
    values = struct.unpack(">IIIIiIiI", clap[:32])
    width, height, right, down = (values[place] / (values[place + 1] or 1) for place in range(0, 8, 2))
    left = max(0, round((pixels.shape[1] - width) / 2 + right))
    top = max(0, round((pixels.shape[0] - height) / 2 + down))
    inside = pixels[top : top + round(height), left : left + round(width)]
    if not inside.size:
        raise ValueError("its clean aperture is empty")
    return inside
