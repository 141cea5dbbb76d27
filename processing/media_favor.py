# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a video, a sound or a picture onto one clock: pictures on the grid i / fps, mono sound from the same zero.

Every picture and sound is placed by its own timestamp minus *one* origin for the file, so that a late stream, a gap or
a variable frame rate cannot shift what is heard against what is seen. The origin is the earlier of the first picture
and the first sound. `iterate_media` hands a clip out in pieces of bounded memory; `load_media` joins them.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal

import numpy as np

from .animations_favor import AnimationCursor
from .clock_breaks_favor import common_end, common_origin
from .media_container_favor import media_errors
from .media_limits_favor import DamageReport, MediaError, MediaLimits, to_limits
from .media_sources_favor import MediaSource, open_source
from .media_truncation_favor import joined_films, missing_bytes
from .packet_selection_favor import UntrustedTimestamps
from .picture_track_favor import ROUNDING, PictureTrack, TimeGrid, kept_steps, resized
from .pictures_favor import animation_format, is_picture_file, load_image
from .sound_track_favor import JITTER, SoundTrack
from .stream_cursor_favor import MediaFile, StreamCursor

SETTLED = 0.2  # seconds beyond a piece's end that must be decoded before it is final; above CODEC_PADDING
COLLECT_SECONDS = 10.0
PROBE_SECONDS = 1.0  # of a file whose kind is asked


@dataclass
class MediaClip:
    """A decoded file, or a part of one, with one time zero for both streams.

    Attributes:
        frames (`np.ndarray` of shape (T, H, W, 3), uint8, or None): picture i is the one shown at `frame_times[i]`.
        frame_times (`np.ndarray` of shape (T,), float64, or None): in seconds from the clip's start; i / fps, less the
            steps that were thinned out, or `num_frames` uniform times.
        audio (`np.ndarray` of shape (S,), float32, or None): mono sound in [-1, 1], from the clip's start.
        sampling_rate (`int`): of `audio`, in Hz.
        duration (`float`): seconds that pictures and sound last; 0.0 for a still picture.
        still (`bool`): True for a picture file.
        start (`float`): of a piece of `iterate_media`, in seconds from the clip's start.
    """

    frames: np.ndarray | None
    frame_times: np.ndarray | None
    audio: np.ndarray | None
    sampling_rate: int
    duration: float
    still: bool = False
    start: float = 0.0


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
    long_video: str
    num_frames: int | None
    on_error: str
    limits: MediaLimits
    video_track: int | None
    audio_track: int | None
    decode_threads: int

    @classmethod
    def checked(cls, *, start: Any, size: Any, media_limits: Any, max_frames: Any, **others: Any) -> "_Request":
        """Makes a request of the arguments, all by name.

        Raises:
            ValueError: if one is out of range.
        """
        if isinstance(size, Mapping) or hasattr(size, "height"):
            size = (size["height"], size["width"])
        size = None if size is None else (int(size[0]), int(size[1]))
        start = 0.0 if start is None else float(start)
        request = cls(start=start, size=size, limits=to_limits(media_limits, max_frames), **others)
        request._check()
        return request

    def _check(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise MediaError(f"fps must be a positive number of pictures per second, but {self.fps} was given.")
        if not (math.isfinite(self.start) and self.start >= 0) or (self.end is not None and not self.end > self.start):
            raise MediaError(
                f"start must be 0 or more and end must be after it, but start={self.start}, end={self.end} was given."
            )
        if not (self.with_audio or self.with_frames):
            raise MediaError("with_audio=False and with_frames=False leave nothing to load; keep one of them.")
        for name, choices in (("long_video", ("error", "thin")), ("on_error", ("raise", "warn"))):
            if getattr(self, name) not in choices:
                raise MediaError(f'{name} must be "{choices[0]}" or "{choices[1]}", not {getattr(self, name)!r}.')
        for name in ("sampling_rate", "num_frames", "decode_threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise MediaError(f"{name} must be at least 1, but {getattr(self, name)} was given.")
        if self.num_frames is not None:
            self.limits.check("max_frames", self.num_frames, f"num_frames={self.num_frames} pictures were asked for")

    @property
    def stop(self) -> float:
        """The clip's length if `end` tells it, else infinity."""
        return math.inf if self.end is None else self.end - self.start


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
    max_frames: int | None = None,
    long_video: str = "error",
    num_frames: int | None = None,
    on_error: str = "raise",
    media_limits: MediaLimits | Mapping[str, Any] | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    decode_threads: int = 1,
) -> MediaClip:
    """Decodes a video, a sound or a picture.

    A clip of `duration` seconds has `ceil(duration * fps)` pictures; the one at time g is the last whose timestamp is
    not after g (before the first picture: the first). Where there is no sound there is silence. Sound that outlasts
    the picture by less than 0.1 s (whole codec frames) is cut; else the duration is the longer stream's. A video that
    exceeds the grid by less than 2 ms (rounded timestamps) ends on it.

    Args:
        source (path, bytes, binary file object or base64 `data:` URL): nothing is downloaded.
        fps (`float`): pictures per second.
        start, end (`float`, *optional*): seconds from the file's first picture or sound; `start` is the clip's zero.
        size (`{"height", "width"}` or (height, width), *optional*): resize the pictures while decoding, which bounds
            memory; without it they keep the size of the first one.
        with_audio, with_frames (`bool`): leave a stream out. The other one's times do not change.
        sampling_rate (`int`): of the returned sound, in Hz.
        max_frames (`int`, *optional*): the limit for pictures, and (divided by fps) for seconds of sound; that of
            `media_limits` by default.
        long_video (`"error"` or `"thin"`): what happens to a clip with more than `max_frames` time steps of 1 / fps
            seconds. `"thin"` keeps `max_frames` steps, uniformly spaced, each with its picture *and its sound*, and
            drops the others: `frame_times` tells which are left, and `audio` is their sound joined.
        num_frames (`int`, *optional*): that many pictures, uniformly spaced over the clip, instead of the grid; the
            whole sound is kept. The two are then no longer synchronised by their index.
        on_error (`"raise"` or `"warn"`): what a truncated or corrupt file does. `"warn"` uses what decodes.
        media_limits (`MediaLimits` or `dict`, *optional*): bounds on what the file may cost.
        video_track, audio_track (`int`, *optional*): which stream of its kind, from 0; the default one, or the first.
        decode_threads (`int`): of the picture decoder; more save wall time on large pictures, and cost memory.

    Raises:
        FileNotFoundError: if the path does not exist.
        MediaLimitError: if the file exceeds a bound; the message names it.
        DamagedMediaError: if the file is truncated or corrupt, with `on_error="raise"`.
        MediaError: (a ValueError, and the base of these two) if the source is no media file, has no stream that was
            asked for, or `start` and `end` do not lie in it.

    Warns, with `on_error="warn"`, about what could not be decoded.
    """
    request = _Request.checked(
        fps=fps,
        start=start,
        end=end,
        size=size,
        with_audio=with_audio,
        with_frames=with_frames,
        sampling_rate=sampling_rate,
        max_frames=max_frames,
        long_video=long_video,
        num_frames=num_frames,
        on_error=on_error,
        media_limits=media_limits,
        video_track=video_track,
        audio_track=audio_track,
        decode_threads=decode_threads,
    )
    pieces = _iterate(source, request, COLLECT_SECONDS)
    return _join(pieces, request)


def media_kind(
    source: MediaSource,
    on_error: str = "raise",
    media_limits: MediaLimits | Mapping[str, Any] | None = None,
    load: Callable[..., MediaClip] = load_media,
) -> Literal["video", "image", "audio"]:
    """What a file holds, by the content of its first second; a video may have sound.

    With `on_error="warn"` a damaged file is judged by what can be decoded; reading it warns. `media_limits` are those
    of `load_media`; `load` decodes: `load_media`, or what takes the same arguments.

    Raises:
        MediaError: if the file is no media, damaged, or beyond a bound.
    """
    with warnings.catch_warnings():
        if on_error == "warn":  # whoever reads the file warns of the same
            warnings.simplefilter("ignore")
        clip = load(source, end=PROBE_SECONDS, size=(16, 16), on_error=on_error, media_limits=media_limits)
    if clip.still:
        return "image"
    return "audio" if clip.frames is None else "video"


def iterate_media(
    source: MediaSource, fps: float = 2.0, chunk_seconds: float = 10.0, **options: Any
) -> Iterator[MediaClip]:
    """Decodes a file as `load_media` does, but hands it out in pieces of `chunk_seconds`, in memory that stays flat.

    Joined, the pieces' `frames`, `frame_times` and `audio` are exactly those of `load_media` with the same arguments.
    Times are in seconds from the whole clip's start; a piece's own is `start`. A still picture is one piece.

    Args:
        source, fps: as for `load_media`.
        chunk_seconds (`float`): length of a piece; the last one's may differ.
        options: every other argument of `load_media`.

    Raises:
        ValueError: as `load_media` does, when the piece concerned is reached.
    """
    if not (math.isfinite(chunk_seconds) and chunk_seconds > 0):
        raise MediaError(f"chunk_seconds must be a positive number of seconds, but {chunk_seconds} was given.")
    defaults = {**(load_media.__kwdefaults__ or {}), "start": None, "end": None}
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        raise TypeError(f"iterate_media has no argument {', '.join(unknown)}.")
    return _iterate(source, _Request.checked(fps=fps, **{**defaults, **options}), chunk_seconds)


def _iterate(source: MediaSource, request: _Request, chunk_seconds: float) -> Iterator[MediaClip]:
    with open_source(source, request.limits) as (file, name):
        damage = DamageReport(name, request.on_error, request.limits)
        with media_errors(name):
            animation = animation_format(file, name, request.limits) if is_picture_file(file) else None
            if animation is None and is_picture_file(file):
                yield _load_still(file, name, request)
                return
            missing = missing_bytes(file)
            films = joined_films(file)
            damage.unread = f"only the first of {films} is read" if films > 1 else ""
        with media_errors(name, missing):
            done = 0
            # First only what is shown is decoded; should timestamps prove wrong in doing so, everything.
            for selective in (True, False):
                video, audio = _open_cursors(file, request, damage, missing, animation)
                try:
                    pieces = _Decoding(video, audio, request, damage, selective).pieces(chunk_seconds)
                    for number, piece in enumerate(pieces):
                        if number >= done:  # the others were handed out the first time, and are the same
                            done = number + 1
                            # What the caller does with a piece is not decoding time.
                            with damage.paused():
                                yield piece
                    break
                except UntrustedTimestamps:  # once more from the start, every picture decoded
                    damage.reset()
        damage.warn()


def _open_cursors(
    file: BinaryIO, request: _Request, damage: DamageReport, missing: int, animation: str | None
) -> tuple[StreamCursor | AnimationCursor, StreamCursor | None]:
    """One cursor for the pictures, and one for the sound; `animation` is Pillow's name of a format without any."""
    if animation is not None and animation != "GIF":  # FFmpeg reads GIF, and its decoder keeps to our bounds
        if request.video_track or request.audio_track is not None:
            raise MediaError(f"{damage.name} is an animation with one video track, 0, and no audio track.")
        return AnimationCursor(file, damage), None
    source = MediaFile(file, damage, missing, request.video_track, request.audio_track)
    video = StreamCursor(source, "video", request.decode_threads)
    try:
        return video, StreamCursor(source, "audio")
    except BaseException:
        video.close()
        raise


def _load_still(file: BinaryIO, name: str, request: _Request) -> MediaClip:
    if not request.with_frames:
        raise MediaError(f"{name} is a picture and has no sound. Give a sound or video file.")
    pixels = resized(load_image(file, name, request.limits), request.size)
    return MediaClip(pixels[None], np.zeros(1), None, request.sampling_rate, 0.0, still=True)


class _Decoding:
    """One file being decoded: a cursor and a track for pictures, another pair for sound.

    Args:
        video (`StreamCursor` or `AnimationCursor`), audio (`StreamCursor`, *optional*): closed at the end.
        request (`_Request`), damage (`DamageReport`): how to read them, and where to report.
        selective (`bool`): skip pictures that are not shown.
    """

    def __init__(
        self,
        video: StreamCursor | AnimationCursor,
        audio: StreamCursor | None,
        request: _Request,
        damage: DamageReport,
        selective: bool,
    ):
        self.video, self.request, self.damage, self.selective = video, request, damage, selective
        self.audio = audio if audio is not None and audio.found else None
        self._cursors = [cursor for cursor in (video, audio) if cursor is not None]
        self.name = damage.name
        self.origin = 0.0
        self.grid = TimeGrid(request.fps)
        self.pictures: PictureTrack | None = None
        self.sound: SoundTrack | None = None
        self.kept_steps: np.ndarray | None = None  # of 1 / fps seconds, where a long clip is thinned
        self.shown = self.heard = 0  # pictures and samples handed out

    def pieces(self, chunk_seconds: float) -> Iterator[MediaClip]:
        """Decodes the file, piece by piece."""
        try:
            self._check_streams()
            self.origin = self._find_origin()
            duration = self._planned_duration()
            self._make_tracks(duration)
            running = self._start_cursors()
            number = 0
            while running:
                boundary = (number + 1) * chunk_seconds
                for track in list(running):
                    if not self._advance(track, running[track], boundary + SETTLED):
                        del running[track]
                if running:
                    yield self._piece(number * chunk_seconds, boundary, self.grid.before(boundary))
                    number += 1
            duration = self._duration()
            count = max(1, self.grid.before(duration)) if self.grid.times is None else len(self.grid.times)
            yield self._piece(number * chunk_seconds, duration, count)
        finally:
            for cursor in (*self._cursors, self.video, self.audio):
                if cursor is not None:
                    cursor.close()

    def _check_streams(self) -> None:
        request = self.request
        for cursor, kind in zip(self._cursors, ("picture", "sound"), strict=False):
            wanted = request.with_frames if kind == "picture" else request.with_audio
            if wanted and cursor.unknown_codec is not None:
                self.damage.add_unknown_codec(kind, cursor.unknown_codec)
        if not self.video.found and self.audio is None:
            raise MediaError(
                f"{self.name} has neither a picture nor a sound stream that can be decoded. "
                "Give a video, sound or picture file."
            )
        seen = self.video.found and request.with_frames
        heard = self.audio is not None and request.with_audio
        if not seen and not heard:
            missing = "picture" if request.with_frames else "sound"
            raise MediaError(f"{self.name} has no {missing} stream, and the other one was not asked for.")

    def _find_origin(self) -> float:
        """The file's time zero, of its first picture and its first sound.

        Both streams count even if one is not wanted, so that muting moves nothing.
        """
        return common_origin(self.video.first_time(), self.audio.first_time() if self.audio is not None else None)

    def _planned_duration(self) -> float | None:
        """The clip's length by the packets' timestamps, where the pictures to show depend on it."""
        request = self.request
        if request.num_frames is None and request.long_video != "thin":
            return None
        zero = self.origin + request.start
        picture_end = sound_end = 0.0
        seen = self.video.found and request.with_frames
        if seen:
            picture_end = self.video.end() - zero
        if self.audio is not None and request.with_audio:
            sound_end = self.audio.end() - zero
        return _clip_duration(picture_end, sound_end, seen, request)

    def _make_tracks(self, duration: float | None) -> None:
        request, limits = self.request, self.request.limits
        max_seconds = limits.max_frames / request.fps
        if duration is not None:
            limits.check("max_duration", duration, f"{self.name} lasts {duration:.1f} s", "Choose start and end,")
            steps = math.ceil(duration * request.fps - 1e-6)
            if request.num_frames is not None:
                times = np.arange(request.num_frames) * max(duration, 0.0) / request.num_frames
                self.grid = TimeGrid(request.fps, times)
                max_seconds = limits.max_duration
            elif steps > limits.max_frames:
                self.kept_steps = kept_steps(steps, limits.max_frames)
                self.grid = TimeGrid(request.fps, self.kept_steps / request.fps)
                max_seconds = limits.max_duration
        if self.video.found and request.with_frames:
            seconds = self.video.frame_seconds
            self.pictures = PictureTrack(self.grid, request.size, request.stop, seconds, self.name, limits)
        if self.audio is not None and request.with_audio:
            self.sound = SoundTrack(
                request.sampling_rate, request.stop, max_seconds, self.damage, alone=not self.video.found
            )

    def _start_cursors(self) -> dict[Any, Iterator]:
        """Places the cursors at the clip's start; each track with its decoded frames."""
        running: dict[Any, Iterator] = {}
        if self.pictures is not None:
            self.video = self.video.started(self.origin, self.request.start)
            if self.selective:
                self.video.choose(self.grid, self.request.stop)
            running[self.pictures] = self.video.frames()
        if self.sound is not None and self.audio is not None:
            self.audio = self.audio.started(self.origin, self.request.start)
            running[self.sound] = self.audio.frames()
        return running

    def _advance(self, track: PictureTrack | SoundTrack, frames: Iterator, until: float) -> bool:
        """Decodes one stream until its track has passed `until`; False at the end of the stream or clip."""
        late = JITTER if isinstance(track, SoundTrack) else 0.0
        for frame, time in frames:
            if time is not None and time < self.request.stop:
                what = f"{self.name} goes on after {time:.1f} s"
                self.request.limits.check("max_duration", time, what, "Choose a part by start and end,")
            track.add(frame, time)
            if time is not None and time >= self.request.stop + late:
                break
            if track.time >= until:
                return True
        if isinstance(track, SoundTrack):
            track.finish()
        return False

    def _duration(self) -> float:
        """The clip's length, once all is decoded."""
        seen = self.pictures is not None and self.pictures.current is not None
        heard = self.sound is not None and self.sound.heard
        if not seen and not heard:
            raise MediaError(
                f"Nothing of {self.name} from {self.request.start:g} s on could be decoded. Check start and the file."
            )
        picture_end = self.pictures.end_time if self.pictures is not None and seen else 0.0
        sound_end = self.sound.end_time if self.sound is not None and heard else 0.0
        duration = _clip_duration(picture_end, sound_end, seen, self.request)
        if duration <= 0:
            raise MediaError(f"{self.name} ends before start={self.request.start:g} s. Choose an earlier start.")
        return duration

    def _piece(self, begin: float, end: float, count: int) -> MediaClip:
        """What lies between two times and was not handed out yet; `count` pictures are handed out then."""
        rate, duration = self.request.sampling_rate, end - begin
        frames = times = audio = None
        if self.pictures is not None and self.pictures.current is not None:
            frames = self.pictures.take(count)
            times = np.array([self.grid.time(index) for index in range(self.shown, count)])
        if self.sound is not None and self.sound.heard:
            audio = self.sound.take(round(end * rate))
            if self.kept_steps is not None:
                audio = _steps_sound(audio, self.heard, self.kept_steps, rate / self.grid.fps)
            self.heard = round(end * rate)
        if self.kept_steps is not None:
            duration = (count - self.shown) / self.grid.fps
        self.shown = count
        return MediaClip(frames, times, audio, rate, duration, start=begin)


def _steps_sound(audio: np.ndarray, begin: int, steps: np.ndarray, step_samples: float) -> np.ndarray:
    """Of (S,) samples from number `begin` on, those that lie in the time steps `steps`."""
    edges = np.rint(np.stack([steps, steps + 1]) * step_samples).astype(int) - begin  # (2, steps)
    first, last = edges.clip(0, len(audio))
    return np.concatenate([audio[:0], *(audio[a:b] for a, b in zip(first, last, strict=True) if a < b)])


def _clip_duration(picture_end: float, sound_end: float, seen: bool, request: _Request) -> float:
    """The clip's length, of where its streams end: see `load_media`."""
    duration = common_end(picture_end, sound_end) if seen else sound_end
    # Rounded timestamps may end a hair after the grid, and add a time step, too.
    if seen and 0 < duration % (1 / request.fps) < ROUNDING:
        duration -= duration % (1 / request.fps)
    return min(duration, request.stop)


class _GrowingArray:
    """Rows joined one after another; grows in place, so that nothing is held twice."""

    def __init__(self) -> None:
        self.rows: np.ndarray | None = None

    def append(self, rows: np.ndarray | None) -> None:
        """Adds rows; None adds nothing."""
        if rows is None:
            return
        if self.rows is None:
            self.rows = np.array(rows)
            return
        count = len(self.rows)
        # refcheck: numpy counts a debugger's references, but none of ours outlives a call.
        self.rows.resize((count + len(rows), *self.rows.shape[1:]), refcheck=False)
        self.rows[count:] = rows


def _join(pieces: Iterator[MediaClip], request: _Request) -> MediaClip:
    frames, times, audio = _GrowingArray(), _GrowingArray(), _GrowingArray()
    duration, last = 0.0, None
    for piece in pieces:
        if frames.rows is not None and piece.frames is not None:
            size = frames.rows.nbytes + piece.frames.nbytes
            remedy = "Choose a part by start and end, lower fps, give size,"
            request.limits.check("max_clip_bytes", size, f"The clip's pictures have {size} bytes or more", remedy)
        frames.append(piece.frames)
        times.append(piece.frame_times)
        audio.append(piece.audio)
        duration, last = duration + piece.duration, piece
    if last is None:
        raise MediaError("The file has no picture and no sound.")
    return replace(last, frames=frames.rows, frame_times=times.rows, audio=audio.rows, duration=duration, start=0.0)
