# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a video, a sound or a picture onto one clock: pictures on the grid i / fps, mono sound from the same zero.

Decoding is PyAV's alone. Every picture and sound is placed by its own timestamp minus *one* origin for the file, so
that a late stream, a gap or a variable frame rate cannot shift what is heard against what is seen. The origin is the
earlier of the first picture and the first sound. Files are opened as file objects, with the demuxers that we accept
and no protocol, so that a playlist dressed as a video opens nothing else.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import numpy as np
import torch

from .media_sources_favor import (
    MAX_PIXELS,
    MediaError,
    MediaSource,
    is_image,
    load_image,
    open_source,
    resize_frames,
)

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,flv,avi,asf,ogg,gif,h264,hevc,ivf,m4v,"
    "wav,w64,mp3,flac,aac,ac3,aiff,au,caf,amr,wv"
)
ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: cover art, which is no video
CODEC_PADDING = 0.1  # seconds of sound before and after the pictures that come from the codec, not from the scene
ROUNDING = 0.002  # seconds; mkv and webm keep milliseconds, so that times and durations are a little off
GAP_TOLERANCE = 0.02  # seconds of timestamp jitter that are no gap; one audio encoder vector
SEEK_MARGIN = 2.0  # seconds decoded before `start`, so that the sound decoder has settled
MAX_FRAMES = 7200  # one hour at 2 Hz
MAX_CLIP_BYTES = 1 << 32
MAX_DECODE_ERRORS = 1000


@dataclass
class MediaClip:
    """A decoded file, or a part of one, with one time zero for both streams.

    Attributes:
        frames (`np.ndarray` of shape (T, H, W, 3), uint8, or None): picture i is the one shown at `frame_times[i]`.
        frame_times (`np.ndarray` of shape (T,), float64, or None): i / fps, in seconds from the clip's start.
        audio (`np.ndarray` of shape (S,), float32, or None): mono sound in [-1, 1], from the clip's start.
        sampling_rate (`int`): of `audio`, in Hz.
        duration (`float`): seconds; 0.0 for a still picture.
        still (`bool`): True for a picture file.
    """

    frames: np.ndarray | None
    frame_times: np.ndarray | None
    audio: np.ndarray | None
    sampling_rate: int
    duration: float
    still: bool = False


@dataclass(frozen=True)
class _Request:
    """The arguments of `load_media`, checked."""

    fps: float
    start: float
    end: float | None
    size: tuple[int, int] | None
    with_audio: bool
    with_frames: bool
    sampling_rate: int
    max_frames: int


def load_media(
    source: MediaSource,
    fps: float = 2.0,
    start: float | None = None,
    end: float | None = None,
    *,
    size: dict[str, int] | tuple[int, int] | None = None,
    with_audio: bool = True,
    with_frames: bool = True,
    sampling_rate: int = 16000,
    max_frames: int = MAX_FRAMES,
) -> MediaClip:
    """Decodes a video, a sound or a picture.

    A clip of `duration` seconds has `ceil(duration * fps)` pictures; the one at time g is the last whose timestamp is
    not after g (before the first picture: the first). Where there is no sound there is silence. Sound that outlasts
    the picture by less than 0.1 s (whole codec frames) is cut; else the duration is the longer stream's. A video that
    exceeds the grid by less than 2 ms (rounded timestamps) ends on it.

    Args:
        source (path, bytes, binary file object or base64 `data:` URL): nothing is downloaded.
        fps (`float`): pictures a second.
        start, end (`float`, *optional*): seconds from the file's first picture or sound; `start` is the clip's zero.
        size (`{"height", "width"}` or (height, width), *optional*): resize the pictures while decoding, which bounds
            memory; without it they keep the size of the first one.
        with_audio, with_frames (`bool`): leave a stream out. The other one's times do not change.
        sampling_rate (`int`): of the returned sound, in Hz.
        max_frames (`int`): the limit for pictures, and (divided by fps) for seconds of sound.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if the source is no media file, has no stream that was asked for, is longer than `max_frames`
            allows, or `start` and `end` do not lie in it.

    Warns when packets could not be decoded; what did decode is returned.
    """
    request = _check_request(fps, start, end, size, with_audio, with_frames, sampling_rate, max_frames)
    with open_source(source) as (file, name):
        if is_image(file):
            return _load_still(file, name, request)
        with _media_errors(name):
            return _decode(file, name, request)


def _check_request(fps, start, end, size, with_audio, with_frames, sampling_rate, max_frames) -> _Request:
    if not (math.isfinite(fps) and fps > 0):
        raise MediaError(f"fps must be a positive number of pictures a second, but {fps} was given.")
    start = 0.0 if start is None else float(start)
    if not (math.isfinite(start) and start >= 0) or (end is not None and not end > start):
        raise MediaError(f"start must be 0 or more and end must be after it, but start={start}, end={end} was given.")
    if not (with_audio or with_frames):
        raise MediaError("with_audio=False and with_frames=False leave nothing to load; keep one of them.")
    if isinstance(size, dict) or hasattr(size, "height"):
        size = (size["height"], size["width"])
    size = None if size is None else (int(size[0]), int(size[1]))
    return _Request(float(fps), start, end, size, with_audio, with_frames, int(sampling_rate), int(max_frames))


@contextmanager
def _media_errors(name: str) -> Iterator[None]:
    """The one place where PyAV's many exceptions become a `ValueError` that names the file."""
    try:
        yield
    except MediaError:
        raise
    except (av.FFmpegError, OSError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{name} cannot be read as media ({reason}). It must be a complete video, sound or picture file: "
            "mp4, mov, mkv, webm, avi, ts, flv, ogg, gif, wav, mp3, flac, m4a, png, jpeg or webp."
        ) from error


def _load_still(file: BinaryIO, name: str, request: _Request) -> MediaClip:
    if not request.with_frames:
        raise MediaError(f"{name} is a picture and has no sound. Give a sound or video file.")
    pixels = _resized(load_image(file, name), request.size)
    return MediaClip(pixels[None], np.zeros(1), None, request.sampling_rate, 0.0, still=True)


def _resized(pixels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resizes one (H, W, 3) uint8 picture, or leaves it as it is."""
    if size is None or pixels.shape[:2] == size:
        return pixels
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)  # (3, H, W)
    return resize_frames(tensor, *size).permute(1, 2, 0).contiguous().numpy()


class _Pictures:
    """Puts decoded pictures on the time grid; converts only those that the grid shows."""

    def __init__(self, request: _Request, stream: av.VideoStream, name: str):
        self.request, self.name = request, name
        self.frame_seconds = float(1 / stream.average_rate) if stream.average_rate else 0.0
        self.frames: list[np.ndarray] = []
        self.current: av.VideoFrame | None = None
        self.pixels: np.ndarray | None = None
        self.time = -math.inf
        self.end_time = 0.0

    def add(self, frame: av.VideoFrame, time: float | None) -> None:
        """Takes the next picture, shown from `time` (seconds from the clip's start) on."""
        if frame.width * frame.height > MAX_PIXELS:
            raise MediaError(f"{self.name} has a {frame.width} x {frame.height} picture; at most {MAX_PIXELS} pixels.")
        time = self.end_time if time is None else time
        if time < self.time:
            return
        if self.current is not None:
            self._show_until(time)
        self.current, self.pixels, self.time = frame, None, time
        seconds = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self.frame_seconds
        self.end_time = max(self.end_time, time + seconds)

    def _show_until(self, time: float) -> None:
        if self.request.end is not None:
            time = min(time, self.request.end - self.request.start)
        while len(self.frames) / self.request.fps < time - ROUNDING:
            self._show()

    def _show(self) -> None:
        if self.pixels is None and self.current is not None:
            pixels = np.rot90(self.current.to_ndarray(format="rgb24"), k=round(self.current.rotation / 90) % 4)
            size = self.request.size or (self.frames[0].shape[:2] if self.frames else None)
            self.pixels = np.ascontiguousarray(_resized(pixels, size))
        if self.pixels is None:
            raise MediaError(f"{self.name} has no picture that could be decoded.")
        if len(self.frames) >= self.request.max_frames or len(self.frames) * self.pixels.nbytes > MAX_CLIP_BYTES:
            raise MediaError(
                f"{self.name} has more than {len(self.frames)} pictures of {self.pixels.shape[:2]} at "
                f"{self.request.fps:g} Hz. Choose a part by start and end, lower fps, give size, or raise max_frames."
            )
        self.frames.append(self.pixels)

    def finish(self, duration: float) -> np.ndarray:
        """Fills the grid up to `duration` with the last picture: (T, H, W, 3) uint8."""
        count = max(1, math.ceil(duration * self.request.fps - 1e-6))
        while len(self.frames) < count:
            self._show()
        return np.stack(self.frames[:count])


class _Sound:
    """Resamples decoded sound to mono and places it by timestamp, with silence in the gaps."""

    def __init__(self, request: _Request, name: str):
        self.request, self.name = request, name
        self.resampler: av.AudioResampler | None = None
        self.signature: tuple | None = None
        self.segments: list[tuple[float, list[np.ndarray]]] = []
        self.end_time = 0.0

    def add(self, frame: av.AudioFrame, time: float | None) -> None:
        """Takes the next piece of sound, heard from `time` (seconds from the clip's start) on."""
        time = self.end_time if time is None else time
        end_time = time + frame.samples / frame.sample_rate
        if end_time <= 0:
            return
        limit = self.request.max_frames / self.request.fps
        if self.request.end is None and end_time > limit + 1.0:
            raise MediaError(
                f"{self.name} has more than {limit:g} s of sound. Choose a part by start and end, or raise max_frames."
            )
        signature = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self.resampler is None or signature != self.signature or abs(time - self.end_time) > GAP_TOLERANCE:
            self._close_segment()
            self.resampler = av.AudioResampler(format="flt", layout="mono", rate=self.request.sampling_rate)
            self.signature = signature
            self.segments.append((time, []))
            self.end_time = time
        frame.pts = None  # placed here already; with timestamps the resampler would move samples by itself
        self.segments[-1][1].extend(piece.to_ndarray()[0] for piece in self.resampler.resample(frame))
        self.end_time += frame.samples / frame.sample_rate

    def _close_segment(self) -> None:
        if self.resampler is not None:
            self.segments[-1][1].extend(piece.to_ndarray()[0] for piece in self.resampler.resample(None))
            self.resampler = None

    def finish(self, duration: float) -> np.ndarray:
        """Lays the segments out on `duration` seconds: (S,) float32. Where two overlap, the earlier one is heard."""
        self._close_segment()
        audio = np.zeros(round(duration * self.request.sampling_rate), dtype=np.float32)
        filled = 0
        for time, pieces in self.segments:
            if not pieces:
                continue
            samples = np.concatenate(pieces)
            position = round(time * self.request.sampling_rate)
            first = max(filled, position)
            samples = samples[first - position :][: max(0, len(audio) - first)]
            audio[first : first + len(samples)] = samples
            filled = max(filled, first + len(samples))
        return audio


def _open(file: BinaryIO) -> av.container.InputContainer:
    file.seek(0)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS)}
    return av.open(file, mode="r", options=options, metadata_errors="replace")


def _streams(container: av.container.InputContainer) -> tuple[av.VideoStream | None, av.AudioStream | None]:
    """The first real video stream and the first sound stream."""
    videos = [stream for stream in container.streams.video if not int(stream.disposition) & ATTACHED_PICTURE]
    for stream in videos[:1]:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return next(iter(videos), None), next(iter(container.streams.audio), None)


def _seconds(frame: Any) -> float | None:
    return None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)


def _find_origin(file: BinaryIO) -> float:
    """The file's time zero: the timestamp of the first picture or the first sound, whichever is earlier.

    Sound that leads the picture by less than `CODEC_PADDING` is an encoder's priming: then it is the first picture.
    Decodes one frame of each stream only. Both streams count even if one is not wanted, so that muting moves nothing.
    """
    first: dict[str, float] = {}
    with _open(file) as container:
        waiting = {stream.index: stream for stream in _streams(container) if stream is not None}
        for packet in container.demux(list(waiting.values())):
            if packet.stream.index not in waiting:
                continue
            try:
                times = [time for time in map(_seconds, packet.decode()) if time is not None]
            except av.FFmpegError:
                continue
            if times:
                first[packet.stream.type] = times[0]
                del waiting[packet.stream.index]
            if not waiting:
                break
    earliest = min(first.values(), default=0.0)
    picture = first.get("video", earliest)
    return picture if picture - earliest < CODEC_PADDING else earliest


def _decode(file: BinaryIO, name: str, request: _Request) -> MediaClip:
    origin = _find_origin(file)
    if request.start > 2 * SEEK_MARGIN:
        pictures, sound, arrived = _decode_streams(file, name, request, origin, seek=True)
        if arrived:
            return _assemble(name, request, pictures, sound)
    pictures, sound, _ = _decode_streams(file, name, request, origin, seek=False)
    return _assemble(name, request, pictures, sound)


def _decode_streams(
    file: BinaryIO, name: str, request: _Request, origin: float, seek: bool
) -> tuple[_Pictures | None, _Sound | None, bool]:
    """One pass over the packets. The flag tells whether a seek landed before `start` in every stream."""
    zero = origin + request.start
    stop = math.inf if request.end is None else request.end - request.start
    with _open(file) as container:
        video, audio = _streams(container)
        if video is None and audio is None:
            raise MediaError(f"{name} has neither a picture nor a sound stream. Give a video, sound or picture file.")
        pictures = _Pictures(request, video, name) if video is not None and request.with_frames else None
        sound = _Sound(request, name) if audio is not None and request.with_audio else None
        tracks: dict[int, Any] = {
            stream.index: track
            for stream, track in ((video, pictures), (audio, sound))
            if stream is not None and track is not None
        }
        if not tracks:
            missing = "picture" if request.with_frames else "sound"
            raise MediaError(f"{name} has no {missing} stream, and the other one was not asked for.")
        if seek:
            try:
                container.seek(int((zero - SEEK_MARGIN) * av.time_base))
            except av.FFmpegError:
                return pictures, sound, False
        arrived = dict.fromkeys(tracks, False)
        finished: set[int] = set()
        with _counted_errors(name) as count_error:
            for index, frame in _frames(container, [container.streams[index] for index in tracks], count_error):
                time = _seconds(frame)
                time = None if time is None else time - zero
                arrived[index] = arrived[index] or (time is not None and time <= 0)
                if time is not None and time >= stop:
                    finished.add(index)
                tracks[index].add(frame, time)
                if len(finished) == len(tracks) or (seek and not any(arrived.values())):
                    break
    return pictures, sound, all(arrived.values())


@contextmanager
def _counted_errors(name: str):
    """Yields a function that counts a damaged packet; warns once, with the number, at the end."""
    count = 0

    def add() -> None:
        nonlocal count
        count += 1
        if count > MAX_DECODE_ERRORS:
            raise MediaError(f"{name} is damaged: more than {MAX_DECODE_ERRORS} packets cannot be decoded.")

    yield add
    if count:
        packets = "1 packet" if count == 1 else f"{count} packets"
        warnings.warn(f"{name} is damaged: {packets} could not be decoded and were left out.", stacklevel=2)


def _frames(container, streams, count_error) -> Iterator[tuple[int, av.VideoFrame | av.AudioFrame]]:
    """Decodes packet by packet; a packet that fails is counted and passed over, a broken container ends the file."""
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            count_error()
            packet = None
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.EOFError:
            continue
        except av.FFmpegError:
            count_error()
            continue
        for frame in frames:
            yield packet.stream.index, frame


def _assemble(name: str, request: _Request, pictures: _Pictures | None, sound: _Sound | None) -> MediaClip:
    if pictures is not None and pictures.current is None:
        pictures = None
    if sound is not None and not sound.segments:
        sound = None
    if pictures is None and sound is None:
        raise MediaError(f"Nothing of {name} from {request.start:g} s on could be decoded. Check start and the file.")
    picture_end = pictures.end_time if pictures is not None else 0.0
    sound_end = sound.end_time if sound is not None else 0.0
    duration = max(picture_end, sound_end)
    if pictures is not None and duration - picture_end < CODEC_PADDING:
        duration = picture_end
    if pictures is not None and 0 < duration % (1 / request.fps) < ROUNDING:
        duration -= duration % (1 / request.fps)
    if request.end is not None:
        duration = min(duration, request.end - request.start)
    if duration <= 0:
        raise MediaError(f"{name} ends before start={request.start:g} s. Choose an earlier start.")
    frames = None if pictures is None else pictures.finish(duration)
    return MediaClip(
        frames=frames,
        frame_times=None if frames is None else np.arange(len(frames)) / request.fps,
        audio=None if sound is None else sound.finish(duration),
        sampling_rate=request.sampling_rate,
        duration=duration,
    )
