# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""HEIF pictures: tiles, turns, mirrors, crops and alpha, in files put together here."""

import contextlib
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from favor.processing import MediaError, MediaLimitError, load_media

TILE = 64


def box(kind, *contents):
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind, *contents, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *contents)


def coded(pixels, pixel_format="yuv420p"):
    """One (H, W, 3) picture as a HEVC sample, and its decoder's configuration, both as HEIF holds them."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *pixels.shape[:2], pixel_format
    encoder.time_base = Fraction(1, 1)
    encoder.options = {"x265-params": "log-level=none:qp=4", "preset": "ultrafast"}
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
    stream = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]
    sets = [unit for unit in units if unit[0] >> 1 in (32, 33, 34)]  # of parameters: video, sequence, picture
    arrays = [bytes([unit[0] >> 1]) + struct.pack(">HH", 1, len(unit)) + unit for unit in sets]
    configuration = b"\1" + bytes(20) + bytes([0xFC | 3, len(arrays)]) + b"".join(arrays)
    slices = [unit for unit in units if unit[0] >> 1 < 32]
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in slices), configuration


def heic(tiles, layout=None, size=None, properties=(), alpha=None):
    """A HEIC file.

    Args:
        tiles: (H, W, 3) pictures; alone, or in a grid of `layout` (rows, columns) cut to `size` (width, height).
        properties: boxes that turn, mirror or crop the picture.
        alpha: (H, W, 3) gray picture.
    """
    samples = [coded(tile) for tile in tiles]
    kinds, shared, of_item, references = [b"hvc1"] * len(tiles), [], [], []
    for (_, configuration), tile in zip(samples, tiles, strict=True):
        shared += [box(b"hvcC", configuration), full(b"ispe", struct.pack(">II", tile.shape[1], tile.shape[0]))]
        of_item.append([len(shared) - 1, len(shared)])
    data = [sample for sample, _ in samples]
    primary = 1
    if layout is not None:
        kinds.append(b"grid")
        data.append(struct.pack(">BBBBHH", 0, 0, layout[0] - 1, layout[1] - 1, *size))
        shared.append(full(b"ispe", struct.pack(">II", *size)))
        of_item.append([len(shared)])
        primary = len(kinds)
        references.append(box(b"dimg", struct.pack(f">{2 + len(tiles)}H", primary, len(tiles), *range(1, primary))))
    for prop in properties:
        shared.append(prop)
        of_item[primary - 1].append(len(shared))
    if alpha is not None:
        sample, configuration = coded(alpha, "yuvj420p")  # alpha has the full range
        kinds.append(b"hvc1")
        data.append(sample)
        urn = full(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0")
        shared += [box(b"hvcC", configuration), full(b"ispe", struct.pack(">II", *alpha.shape[1::-1])), urn]
        of_item.append([len(shared) - 2, len(shared) - 1, len(shared)])
        references.append(box(b"auxl", struct.pack(">HHH", len(kinds), 1, primary)))

    def meta(start):
        infos = [full(b"infe", struct.pack(">HH", n + 1, 0), kind, b"\0", version=2) for n, kind in enumerate(kinds)]
        starts = start + np.cumsum([0, *map(len, data[:-1])])
        places = [struct.pack(">HHHHII", n + 1, 0, 0, 1, starts[n], len(content)) for n, content in enumerate(data)]
        entries = [struct.pack(f">HB{len(used)}B", n + 1, len(used), *used) for n, used in enumerate(of_item)]
        return full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s", 0, b"pict"), bytes(13)),
            full(b"pitm", struct.pack(">H", primary)),
            full(b"iloc", struct.pack(">BBH", 0x44, 0x00, len(data)), *places, version=1),
            full(b"iinf", struct.pack(">H", len(kinds)), *infos),
            box(b"iprp", box(b"ipco", *shared), full(b"ipma", struct.pack(">I", len(of_item)), *entries)),
            *([full(b"iref", *references)] if references else []),
        )

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *data)


def pattern(seed, height=TILE, width=TILE):
    """A smooth picture of its own."""
    coarse = np.random.default_rng(seed).integers(20, 235, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def assert_alike(pixels, expected):
    """Equal but for what the codec and halved colour cost."""
    assert pixels.shape == expected.shape
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.mean() < 3 and difference.max() < 32


def test_one_coded_picture_is_a_still():
    clip = load_media(heic([pattern(0)]))
    assert clip.still and clip.frames.shape == (1, TILE, TILE, 3)
    assert_alike(clip.frames[0], pattern(0))


@pytest.mark.parametrize("rows, columns, size", [(2, 2, (128, 128)), (1, 3, (170, 50)), (3, 2, (100, 190))])
def test_tiles_are_joined_and_cut_to_size(rows, columns, size):
    tiles = [pattern(number) for number in range(rows * columns)]
    whole = np.concatenate([np.concatenate(tiles[row * columns :][:columns], axis=1) for row in range(rows)])
    clip = load_media(heic(tiles, (rows, columns), size))
    assert clip.still
    assert_alike(clip.frames[0], whole[: size[1], : size[0]])


def test_more_tiles_than_a_file_may_have_tracks():
    tile = pattern(3)
    frames = load_media(heic([tile] * 70, (7, 10), (640, 448))).frames
    assert_alike(frames[0], np.tile(tile, (7, 10, 1)))


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_turns_and_mirrors(quarter, mirror):
    pixels = pattern(5, 64, 96)
    properties = [box(b"irot", bytes([quarter]))] + ([box(b"imir", bytes([mirror]))] if mirror is not None else [])
    expected = np.rot90(pixels, quarter)
    expected = expected if mirror is None else expected[:, ::-1] if mirror else expected[::-1]
    assert_alike(load_media(heic([pixels], properties=properties)).frames[0], expected)


def test_crop_and_alpha():
    pixels = pattern(6)
    clap = box(b"clap", struct.pack(">IIIIiIiI", 32, 1, 16, 1, -8, 1, 4, 1))
    cropped = load_media(heic([pixels], properties=[clap])).frames[0]
    assert_alike(cropped, pixels[28:44, 8:40])
    alpha = np.zeros((TILE, TILE, 3), np.uint8)
    alpha[:, 32:] = 255
    frame = load_media(heic([pixels], alpha=alpha)).frames[0]
    assert frame[:, :30].min() >= 230
    assert_alike(frame[:, 40:], pixels[:, 40:])


def test_what_cannot_be_read_is_named():
    data = heic([pattern(n) for n in range(4)], (2, 2), (128, 128))
    with pytest.raises(MediaError, match="is truncated: a picture of"):
        load_media(data[:-20])
    with pytest.raises(MediaError, match="of 3 x 2 tiles but has 4"):
        load_media(heic([pattern(n) for n in range(4)], (3, 2), (128, 128)))
    with pytest.raises(MediaError, match='of kind "iovl", which is not read. Save it as JPEG or PNG'):
        load_media(data.replace(b"grid", b"iovl"))
    with pytest.raises(MediaLimitError, match="max_pixels=1000"):
        load_media(data, media_limits={"max_pixels": 1000})
    with pytest.raises(MediaError, match="has no sound"):
        load_media(data, with_frames=False)
    for place in range(30, data.index(b"mdat"), 97):  # whatever is broken, it is an error of ours or a picture
        broken = bytearray(data)
        broken[place] ^= 0xFF
        with contextlib.suppress(MediaError):
            load_media(bytes(broken))
