# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Where media come from: paths, bytes, file objects and `data:` URLs; resizing of pictures and resampling of arrays.

Nothing here opens a network connection: `http(s)` addresses are refused, so that no prompt makes a server fetch them.
"""

import binascii
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

import av
import numpy as np
import torch
import torch.nn.functional as F

from .media_limits_favor import MediaError, MediaLimits

SHOWN_CHARACTERS = 100  # of a source in messages
LONGEST_NAME = 1024  # characters; what is longer, and is not there, was not meant as a path
HIGHEST_RATE = 10_000_000  # Hz; no sound has more samples a second
BASE64_MARK = re.compile(r";\s*base64\s*,", re.IGNORECASE)
LONGEST_HEAD = 4096  # characters of a data: URL before its data
BASE64_SLICE = 1 << 18  # characters; no other thread runs while one is decoded
URL_SAFE = bytes.maketrans(b"-_", b"+/")
WHITE_SPACE = b" \t\n\r\f\v"
MediaSource = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO


def is_media_source(value: Any) -> bool:
    """Tells whether `value` is something that `open_source` opens: a path, bytes or a binary file object."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(value, "read")


def check_one_source(held: Mapping[str, Any], kind: str) -> None:
    """Refuses a block or dict that names several sources, of which one would be dropped.

    A path beside bytes or an array is where they came from, as the library `datasets` has it.

    Args:
        held (`dict`): the block or dict.
        kind (`str`): "video", "image" or "audio", which may name the source, too.

    Raises:
        MediaError: if another pair is named.
    """
    named = [name for name in (kind, "array", "bytes", "base64", "path", "url") if held.get(name) is not None]
    if len(named) > 1 and not (len(named) == 2 and named[1] == "path" and not _is_address(held[named[0]])):
        raise MediaError(f"Several sources are named for one {kind}: {', '.join(named)}. Keep one.")


def _is_address(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


@contextmanager
def open_source(source: MediaSource, limits: MediaLimits) -> Iterator[tuple[BinaryIO, str]]:
    """Yields a seekable binary file at its start, and the name to use for it in messages.

    A file object of the caller is rewound and left open; one that cannot seek is read into memory. Everything else is
    closed on exit.

    Raises:
        FileNotFoundError: if the path does not exist.
        MediaError: for URLs, folders, text, empty, too large or undecodable sources and other types.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        yield _checked(io.BytesIO(data), f"{len(data)} bytes of media", limits)
    elif hasattr(source, "read"):
        yield _file_object(source, limits)
    elif isinstance(source, (str, os.PathLike)):
        text = _path_text(source)
        if is_data_url(text) and not _exists(text):
            yield _checked(io.BytesIO(_decode_data_url(text)), "the data: URL", limits)
            return
        path = local_path(text)
        with _opened(path) as file:
            yield _checked(file, str(path), limits)
    else:
        raise MediaError(
            f"Media must be a path, bytes or a binary file object, not {type(source).__name__}. "
            "Arrays go to the processor, not to load_media."
        )


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise MediaError(f"{path} cannot be opened ({error.strerror}). Check its permissions.") from error


def _file_object(source: Any, limits: MediaLimits) -> tuple[BinaryIO, str]:
    """A caller's file object, in memory if it cannot seek."""
    name = str(getattr(source, "name", "the file object"))
    remedy = 'Give a binary file object, as open(path, "rb") makes.'
    try:
        seekable = getattr(source, "seekable", None)
        if seekable is not None and seekable():
            source.seek(0)
            probe, file = source.read(1), source
        else:
            probe = source.read(limits.max_file_bytes + 1)
            file = None if isinstance(probe, str) else io.BytesIO(probe)
    except Exception as error:  # whatever a caller's object raises
        raise MediaError(f"{name} cannot be read ({error or type(error).__name__}). {remedy}") from error
    if not isinstance(probe, (bytes, bytearray, memoryview)):
        raise MediaError(f"{name} gives {type(probe).__name__} instead of bytes. {remedy}")
    return _checked(cast(BinaryIO, file), name, limits)


def _checked(file: BinaryIO, name: str, limits: MediaLimits) -> tuple[BinaryIO, str]:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise MediaError(f"{name} is empty. Check that it was written, or downloaded, completely.")
    limits.check("max_file_bytes", size, f"{name} has {size} bytes or more")
    file.seek(0)
    return file, name


def is_data_url(text: str) -> bool:
    """Tells whether `text` is a `data:` URL, in capitals or after white space, too."""
    return text[:100].lstrip()[:5].lower() == "data:"


def base64_start(url: str) -> int | None:
    """Where the base64 of a `data:` URL begins; None if it holds none. The media type before it may hold commas."""
    # The last mark: the alphabet has no semicolon, but a quoted parameter of the media type may.
    ends = [mark.end() for mark in BASE64_MARK.finditer(url, 0, LONGEST_HEAD)]
    return ends[-1] if ends else None


def base64_bytes(text: str, start: int = 0) -> bytes:
    """What base64 text stands for, from its character `start` on, as browsers, mail and scripts write it.

    It may hold white space, either alphabet, no padding, or percent escapes. It is decoded in slices: no copy of all
    of it is needed, and other threads run in between.

    Raises:
        MediaError: if it is not base64.
    """
    found, rest, padded = bytearray(), b"", False
    begin = start
    while begin < len(text):
        end = min(begin + BASE64_SLICE, len(text))
        cut = text.rfind("%", max(begin, end - 2), end)
        end = cut if begin < cut and end < len(text) else end  # an escape stays whole
        part, begin = text[begin:end], end
        try:
            plain = (unquote(part) if "%" in part else part).encode("ascii")
            plain = rest + plain.translate(URL_SAFE, WHITE_SPACE)
            if padded and plain.strip(b"="):
                raise binascii.Error("data after padding")
            data = plain.rstrip(b"=")
            padded = padded or len(data) < len(plain)
            whole = len(data) if padded or begin >= len(text) else len(data) - len(data) % 4
            if b"=" in data:
                raise binascii.Error("padding within data")
            found += binascii.a2b_base64(data[:whole] + b"=" * (-whole % 4), strict_mode=True)
            rest = data[whole:]
        except (binascii.Error, ValueError) as error:
            raise MediaError(f"Media are not valid base64: {error}.") from None
    return bytes(found)


def _decode_data_url(url: str) -> bytes:
    start = base64_start(url)
    if start is None:
        raise MediaError(f"Only base64 data: URLs are read; this one starts with {url[:40]!r}.")
    return base64_bytes(url, start)


def _path_text(source: str | os.PathLike) -> str:
    text = os.fspath(source)
    return os.fsdecode(text) if isinstance(text, bytes) else text


def _shown(text: str) -> str:
    """A source as messages show it."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text)} characters)"


def _exists(text: str) -> bool:
    """Whether there is such a path; what no path can be named (too long, with zero bytes) does not exist."""
    try:
        return os.path.exists(text)
    except (OSError, ValueError):
        return False


def local_path(text: str) -> Path:
    """The file that a path or `file:` URL names; the name as it stands comes first."""
    names = [text]
    if text[:5].lower() == "file:":
        local = re.sub(r"^file:(//(localhost(?=/))?)?", "", text, flags=re.IGNORECASE)
        names += [local, unquote(local), unquote(local.partition("#")[0].partition("?")[0])]
    if text.startswith("~/"):
        names.append(os.path.expanduser(text))
    found = next((name for name in names if name and _exists(name)), None)
    if found is None:
        if not text:
            raise MediaError("The path of the media file is empty.")
        if "://" in text and text[:5].lower() != "file:":
            raise MediaError(
                f"{_shown(text)} is a URL, and nothing is downloaded here. "
                "Download the file first and give its path or bytes."
            )
        if len(text) > LONGEST_NAME or "\0" in text:
            raise MediaError(
                f"{_shown(text)!r} is no path. Give base64 text as a data: URL (data:;base64,...) or as decoded bytes."
            )
        raise FileNotFoundError(f"No such media file: {_shown(names[-1])} (looked from {Path.cwd()}).")
    path = Path(found)
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Give one media file.")
    if not path.is_file():
        raise MediaError(f"{path} is no regular file. Read it first, and give its bytes.")
    return path


def resize_frames(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resizes (..., 3, H, W) uint8 pictures, bicubic with antialiasing; bit-identical to torchvision on the CPU."""
    if frames.shape[-2:] == (height, width):
        return frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    flat = F.interpolate(flat, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return flat.reshape(*frames.shape[:-2], height, width)


def as_array(value: Any) -> np.ndarray:
    """An array, tensor or list of numbers as a numpy array.

    Tensors may lie on any device and have a gradient; those of bfloat16, which numpy lacks, become float32.
    """
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def checked_rate(rate: Any) -> int:
    """A sampling rate as a whole number, in Hz.

    Raises:
        MediaError: if it is no number from 1 to `HIGHEST_RATE`.
    """
    number = rate.item() if isinstance(rate, (np.ndarray, np.generic, torch.Tensor)) and rate.ndim == 0 else rate
    if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number):
        raise MediaError(f"A sampling rate must be a number of samples per second, but {rate!r} was given.")
    if not 1 <= float(number) <= HIGHEST_RATE:
        raise MediaError(f"A sampling rate must be positive, from 1 to {HIGHEST_RATE} Hz, but {rate!r} was given.")
    return round(float(number))


def resample_audio(audio: Any, rate: Any, target_rate: int) -> np.ndarray:
    """Mixes (S,), (channels, S) or (S, channels) sound down to mono and resamples it: (S',) float32.

    Integers are scaled to [-1, 1): by their type, unsigned ones about its middle. Integers of 64 bits, as Python's
    lists become, are samples of 16 bits.

    Raises:
        MediaError: if the array is not one- or two-dimensional, holds no real numbers, or the rate is none.
    """
    rate = checked_rate(rate)
    audio = _scaled(as_array(audio))
    if audio.ndim == 2 and audio.size:
        audio = audio.mean(axis=0 if audio.shape[0] <= audio.shape[1] else 1)
    if audio.ndim != 1 and audio.size:
        raise MediaError(f"Sound must be (samples,) or (channels, samples), but its shape is {audio.shape}.")
    audio = np.ascontiguousarray(audio if audio.size else audio.reshape(-1), dtype=np.float32)
    if rate == target_rate or audio.size == 0:
        return audio
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target_rate)
    frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
    frame.sample_rate = rate
    if not np.isfinite(audio).all():  # it stays so, but the resampler would spread it
        return audio
    pieces = [piece.to_ndarray()[0] for piece in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces)[: round(audio.size * target_rate / rate)]


def _scaled(audio: np.ndarray) -> np.ndarray:
    """Samples of any type as floats, full scale at 1."""
    if audio.dtype.kind == "f":
        return audio
    if audio.dtype.kind not in "iu":
        raise MediaError(f"Sound must be an array of floats or integers, but its dtype is {audio.dtype}.")
    if audio.dtype.itemsize == 8:
        largest = max(int(audio.max(initial=0)), -int(audio.min(initial=0)))
        if largest > 1 << 15:
            raise MediaError(
                f"Sound of 64-bit integers must be samples of 16 bits, but one is {largest}. "
                "Give int16, int32, or floats in [-1, 1]."
            )
        audio = audio.clip(-(1 << 15), (1 << 15) - 1).astype(np.int16)
    full = float(1 << (8 * audio.dtype.itemsize - 1))
    samples: np.ndarray = audio.astype(np.float64 if audio.dtype.itemsize > 2 else np.float32)
    return (samples - full if audio.dtype.kind == "u" else samples) / full
