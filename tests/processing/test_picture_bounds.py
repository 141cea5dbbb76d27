# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Work that a small file, or a small picture, hides is found before a pixel is decoded."""

import io
import struct
import time
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from favor.processing import MediaError, MediaLimitError, load_media
from favor.processing.picture_bounds_favor import MAX_PAGES

SMALL = {"max_pixels": 1 << 22}
AT_ONCE = 2.0  # seconds of processor time


@pytest.fixture(autouse=True)
def at_once():
    """Nothing here may take the time of what it hides."""
    started = time.process_time()
    yield
    assert time.process_time() - started < AT_ONCE


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg_of_scans(scans, side=1024):
    """A progressive JPEG whose last scan comes `scans` times more."""
    content = saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * scans + content[-2:]


def tiff(entries, data):
    """A TIFF of (tag, value) entries, whose one tile or strip lies at byte 8."""
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    start = 8 + len(data)
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<H", len(entries)) + fields + bytes(4)


def gray(width, height, data, **more):
    """The entries of a deflated gray TIFF."""
    entries = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1}
    return tiff({**entries, **{int(tag[1:]): value for tag, value in more.items()}}, data)


@pytest.mark.parametrize("scans", [1000, 15_000])
def test_a_jpeg_that_goes_over_its_pixels_again_and_again_is_refused(scans):
    with pytest.raises(MediaLimitError, match=rf"has {scans + 5} scans of 1048576 pixels, as much work as .*max_pix"):
        load_media(jpeg_of_scans(scans), media_limits=SMALL)


def test_a_jpeg_of_many_scans_and_few_pixels_is_read():
    assert load_media(jpeg_of_scans(500, side=32), media_limits=SMALL).frames.shape == (1, 32, 32, 3)


def test_a_progressive_jpeg_is_read():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    data = saved(noise, "JPEG", progressive=True, quality=95)
    assert load_media(data, media_limits={"max_pixels": 512 * 512}).frames.shape == (1, 512, 512, 3)


def test_scans_in_a_video_of_jpegs_are_counted(tmp_path):
    path = tmp_path / "scans.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 1024
        stream.pix_fmt = "yuvj420p"
        for number in range(2):
            packet = av.Packet(jpeg_of_scans(2000))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1)
            container.mux(packet)
    with pytest.raises(MediaLimitError, match="scans of 1048576 pixels"):
        load_media(path, media_limits=SMALL)


@pytest.mark.parametrize("side", [4096, 16384])
def test_a_tile_that_hides_pixels_is_refused(side):
    data = zlib.compress(bytes(side * 16))  # what follows is never asked for
    file = gray(16, 16, data, _322=side, _323=side, _324=8, _325=len(data))
    with pytest.raises(MediaLimitError, match=f"1 x 1 tiles of {side} x {side} and 8 bits"):
        load_media(file, media_limits=SMALL)


def test_strips_that_announce_more_than_the_picture_hide_nothing():
    data = zlib.compress(bytes(16 * 16))
    file = gray(16, 16, data, _278=1000, _273=8, _279=len(data))
    assert load_media(file, media_limits=SMALL).frames.shape == (1, 16, 16, 3)


def test_tiles_as_programs_write_them_are_read():
    tile = zlib.compress(bytes(256 * 256))
    file = gray(16, 16, tile, _322=256, _323=256, _324=8, _325=len(tile))
    assert load_media(file, media_limits=SMALL).frames.shape == (1, 16, 16, 3)


def test_a_picture_larger_than_a_gifs_screen_counts():
    data = bytearray(saved(Image.new("P", (4096, 4096)), "GIF"))
    data[6:10] = struct.pack("<HH", 16, 16)
    with pytest.raises(MediaLimitError, match="4096 x 4096"):
        load_media(bytes(data), media_limits=SMALL)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("ICO", {"sizes": [(256, 256)]}),
        ("ICNS", {}),
        ("JPEG2000", {}),
        ("PPM", {}),
        ("TGA", {}),
        ("PCX", {}),
        ("SGI", {}),
    ],
)
def test_other_formats_of_pillow_are_not_read(kind, options):
    with pytest.raises(MediaError):
        load_media(saved(Image.new("RGB", (256, 256)), kind, **options))


def test_only_parsers_of_formats_that_are_read_see_a_file(monkeypatch):
    seen = []
    for name in list(Image.OPEN):
        factory, accept = Image.OPEN[name]

        def watched(head, name=name, accept=accept):
            seen.append(name)
            return accept(head) if accept else True

        monkeypatch.setitem(Image.OPEN, name, (factory, watched))
    with pytest.raises(MediaError):
        load_media(b"II*\0" + bytes(100))
    assert seen and set(seen) <= {"PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"}


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(chunks):
    png = saved(Image.new("RGB", (8, 8)), "PNG")
    return png[:33] + chunks + png[33:]


def test_a_png_of_millions_of_chunks_is_refused():
    with pytest.raises(MediaError, match="more than 65536 chunks"):
        load_media(png_with(chunk(b"teXt") * 2_000_000))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_what_a_pngs_texts_unpack_to_is_bounded(kind):
    packed = zlib.compress(bytes(1 << 26))
    content = {
        b"zTXt": b"Comment\0\0" + packed,
        b"iTXt": b"Comment\0\1\0\0\0" + packed,
        b"iCCP": b"profile\0\0" + packed,
    }[kind]
    assert load_media(png_with(chunk(kind, content) * 20)).frames.shape == (1, 8, 8, 3)


@pytest.mark.parametrize("block", [b"!\xfe\xff" + bytes(255), b"!\xf9\0", b"\0"])
def test_a_gif_of_millions_of_blocks_is_refused(block):
    gif = saved(Image.new("P", (8, 8)), "GIF")
    screen = 13 + (3 << (1 + (gif[10] & 7)) if gif[10] & 0x80 else 0)
    comments = b"!\xfe" + (b"\xff" + bytes(255)) * 100_000 + b"\0"
    for blocks in (block * 200_000, comments):
        with pytest.raises(MediaError, match="more than 65536 blocks"):
            load_media(gif[:screen] + blocks + gif[screen:])


def test_pages_are_counted_up_to_a_bound():
    page = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 277: 1, 273: 8, 279: 1}
    body, first = b"\0" * 8, 16
    size = 2 + 12 * len(page) + 4
    pages = 3000
    for number in range(pages):
        fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(page.items()))
        following = first + (number + 1) * size if number + 1 < pages else 0
        body += struct.pack("<H", len(page)) + fields + struct.pack("<I", following)
    with pytest.warns(UserWarning, match=f"more than {MAX_PAGES} pages"):
        assert load_media(b"II*\0" + struct.pack("<I", first) + body).frames.shape == (1, 1, 1, 3)
