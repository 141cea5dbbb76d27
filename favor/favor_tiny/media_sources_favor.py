# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Where media come from: paths, bytes, file objects and `data:` URLs; pictures by Pillow; resizing and resampling.

Nothing here opens a network connection: `http(s)` addresses are refused, so that no prompt makes a server fetch them.
"""

import base64
import binascii
import io
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
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 1 << 27  # per picture: beyond any camera, far below what exhausts memory
IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
MediaSource = str | os.PathLike | bytes | bytearray | BinaryIO


class MediaError(ValueError):
    """A file or array that cannot be used as media; the message names it, the reason and the remedy."""


def is_media_source(value: Any) -> bool:
    """Tells whether `value` is something that `open_source` opens: a path, bytes or a binary file object."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray)) or hasattr(value, "read")


@contextmanager
def open_source(source: MediaSource) -> Iterator[tuple[BinaryIO, str]]:
    """Yields a seekable binary file at its start, and the name to use for it in messages.

    A file object of the caller is rewound and left open; everything else is closed on exit.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: for URLs, folders, empty or undecodable sources and other types.
    """
    if isinstance(source, (bytes, bytearray)):
        yield _checked(io.BytesIO(source), f"{len(source)} bytes of media")
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the file object"))
        yield _checked(cast(BinaryIO, source) if _seekable(source) else io.BytesIO(source.read()), name)
    elif isinstance(source, str) and source.startswith("data:"):
        yield _checked(io.BytesIO(_decode_data_url(source)), "the data: URL")
    elif isinstance(source, (str, os.PathLike)):
        path = _local_path(source)
        with open(path, "rb") as file:
            yield _checked(file, str(path))
    else:
        raise MediaError(
            f"Media must be a path, bytes or a binary file object, not {type(source).__name__}. "
            "Arrays go to the processor, not to load_media."
        )


def _seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return seekable is not None and seekable()


def _checked(file: BinaryIO, name: str) -> tuple[BinaryIO, str]:
    if file.seek(0, os.SEEK_END) == 0:
        raise MediaError(f"{name} is empty. Check that it was written, or downloaded, completely.")
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


def is_image(file: BinaryIO) -> bool:
    """Tells by its first bytes whether `file` is one still picture; an animated GIF is a video."""
    head = file.read(16)
    file.seek(0)
    if not (head.startswith(IMAGE_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")):
        return False
    if not head.startswith(b"GIF"):
        return True
    try:
        with Image.open(file) as image:
            return getattr(image, "n_frames", 1) == 1
    except (OSError, ValueError, SyntaxError):
        return False
    finally:
        file.seek(0)


def load_image(file: BinaryIO, name: str) -> np.ndarray:
    """Reads one picture, turned upright by its EXIF orientation: (H, W, 3) uint8.

    Raises:
        ValueError: if the file is damaged or has more than `MAX_PIXELS` pixels.
    """
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{name} is {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read.")
            return image_to_array(image)
    except MediaError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"{name} looks like a picture but cannot be read: {error}. Save it again as PNG.") from error


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
