# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Opens media files safely, and picks streams in them.

Containers are opened as file objects with the demuxers that we accept and no protocol, so that a playlist dressed as a
video opens nothing else.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av

from .media_limits_favor import DamagedMediaError, MediaError, MediaLimits

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,flv,avi,asf,ogg,gif,h264,hevc,ivf,m4v,"
    "wav,w64,mp3,flac,aac,ac3,aiff,au,caf,amr,wv"
)
ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: cover art, which is no video
DEFAULT_TRACK = 0x1  # AV_DISPOSITION_DEFAULT
HEIF_SEQUENCES = ("msf1", "hevc", "hevx")
TRACK_HEADERS = 1 << 20  # bytes at the start of a Matroska file in which its tracks are described
FARTHEST = 1 << 43  # bytes from a file's start; seeking farther fails on usual file systems
READABLE = "mp4, mov, mkv, webm, avi, ts, flv, ogg, gif, wav, mp3, flac, m4a, png, jpeg, webp, avif or heic"


class FileView:
    """A second reading position in a binary file that somebody else holds open."""

    def __init__(self, file: BinaryIO):
        self._file, self._position = file, 0

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes."""
        self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position, and returns it; as in C, -EINVAL where no file has such a position."""
        if whence == os.SEEK_CUR:
            offset, whence = self._position + offset, os.SEEK_SET
        if whence == os.SEEK_SET and not 0 <= offset < FARTHEST:  # by a size that a broken header tells
            return -errno.EINVAL
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True


@contextmanager
def media_errors(name: str, missing: int = 0) -> Iterator[None]:
    """The one place where the exceptions of PyAV, Pillow and a caller's file object become a `MediaError`.

    Args:
        name (`str`): of the file.
        missing (`int`): bytes that the file announces but does not have.
    """
    try:
        yield
    except (MediaError, Warning):
        raise
    except Exception as error:  # whatever a caller's file object, or a broken header, leads to
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if missing:
            raise DamagedMediaError(
                f"{name} cannot be read as media ({reason}): it is truncated at 0.00 s, {missing} bytes that it "
                "announces are missing. Use a complete copy."
            ) from error
        raise MediaError(
            f"{name} cannot be read as media ({reason}). It must be a complete video, sound or picture file: "
            f"{READABLE}."
        ) from error


def open_container(file: BinaryIO, name: str, limits: MediaLimits) -> av.container.InputContainer:
    """Opens a container that can open nothing else."""
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "none",
        "max_pixels": str(limits.max_pixels),
        "max_streams": str(limits.max_tracks + 1),  # one more, so that there is something to complain about
    }
    container = av.open(FileView(file), mode="r", options=options, metadata_errors="replace")
    try:
        tracks = len(container.streams)
        limits.check("max_tracks", tracks, f"{name} has {tracks} tracks")
        for stream in container.streams.video:
            pixels = stream.codec_context.width * stream.codec_context.height if stream.codec_context else 0
            limits.check("max_pixels", pixels, f"{name} has pictures of {pixels} pixels")
    except MediaError:
        container.close()
        raise
    return container


def pick_stream(container: av.container.InputContainer, kind: str, track: int | None, name: str) -> Any:
    """The stream to use: number `track` of its kind, else the default one, else the first; None if there is none.

    Raises:
        MediaError: if there is no such track.
    """
    streams = _streams(container, kind)
    usable = [stream for stream in streams if stream.codec_context]
    if track is not None:
        if not 0 <= track < len(usable):
            raise MediaError(f"{name} has {len(usable)} {kind} tracks, but {kind}_track={track} was asked for.")
        return usable[track]
    return next((stream for stream in usable if int(stream.disposition) & DEFAULT_TRACK), next(iter(usable), None))


def unknown_codec(container: av.container.InputContainer, kind: str, file: BinaryIO) -> str | None:
    """The name of the codec that hides a file's pictures or sound, where none of its tracks of that kind is decoded.

    None if there is no such track, or one can be decoded.
    """
    streams = _streams(container, kind)
    if not streams or any(stream.codec_context for stream in streams):
        return None
    line = next((line for line in _description(container) if f"Stream #0:{streams[0].index}" in line), "")
    match = re.search(r": (?:Video|Audio): (\w+)(?:[^(,]*\((\S+) / 0x)?", line)
    codec, tag = match.groups() if match else ("none", None)
    if codec != "none":
        return codec
    if tag is None and container.format.name == "matroska,webm":
        letter = b"V" if kind == "video" else b"A"
        file.seek(0)
        element = re.search(rb"\x86([\x81-\xbf])(" + letter + rb"_[\x21-\x7e]+)", file.read(TRACK_HEADERS))
        tag = element[2][: element[1][0] & 0x7F].decode("ascii") if element else None
    return tag or "unknown"


def _description(container: av.container.InputContainer) -> list[str]:
    """FFmpeg's own lines about a container; PyAV gets them from its log, so that must let them through."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return container.dumps_format().splitlines()
    finally:
        av.logging.set_level(level)


def _streams(container: av.container.InputContainer, kind: str) -> list[Any]:
    """The streams of a kind, whether they can be decoded or not; cover art is none."""
    streams = container.streams.video if kind == "video" else container.streams.audio
    streams = [stream for stream in streams if not int(stream.disposition) & ATTACHED_PICTURE]
    # A sequence of HEIF pictures may hold stills beside its tracks, which FFmpeg shows as streams of their own.
    tracks = [stream for stream in streams if stream.duration is not None or stream.frames != 1]
    return tracks if container.metadata.get("major_brand") in HEIF_SEQUENCES and tracks else streams
