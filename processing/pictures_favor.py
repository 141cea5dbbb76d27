# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Still pictures of any kind as upright 8-bit RGB: alpha over white, deep pictures scaled, orientation applied."""

import io
import math
import warnings
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from .heif_favor import is_avif, is_heif, load_heif
from .media_limits_favor import MediaError, MediaLimits
from .picture_bounds_favor import MAX_PAGES, PNG_SIGNATURE, check_parts, check_work, pages_of

SIGNATURES = (
    PNG_SIGNATURE,
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
)
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")  # of Pillow's; no other parser sees a file
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # several pages of a TIFF, or views of an MPO, are no animation
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
SAMPLE_FORMAT, UNSIGNED = 339, 1  # the TIFF tag, and its value for unsigned integers
BITS_PER_SAMPLE = 258  # the TIFF tag
WHITE = 255
MAX_MENDED_BYTES = 1 << 28  # of a PNG whose metadata are left out


def is_picture_file(file: BinaryIO) -> bool:
    """Tells by its first bytes whether `file` holds pictures that Pillow, or `load_heif`, reads: still or animated."""
    head = file.read(16)
    file.seek(0)
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(SIGNATURES) or webp or is_avif(file) or is_heif(file)


def animation_format(file: BinaryIO, name: str, limits: MediaLimits) -> str | None:
    """Pillow's name of the format if a picture file has several pictures in time, else None.

    Raises:
        MediaError: if it has parts beyond number.
        MediaLimitError: if it has too many pixels, or decoding them is too much work.
    """
    try:
        check_parts(file, name)
        with Image.open(file, formats=FORMATS) as image:
            check_work(image, file, name, limits)
            if image.format not in ANIMATED or not getattr(image, "is_animated", False):
                return None
            return None if _is_hidden_still(image) else image.format
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise too_large(name, limits) from error
    except Exception:  # whatever Pillow's parser met: who reads the picture is to say what is wrong
        return None
    finally:
        file.seek(0)


def load_image(file: BinaryIO, name: str, limits: MediaLimits) -> np.ndarray:
    """Reads one picture, turned upright: (H, W, 3) uint8.

    Raises:
        MediaError: if the file is damaged, of a kind that is not read, or has too many pixels.

    Warns if a file has further pages, which are not read.
    """
    try:
        if is_heif(file):
            return load_heif(file, name, limits)
        with _opened(file) as image:
            check_work(image, file, name, limits)
            pages = pages_of(image) if image.format == "TIFF" else 1
            if pages > 1:
                counted = f"more than {MAX_PAGES}" if pages > MAX_PAGES else pages
                warnings.warn(f"{name} has {counted} pages; the first one is read.", stacklevel=2)
            if _is_hidden_still(image):
                image.seek(1)
            return image_to_array(image)
    except (MediaError, Warning):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(name, limits) from error
    except UnidentifiedImageError as error:  # whose text names an object of Python
        raise MediaError(f"{name} begins as a picture does, but holds none that is whole.") from error
    except Exception as error:  # Pillow's decoders raise whatever their parsing meets
        raise MediaError(f"{name} looks like a picture but cannot be read: {error}. Save it again as PNG.") from error


def _is_hidden_still(image: Image.Image) -> bool:
    """Whether a PNG holds an animation of one picture, which is shown, and a still for those who show none."""
    return getattr(image, "default_image", False) and getattr(image, "n_frames", 1) == 2


def _opened(file: BinaryIO) -> Image.Image:
    """Opens a picture; a PNG whose metadata cannot be read, without them."""
    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        raise
    except Exception:  # whatever Pillow's parser met
        file.seek(0)
        data = file.read(MAX_MENDED_BYTES + 1)
        if not data.startswith(PNG_SIGNATURE) or len(data) > MAX_MENDED_BYTES:
            raise
        return Image.open(io.BytesIO(_essential_chunks(data)), formats=FORMATS)


def _essential_chunks(png: bytes) -> bytes:
    """A PNG without the chunks that tell nothing about its pixels, or (transparency) are broken."""
    place, kept = len(PNG_SIGNATURE), [PNG_SIGNATURE]
    while place + 12 <= len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, chunk = png[place + 4 : place + 8], png[place:end]
        sound = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind[:1].isupper() or (kind == b"tRNS" and sound and len(chunk) > 12):
            kept.append(chunk)
        place = end
    return b"".join(kept)


def too_large(name: str, limits: MediaLimits) -> MediaError:
    """The error for a picture beyond Pillow's own bound, which comes before ours."""
    try:
        limits.check("max_pixels", math.inf, f"{name} is a picture beyond {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels")
    except MediaError as error:
        return error
    return MediaError(f"{name} is too large a picture. Raise PIL.Image.MAX_IMAGE_PIXELS, too.")


def image_to_array(image: Image.Image) -> np.ndarray:
    """Turns a Pillow picture of any mode into upright (H, W, 3) uint8 RGB.

    What is transparent lies on white. More than 8 bits are scaled by `to_eight_bits`.

    Raises:
        MediaError: if the picture is empty, or Pillow cannot convert its mode.
    """
    if image.width == 0 or image.height == 0:
        raise MediaError(f"A picture of {image.width} x {image.height} pixels is empty. Give one that has some.")
    image.load()  # a TIFF is turned by Pillow as it is decoded, and then tells no orientation any more
    turn = TURNS.get(_orientation(image))
    try:
        pixels = _to_rgb(image)
    except ValueError as error:
        raise MediaError(f'A picture of mode "{image.mode}" cannot be read ({error}). Convert it to RGB.') from error
    return pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; upright if it cannot be read."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
        return value if isinstance(value, int) else 1
    except Exception:  # metadata that cannot be read turn nothing, whatever their parsing meets
        return 1


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode in DEEP_MODES:
        return _deep_to_rgb(image)
    if not image.has_transparency_data:
        return np.array(image.convert("RGB"))
    image.load()
    key = image.info.get("transparency")
    if (
        isinstance(key, tuple) and max(key) > 255
    ):  # Pillow keeps 8 of a PNG's 16 bits, but not of its transparent colour
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return on_white(np.array((image.convert("LA") if image.mode == "La" else image).convert("RGBA")))


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Lays (..., 4) uint8 RGBA pixels on white: (..., 3) uint8."""
    alpha = pixels[..., 3:].astype(np.uint16)
    color = pixels[..., :3] * alpha + WHITE * (255 - alpha)  # at most 255 * 255
    return ((color + 127) // 255).astype(np.uint8)


def _deep_to_rgb(image: Image.Image) -> np.ndarray:
    values, tags = np.array(image), getattr(image, "tag_v2", {})
    if (
        image.mode == "I"
        and image.format == "TIFF"
        and tags.get(SAMPLE_FORMAT, (UNSIGNED,)) in (UNSIGNED, (UNSIGNED,))
    ):
        values = values.view(np.uint32)
    gray = to_eight_bits(values, tags.get(BITS_PER_SAMPLE, (16,))[0])
    key = image.info.get("transparency")
    if isinstance(key, int):  # the gray value that is transparent
        gray = np.where(values == key, np.uint8(WHITE), gray)
    return np.repeat(gray[..., None], 3, axis=-1)


def to_eight_bits(values: np.ndarray, bits: int = 16) -> np.ndarray:
    """Scales gray values of more than 8 bits to uint8, in the shape given.

    16-bit integers have the range of `bits` bits. The range of 32-bit integers and floats is told by the largest
    value: the smallest of 1 (floats only), 255, 65,535 and the type's own that holds it. Pictures with values below
    zero, and floats above 65,535, are stretched between their own bounds. NaN is black, infinities are the bounds.
    """
    if values.dtype.itemsize == 2 and values.dtype.kind == "u":
        return np.rint(values * (255.0 / ((1 << min(bits, 16)) - 1))).clip(0, 255).astype(np.uint8)
    numbers = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    integer = values.dtype.kind in "iu"
    scales = [255.0, 65535.0, float(np.iinfo(values.dtype).max)] if integer else [1.0, 255.0, 65535.0]
    scale = next((scale for scale in scales if low >= 0 and high <= scale), None)
    if scale is not None:
        low, high = 0.0, scale
    numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    return np.rint((numbers - low) * (255.0 / ((high - low) or 1.0))).clip(0, 255).astype(np.uint8)
