# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a processor call takes beside media and text, and which of it goes to `load_media`."""

from collections.abc import Mapping
from typing import Any

from transformers.processing_utils import ProcessingKwargs, VideosKwargs

from .media_limits_favor import MediaError, to_limits

# Arguments of `load_media` that a call, or the processor's `media_options`, may hold.
MEDIA_OPTIONS = (
    "start",
    "end",
    "max_frames",
    "long_video",
    "num_frames",
    "on_error",
    "media_limits",
    "video_track",
    "audio_track",
    "decode_threads",
)
# Arguments of the video processor that were used up when the pictures were chosen in time.
SAMPLING_KWARGS = ("fps", "video_metadata", "do_sample_frames", "return_metadata", "return_tensors", *MEDIA_OPTIONS)


class FavorVideosKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]  # mypy sees no TypedDict here
    """What a call takes for reading files; see `load_media`.

    Attributes:
        start, end (`float`): seconds; of every video and sound file of the call.
        max_frames (`int`): time steps of a clip.
        long_video (`"error"` or `"thin"`): what happens to longer ones.
        on_error (`"raise"` or `"warn"`): what damaged files do.
        media_limits (`MediaLimits` or `dict`): bounds on what a file may cost.
        video_track, audio_track (`int`): which stream of its kind.
        decode_threads (`int`): of the picture decoder.
    """

    start: float | None
    end: float | None
    max_frames: int | None
    long_video: str
    on_error: str
    media_limits: Any
    video_track: int | None
    audio_track: int | None
    decode_threads: int


class FavorProcessorKwargs(ProcessingKwargs, total=False):  # type: ignore[call-arg]  # mypy sees no TypedDict here
    """What a call takes beside media and text; the flat names of the parts' own arguments work, too.

    Attributes:
        load_audio_from_video (`bool`, defaults to `True`): use a video file's own sound.
    """

    videos_kwargs: FavorVideosKwargs
    load_audio_from_video: bool


def picture_options(images_kwargs: Mapping[str, Any], videos_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A call's options for pictures, by either name: the video processor prepares those of images and videos alike.

    Raises:
        ValueError: if the two hold different values.
    """
    images = {name: value for name, value in images_kwargs.items() if name in FavorVideosKwargs.__annotations__}
    for name in sorted(images.keys() & videos_kwargs.keys()):
        of_images, of_videos = images[name], videos_kwargs[name]
        if of_images is not of_videos and of_images != of_videos:
            raise MediaError(
                f"images_kwargs hold {name}={of_images!r} and videos_kwargs {name}={of_videos!r}, but the pictures of "
                "a call are prepared alike: give one value."
            )
    return {**images, **videos_kwargs}


def check_media_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """A processor's own defaults for `load_media`.

    Raises:
        ValueError: if a name is no option, or a bound is none.
    """
    unknown = sorted(set(options or ()) - set(MEDIA_OPTIONS))
    if unknown:
        raise MediaError(f"media_options cannot hold {', '.join(unknown)}. It may hold {', '.join(MEDIA_OPTIONS)}.")
    checked = dict(options or {})
    if checked.get("media_limits") is not None:
        to_limits(checked["media_limits"])
        if not isinstance(checked["media_limits"], Mapping):
            checked["media_limits"] = dict(vars(checked["media_limits"]))  # the processor's JSON holds no dataclass
    return checked


def merge_media_options(
    defaults: Mapping[str, Any], videos_kwargs: Mapping[str, Any], uniform_sampling: bool
) -> dict[str, Any]:
    """A call's arguments for `load_media`: its own, else the processor's defaults.

    Args:
        defaults (`dict`): the processor's `media_options`.
        videos_kwargs (`dict`): the call's.
        uniform_sampling (`bool`): whether `num_frames` may choose the pictures. It may not where picture and sound
            share time steps: there the pictures follow the clock, as the sound does.
    """
    own = {name: videos_kwargs[name] for name in MEDIA_OPTIONS if videos_kwargs.get(name) is not None}
    options = {**defaults, **own}
    if not uniform_sampling:
        options.pop("num_frames", None)
    return options


def sound_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `load_media`'s arguments that concern a file of which only the sound is read."""
    return {name: value for name, value in options.items() if name not in ("num_frames", "video_track")}
