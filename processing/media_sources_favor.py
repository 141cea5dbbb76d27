# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Where media come from: paths, bytes, file objects and `data:` URLs; pictures by Pillow; resizing and resampling.

Nothing here opens a network connection: `http(s)` addresses are refused, so that no prompt makes a server fetch them.
"""

import base64
import binascii
import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlparse

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from .media_limits_favor import MediaError, MediaLimits

IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
MediaSource = str | os.PathLike | bytes | bytearray | BinaryIO


def is_media_source(value: Any) -> bool:
    """Tells whether `value` is something that `open_source` opens: a path, bytes or a binary file object."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray)) or hasattr(value, "read")


def is_list_of_files(value: Any) -> bool:
    """Tells whether `value` is a list of such sources."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(map(is_media_source, value))


@contextmanager
def open_source(source: MediaSource, limits: MediaLimits) -> Iterator[tuple[BinaryIO, str]]:
    """Yields a seekable binary file at its start, and the name to use for it in messages.

    A file object of the caller is rewound and left open; one that cannot seek is read into memory. Everything else is
    closed on exit.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: for URLs, folders, empty, too large or undecodable sources and other types.
    """
    if isinstance(source, (bytes, bytearray)):
        yield _checked(io.BytesIO(source), f"{len(source)} bytes of media", limits)
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the file object"))
        file = cast(BinaryIO, source) if _seekable(source) else io.BytesIO(source.read(limits.max_file_bytes + 1))
        yield _checked(file, name, limits)
    elif isinstance(source, str) and source.startswith("data:"):
        yield _checked(io.BytesIO(_decode_data_url(source)), "the data: URL", limits)
    elif isinstance(source, (str, os.PathLike)):
        path = _local_path(source)
        with open(path, "rb") as file:
            yield _checked(file, str(path), limits)
    else:
        raise MediaError(
            f"Media must be a path, bytes or a binary file object, not {type(source).__name__}. "
            "Arrays go to the processor, not to load_media."
        )


def _seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return seekable is not None and seekable()


def _checked(file: BinaryIO, name: str, limits: MediaLimits) -> tuple[BinaryIO, str]:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise MediaError(f"{name} is empty. Check that it was written, or downloaded, completely.")
    limits.check("max_file_bytes", size, f"{name} has {size} bytes or more")
    file.seek(0)
    return file, name


def _decode_data_url(url: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma or not header.endswith(";base64"):
        raise MediaError(f"Only base64 data: URLs are read; this one starts with {url[:40]!r}.")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise MediaError(f"The data: URL that starts with {url[:40]!r} is not valid base64: {error}.") from error


def _local_path(source: str | os.PathLike) -> Path:
    text = os.fspath(source)
    if "://" in text:
        if not text.startswith("file://"):
            raise MediaError(
                f"{text} is a URL, and nothing is downloaded here. Download the file first and give its path or bytes."
            )
        text = unquote(urlparse(text).path)
    path = Path(text).expanduser()
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Give one media file.")
    if not path.is_file():
        raise FileNotFoundError(f"No such media file: {path} (looked from {Path.cwd()}).")
    return path


def is_image(file: BinaryIO, name: str, limits: MediaLimits) -> bool:
    """Tells by its first bytes whether `file` is one still picture; an animated GIF is a video.

    Raises:
        MediaLimitError: if a GIF has too many pixels.
    """
    head = file.read(16)
    file.seek(0)
    if not (head.startswith(IMAGE_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")):
        return False
    if not head.startswith(b"GIF"):
        return True
    try:
        with Image.open(file) as image:
            _check_pixels(image, name, limits)
            return not getattr(image, "is_animated", False)
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, limits) from error
    except Exception:  # whatever Pillow's parser met: FFmpeg is to say what is wrong
        return False
    finally:
        file.seek(0)


def load_image(file: BinaryIO, name: str, limits: MediaLimits) -> np.ndarray:
    """Reads one picture, turned upright by its EXIF orientation: (H, W, 3) uint8.

    Raises:
        ValueError: if the file is damaged or has too many pixels.
    """
    try:
        with Image.open(file) as image:
            _check_pixels(image, name, limits)
            return image_to_array(image)
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, limits) from error
    except Exception as error:  # Pillow's decoders raise whatever their parsing meets
        raise MediaError(f"{name} looks like a picture but cannot be read: {error}. Save it again as PNG.") from error


def _check_pixels(image: Image.Image, name: str, limits: MediaLimits) -> None:
    pixels = image.width * image.height
    limits.check("max_pixels", pixels, f"{name} is {image.width} x {image.height} = {pixels} pixels")


def _too_large(name: str, limits: MediaLimits) -> MediaError:
    """The error for a picture beyond Pillow's own bound, which comes before ours."""
    try:
        limits.check("max_pixels", math.inf, f"{name} is a picture beyond {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels")
    except MediaError as error:
        return error
    return MediaError(f"{name} is too large a picture. Raise PIL.Image.MAX_IMAGE_PIXELS, too.")


def image_to_array(image: Image.Image) -> np.ndarray:
    """Turns a Pillow picture of any mode into upright (H, W, 3) uint8 RGB."""
    return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def resize_frames(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resizes (..., 3, H, W) uint8 pictures, bicubic with antialiasing; bit-identical to torchvision on the CPU."""
    if frames.shape[-2:] == (height, width):
        return frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    flat = F.interpolate(flat, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return flat.reshape(*frames.shape[:-2], height, width)


def resample_audio(audio: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """Mixes (S,), (channels, S) or (S, channels) sound down to mono and resamples it: (S',) float32.

    Integer samples are scaled to [-1, 1).

    Raises:
        ValueError: if the array is not one- or two-dimensional, or the rate is not positive.
    """
    audio = np.asarray(audio)
    if rate <= 0:
        raise MediaError(f"A sampling rate must be positive, but {rate} was given.")
    if np.issubdtype(audio.dtype, np.integer):
        audio = audio.astype(np.float32) / -float(np.iinfo(audio.dtype).min or -1)
    if audio.ndim == 2:
        audio = audio.mean(axis=0 if audio.shape[0] <= audio.shape[1] else 1)
    if audio.ndim != 1:
        raise MediaError(f"Sound must be (samples,) or (channels, samples), but its shape is {audio.shape}.")
    audio = np.ascontiguousarray(audio, dtype=np.float32)
    if rate == target_rate or audio.size == 0:
        return audio
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target_rate)
    frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
    frame.sample_rate = int(rate)
    pieces = [piece.to_ndarray()[0] for piece in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces)[: round(audio.size * target_rate / rate)]
