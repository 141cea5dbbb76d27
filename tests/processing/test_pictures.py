# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Still pictures and animations as people have them: transparency, deep modes, orientation, HEIF tiles."""

import io
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from favor.processing import DamagedMediaError, MediaError, MediaLimitError, iterate_media, load_media
from favor.processing.pictures_favor import image_to_array, to_eight_bits
from favor.processing.video_processing_favor import picture_to_array

PNG = b"\x89PNG\r\n\x1a\n"


def saved(image, kind="PNG", **options):
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def framed():
    """(40, 60, 4): transparent black, and in the middle an opaque black square of 20 x 20."""
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[10:30, 20:40, 3] = 255
    return pixels


def assert_framed(pixels, tolerance=2):
    """The square of `framed` is black and all about it is white."""
    assert pixels.shape == (40, 60, 3)
    inside = pixels[12:28, 22:38].astype(int)
    outside = np.concatenate([pixels[:8].ravel(), pixels[32:].ravel(), pixels[:, :18].ravel(), pixels[:, 42:].ravel()])
    assert inside.max() <= tolerance and outside.min() >= 255 - tolerance


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "kind, mode, options",
    [
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("TIFF", "RGBA", {}),
        ("AVIF", "RGBA", {"quality": 100}),
    ],
)
def test_what_is_transparent_is_white(kind, mode, options):
    data = saved(Image.fromarray(framed()).convert(mode), kind, **options)
    assert_framed(load_media(data).frames[0], tolerance=4)


def paletted():
    """The square of `framed` by palette: 0 is to be transparent, 1 is black."""
    image = Image.fromarray((framed()[..., 3] // 255).astype(np.uint8)).convert("L")
    picture = Image.frombytes("P", image.size, image.tobytes())
    picture.putpalette([200, 0, 0, 0, 0, 0])
    return picture


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "kind, options",
    [("PNG", {"transparency": 0}), ("PNG", {"transparency": bytes([0, 255])}), ("GIF", {"transparency": 0})],
)
def test_a_transparent_entry_of_a_palette_is_white(kind, options):
    assert_framed(load_media(saved(paletted(), kind, **options)).frames[0])


@pytest.mark.parametrize("mode, key", [("1", 255), ("L", 200), ("RGB", (200, 200, 200))])
def test_a_transparent_colour_is_white(mode, key):
    values = np.where(framed()[..., 3] > 0, 0, 200).astype(np.uint8)
    data = saved(Image.fromarray(values).convert(mode, dither=Image.Dither.NONE), transparency=key)
    assert_framed(load_media(data).frames[0])


def png_of_16_bits(values, color_type, key):
    """A PNG of (H, W, C) 16-bit values with a transparent colour."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    key = struct.pack(f">{len(key)}H", *key)
    return PNG + chunk(b"IHDR", head) + chunk(b"tRNS", key) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels, color_type", [(1, 0), (3, 2)])
def test_a_transparent_colour_of_16_bits_is_white(channels, color_type):
    values = np.where(framed()[..., 3:] > 0, 0, 40000).repeat(channels, axis=-1)
    assert_framed(load_media(png_of_16_bits(values, color_type, [40000] * channels)).frames[0])


def test_pictures_in_memory_are_laid_on_white_too():
    image = Image.fromarray(framed())
    for picture in (image, image.convert("LA"), image.convert("RGBa"), framed(), framed().transpose(2, 0, 1)):
        assert_framed(picture_to_array(picture))
    half = np.full((2, 2, 4), (100, 0, 200, 128), np.uint8)
    np.testing.assert_allclose(picture_to_array(half)[0, 0], [177, 127, 227], atol=1)


def write_frames(suffix, codec, pixel_format, frames, rate=4):
    """A video of (N, H, W, C) pictures, as bytes."""
    file = io.BytesIO()
    with av.open(file, "w", format=suffix) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixel_format
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[-1] == 4 else "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    "suffix, codec, pixel_format",
    [
        ("mov", "qtrle", "argb"),
        ("mov", "png", "rgba"),
        ("mov", "prores_ks", "yuva444p10le"),
        ("matroska", "ffv1", "bgra"),
    ],
)
def test_video_with_alpha_is_laid_on_white(suffix, codec, pixel_format):
    data = write_frames(suffix, codec, pixel_format, framed()[None].repeat(2, 0))
    assert_framed(load_media(data).frames[0], tolerance=6)


RAMP = np.linspace(0, 1, 64 * 32).reshape(32, 64)


@pytest.mark.parametrize(
    "kind, values",
    [
        ("PNG", (RAMP * 65535).astype(np.uint16)),
        ("TIFF", (RAMP * 65535).astype(np.uint16)),
        ("TIFF", (RAMP * 65535).astype(np.int32)),
        ("TIFF", (RAMP * (2**31 - 1)).astype(np.int32)),
        ("TIFF", (RAMP * 255).astype(np.int32)),
        ("TIFF", RAMP.astype(np.float32)),
        ("TIFF", (RAMP * 255).astype(np.float32)),
        ("TIFF", (RAMP * 65535).astype(np.float32)),
        ("TIFF", (RAMP * 8 - 4).astype(np.float32)),
    ],
)
def test_deep_pictures_are_scaled(kind, values):
    frame = load_media(saved(values, kind)).frames[0]
    np.testing.assert_allclose(frame[..., 0], RAMP * 255, atol=1.01)
    assert (frame == frame[..., :1]).all()
    np.testing.assert_array_equal(image_to_array(Image.fromarray(values)), frame)


def test_scales_of_deep_values():
    assert to_eight_bits(np.array([0, 4095], np.uint16), bits=12).tolist() == [0, 255]
    assert to_eight_bits(np.array([0, 2**32 - 1], np.uint32)).tolist() == [0, 255]
    assert to_eight_bits(np.array([np.nan, -np.inf, 0.5, np.inf], np.float32)).tolist() == [0, 0, 128, 255]
    assert to_eight_bits(np.array([-100.0, 100.0])).tolist() == [0, 255]
    assert to_eight_bits(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "La", "LA", "PA", "RGBX", "I;16B", "F"])
def test_every_mode_is_read(mode):
    assert image_to_array(Image.new(mode, (6, 4))).shape == (4, 6, 3)


def test_an_empty_picture_is_named():
    with pytest.raises(MediaError, match="0 x 10 pixels is empty"):
        image_to_array(Image.new("RGB", (0, 10)))


COLORS = ["red", "lime", "blue"]


def animated(kind, mode="RGB", **options):
    pictures = [Image.new(mode, (60, 40), color) for color in COLORS]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], **{"duration": 1000, **options})


@pytest.mark.parametrize("kind, options", [("WEBP", {"lossless": True}), ("PNG", {}), ("AVIF", {}), ("GIF", {})])
def test_an_animation_is_a_clip(kind, options):
    data = animated(kind, **options)
    clip = load_media(data)
    assert not clip.still and clip.audio is None and clip.duration == pytest.approx(3.0)
    assert clip.frames[:, 20, 30].argmax(-1).tolist() == [0, 0, 1, 1, 2, 2]
    assert clip.frames[:, 20, 30].max(-1).min() > 240
    part = load_media(data, start=1.0, end=2.0)
    assert part.frames[:, 20, 30].argmax(-1).tolist() == [1, 1] and part.duration == 1.0
    assert load_media(data, num_frames=3).frames[:, 20, 30].argmax(-1).tolist() == [0, 1, 2]
    pieces = list(iterate_media(data, chunk_seconds=1.0))
    np.testing.assert_array_equal(np.concatenate([piece.frames for piece in pieces]), clip.frames)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_one_picture_of_these_kinds_is_a_still(kind):
    clip = load_media(saved(Image.new("RGB", (60, 40), (200, 30, 60)), kind))
    assert clip.still and clip.frames.shape == (1, 40, 60, 3)
    np.testing.assert_allclose(clip.frames[0, 20, 30], [200, 30, 60], atol=6)


def test_an_animation_has_its_own_times_and_alpha():
    pictures = [Image.fromarray(framed()), Image.new("RGBA", (60, 40), (0, 0, 0, 0))]
    data = saved(pictures[0], "WEBP", save_all=True, append_images=pictures[1:], duration=[500, 2500], lossless=True)
    clip = load_media(data)
    assert clip.duration == pytest.approx(3.0) and len(clip.frames) == 6
    assert_framed(clip.frames[0])
    assert clip.frames[1:].min() == 255


def test_a_png_may_hold_a_still_that_is_no_part_of_its_animation():
    pictures = [Image.new("RGB", (60, 40), color) for color in ("white", "red", "blue")]
    data = saved(pictures[0], "PNG", save_all=True, append_images=pictures[1:], duration=1000, default_image=True)
    clip = load_media(data)
    assert clip.frames[:, 20, 30].tolist() == [[255, 0, 0]] * 2 + [[0, 0, 255]] * 2
    data = saved(pictures[0], "PNG", save_all=True, append_images=pictures[1:2], duration=1000, default_image=True)
    alone = load_media(data)
    assert alone.still and alone.frames[0, 20, 30].tolist() == [255, 0, 0]


def test_an_animation_that_is_cut_is_damaged():
    data = animated("WEBP", lossless=True)
    with pytest.raises(MediaError):
        load_media(data[:-8])
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    data = saved(pictures[0], "PNG", save_all=True, append_images=pictures[1:], duration=1000)
    with pytest.raises(DamagedMediaError, match="is damaged at 2.00 s"):
        load_media(data[:-4000])
    with pytest.warns(UserWarning, match="could not be decoded"):
        assert load_media(data[:-4000], on_error="warn").frames.shape[0] == 4
    with pytest.raises(MediaLimitError, match="max_source_frames"):
        load_media(data, media_limits={"max_source_frames": 1})


def test_further_pages_are_named():
    pictures = [Image.new("RGB", (60, 40), color) for color in COLORS]
    with pytest.warns(UserWarning, match="has 3 pages; the first one is read"):
        clip = load_media(saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:]))
    assert clip.still and clip.frames[0, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0no directory", b"\0" * 40, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 30]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_metadata_that_cannot_be_read_turn_nothing(kind, exif):
    clip = load_media(saved(Image.new("RGB", (40, 20), "red"), kind, exif=exif))
    assert clip.frames.shape == (1, 20, 40, 3)


@pytest.mark.parametrize(
    "chunk", [(b"eXIf", b"bad"), (b"gAMA", b"x"), (b"pHYs", b"x"), (b"tRNS", b""), (b"iTXt", b"x")]
)
@pytest.mark.parametrize("broken_sum", [0, 1])
def test_a_png_with_broken_metadata_is_read(chunk, broken_sum):
    kind, content = chunk
    data = saved(Image.new("RGB", (40, 20), "red"))
    place = data.index(b"IDAT") - 4
    added = struct.pack(">I", len(content)) + kind + content
    added += struct.pack(">I", zlib.crc32(kind + content) ^ broken_sum)
    clip = load_media(data[:place] + added + data[place:])
    assert clip.frames.shape == (1, 20, 40, 3) and clip.frames[0, 10, 20].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations(orientation):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :20], pixels[:10, 20:] = 250, 100
    exif = Image.Exif()
    exif[0x0112] = orientation
    frames = [
        load_media(saved(pixels, exif=exif)).frames[0],
        load_media(saved(pixels, "TIFF", exif=exif)).frames[0],  # which Pillow turns by itself
        image_to_array(Image.open(io.BytesIO(saved(pixels, "TIFF", exif=exif)))),
    ]
    upright = [
        pixels,
        pixels[:, ::-1],
        pixels[::-1, ::-1],
        pixels[::-1],
        pixels.transpose(1, 0, 2),
        np.rot90(pixels, -1),
        pixels.transpose(1, 0, 2)[::-1, ::-1],
        np.rot90(pixels),
    ][orientation - 1]
    for frame in frames:
        np.testing.assert_array_equal(frame, upright)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("suffix", ["webm", "mkv"])
def test_transparent_video_of_browsers_lies_on_white(codec, suffix):
    """Its alpha is a second picture beside each packet."""
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[:, 32:, 3] = 255
    file = io.BytesIO()
    with av.open(file, "w", format={"webm": "webm", "mkv": "matroska"}[suffix]) as container:
        stream = container.add_stream(codec, rate=10, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="yuva420p")))
        container.mux(stream.encode())
    for clip in (load_media(file.getvalue()), load_media(file.getvalue(), start=1.0)):
        assert len(clip.frames) == round(2 * clip.duration) and clip.frames[:, :, :30].min() > 250
        assert clip.frames[:, :, 34:].max() < 5


def test_pictures_of_pillow_that_cannot_be_decoded():
    data = saved(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8))
    closed = Image.open(io.BytesIO(data))
    closed.close()
    for picture in (Image.open(io.BytesIO(data[: len(data) // 2])), closed):
        with pytest.raises(MediaError, match="A PIL picture cannot be read"):
            picture_to_array(picture)
    with pytest.raises(MediaError, match="begins as a picture does, but holds none that is whole"):
        load_media(data[:8])
    with pytest.raises(MediaError, match=r"must have some pixels, but the shape is \(0, 4, 3\)"):
        picture_to_array(np.zeros((0, 4, 3), np.uint8))
