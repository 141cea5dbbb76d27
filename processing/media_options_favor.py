# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a processor call takes beside media and text, and which of it goes to `load_media`."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch
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
# Numbers of these are whole.
WHOLE_NUMBERS = ("max_frames", "num_frames", "video_track", "audio_track", "decode_threads", "sampling_rate")
# Options of transformers' other processors that change nothing here: what they may be, and why nothing else.
REFUSED_OPTIONS: dict[str, tuple[tuple, str]] = {
    "do_center_crop": ((False,), "the whole picture is resized; crop it first"),
    "crop_size": ((), "the whole picture is resized; crop it first"),
    "do_pad": ((False,), "the whole picture is resized; pad it first"),
    "pad_size": ((), "the whole picture is resized; pad it first"),
    "default_to_square": ((True,), "size holds height and width"),
    "resample": ((3,), "pictures are resized bicubically"),
    "do_convert_rgb": ((True,), "pictures are RGB always"),
    "data_format": (("channels_first",), "pixel values are (items, F, 3, H, W)"),
    "input_data_format": ((), "the shape of an array tells its layout"),
    "return_metadata": ((False,), "media_summary tells what the inputs hold"),
    "image_seq_length": ((), "the media decide the number of tokens"),
    "load_audio_backend": ((), "sound is decoded by PyAV"),
    "raw_speech": ((), "sound is given as audio"),
}
# Of these parts' own options a call reads no others; sound of any length is kept, in chunks of the extractor's.
READ_OPTIONS = {
    "audio_kwargs": (("sampling_rate", "return_tensors"), "sound of any length is kept, in chunks"),
}


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

    start: int | float | None
    end: int | float | None
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
        ValueError: if the two hold different values, or the first holds what no picture is prepared by.
    """
    given = {name: value for name, value in images_kwargs.items() if value is not None}
    images = {name: value for name, value in given.items() if name in FavorVideosKwargs.__annotations__}
    if unread := sorted(given.keys() - images.keys()):
        raise MediaError(f"images_kwargs cannot hold {', '.join(unread)}: a video processor prepares all pictures.")
    for name in sorted(images.keys() & videos_kwargs.keys()):
        of_images, of_videos = images[name], videos_kwargs[name]
        if of_images is not of_videos and of_images != of_videos:
            raise MediaError(
                f"images_kwargs hold {name}={of_images!r} and videos_kwargs {name}={of_videos!r}, but the pictures of "
                "a call are prepared alike: give one value."
            )
    return {**images, **videos_kwargs}


def plain_numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options whose numbers are Python's: scalars of numpy and torch, fractions and decimals become them, and 10.0 a
    whole number where one belongs.
    """
    plain = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            value = plain_numbers(value)
        elif isinstance(value, (np.generic, np.ndarray, torch.Tensor)) and value.ndim == 0:
            value = value.item()
        elif isinstance(value, (Fraction, Decimal)):
            value = float(value)
        if name in WHOLE_NUMBERS and isinstance(value, float) and value.is_integer():
            value = int(value)
        plain[name] = value
    return plain


def check_call_options(options: Mapping[str, Any], kwargs_type: type) -> None:
    """Refuses what a call names but nothing reads.

    Args:
        options (`dict`): keyword arguments of a processor call.
        kwargs_type (`type`): the processor's `valid_processor_kwargs`.

    Raises:
        ValueError: for an unknown name, or one of `REFUSED_OPTIONS` that asks for what is not done.
    """
    parts = {name: part for name, part in kwargs_type.__annotations__.items() if name.endswith("_kwargs")}
    known = {name for part in parts.values() for name in getattr(part, "__annotations__", {})}
    known |= {*kwargs_type.__annotations__, "common_kwargs"}
    for part, names in {"": options, **{name: options.get(name) or {} for name in (*parts, "common_kwargs")}}.items():
        read, why = READ_OPTIONS.get(part, (None, ""))
        for name, value in names.items():
            accepted, reason = REFUSED_OPTIONS.get(name, (None, ""))
            if name not in known:
                raise MediaError(
                    f"{name} is no option of a processor call. Files take {', '.join(MEDIA_OPTIONS)}; see "
                    "docs/options.md."
                )
            if read is not None and name not in read and value is not None:
                raise MediaError(f"{part} cannot hold {name}: {why}.")
            if accepted is not None and value is not None and value not in accepted:
                raise MediaError(f"{name}={value!r} cannot be had: {reason}.")


def refuse_for_arrays(options: Mapping[str, Any], what: str, names: Sequence[str]) -> None:
    """Raises `MediaError` if options name a part of something that is given in memory, and so as a whole."""
    found = [name for name in names if options.get(name) is not None]
    if found:
        raise MediaError(
            f"{what} is taken whole, but {', '.join(found)} was given, which is for files. Cut the array, or give a "
            "file."
        )


def check_media_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """A processor's own defaults for `load_media`.

    Raises:
        ValueError: if a name is no option, or a bound is none.
    """
    unknown = sorted(set(options or ()) - set(MEDIA_OPTIONS))
    if unknown:
        raise MediaError(f"media_options cannot hold {', '.join(unknown)}. It may hold {', '.join(MEDIA_OPTIONS)}.")
    checked = plain_numbers(options or {})
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
            share time steps: there a default has no effect, and a call that names it is refused (`check_sampling`).
    """
    own = {name: videos_kwargs[name] for name in MEDIA_OPTIONS if videos_kwargs.get(name) is not None}
    options = {**defaults, **own}
    if not uniform_sampling:
        options.pop("num_frames", None)
    return options


def sound_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `load_media`'s arguments that concern a file of which only the sound is read."""
    return {name: value for name, value in options.items() if name not in ("num_frames", "video_track")}
