# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media values: brings what the caller gave into the order of the items, and reads each item into arrays."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number, Real
from typing import Any

import numpy as np
import torch

from .media_favor import MediaClip, load_media
from .media_limits_favor import to_limits
from .media_names_favor import MEDIA_ARGUMENTS, MEDIA_KINDS, PLACEHOLDERS, RATE_KEYS, SOURCE_KEYS
from .media_options_favor import refuse_for_arrays, sound_options
from .media_sources_favor import MediaError, check_one_source, is_media_source, resample_audio
from .picture_track_favor import kept_steps
from .prompts_favor import PromptItem
from .sound_track_favor import check_samples
from .video_processing_favor import is_picture, is_video, picture_to_array, video_to_array


@dataclass(frozen=True)
class ItemSource:
    """One item that is still to be read.

    Attributes:
        kind (`"video"`, `"image"` or `"audio"`): what it is.
        media: what is seen, or of a sound what is heard: a file or an array (see `FavorProcessor`).
        sound: the same of a separate sound that is heard with a video or an image.
        own_sound (`bool`): a video file's own sound is heard, where there is no separate one.
        instruction (`str`): what is asked about it, for the visual Q-Former.
        metadata: of pictures in memory, what tells their rate (`video_metadata` of a call).
        sound_rate (`int`, *optional*): of bare arrays of sound, in Hz.
    """

    kind: str
    media: Any
    sound: Any = None
    own_sound: bool = True
    instruction: str = ""
    metadata: Any = None
    sound_rate: int | None = None


@dataclass(frozen=True)
class MediaReading:
    """How items are read.

    Attributes:
        frame_rate (`float`): time steps per second.
        sampling_rate (`int`): of the sound, in Hz.
        size (`dict`, *optional*): height and width that files' pictures get; None: as they are.
        options (`dict`): further arguments of `load_media`.
        load (callable): decodes a file: `load_media`, or what takes the same arguments.
    """

    frame_rate: float
    sampling_rate: int
    size: dict[str, int] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    load: Callable[..., MediaClip] = load_media


@dataclass
class MediaItem:
    """One item's media.

    Attributes:
        frames (`np.ndarray` of shape (F, H, W, 3), uint8, or None): distinct pictures.
        frame_indices (`list[int]`): for each time step of 1 / frame_rate seconds, the row of `frames` that shows.
        audio (`np.ndarray` of shape (S,), float32, or None): mono sound at the feature extractor's rate.
        still (`bool`): one picture, shown as long as the sound lasts.
        log_mel (*optional*): what the feature extractor makes of the sound, where that is known: (C, mel, frames)
            float32 and its mask (C, frames) int64.
    """

    frames: np.ndarray | None = None
    frame_indices: list[int] | None = None
    audio: np.ndarray | None = None
    still: bool = False
    log_mel: tuple[torch.Tensor, torch.Tensor] | None = None


def load_item(source: ItemSource, reading: MediaReading) -> MediaItem:
    """Reads one item's files, or takes its arrays.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file or an array cannot be used, or `long_video="thin"` would have to thin a video beside a
            separate sound: the two would be thinned by different steps.
    """
    options = dict(reading.options)
    if source.sound is not None:
        options["long_video"] = "error"
    if source.kind == "audio":
        return MediaItem(audio=load_sound(source.media, source.sound_rate, reading, options))
    if source.kind == "image":
        item = load_image_item(source.media, reading, options)
    elif source.kind == "video":
        with_audio = source.own_sound and source.sound is None
        item = load_video_item(source.media, reading, with_audio, source.metadata, options)
    else:
        raise MediaError(f"An item of kind {source.kind!r} is none of {', '.join(MEDIA_KINDS)}.")
    if source.sound is not None:
        item.audio = load_sound(source.sound, source.sound_rate, reading, options)
    return item


def check_sampling(sources: Iterable[ItemSource], videos_kwargs: Mapping[str, Any], shares_steps: bool) -> None:
    """Refuses a call that wants videos' pictures chosen as they cannot be; of other items nothing is chosen.

    Args:
        sources: the call's items.
        videos_kwargs (`dict`): the call's; `num_frames` and `do_sample_frames` are looked at.
        shares_steps (`bool`): picture and sound share time steps.

    Raises:
        ValueError: for `num_frames` where they do, and for `do_sample_frames=False` of a file, or of pictures whose
            rate is told.
    """
    videos = [source for source in sources if source.kind == "video"]
    if videos and shares_steps and videos_kwargs.get("num_frames") is not None:
        raise MediaError(
            f"num_frames={videos_kwargs['num_frames']} was asked for, but the model takes pictures and sound in the "
            "same time steps, and a picture would lose its sound. Choose a part by start and end, or give "
            'long_video="thin" and max_frames.'
        )
    if videos_kwargs.get("do_sample_frames") is not False:
        return
    for source in videos:
        if is_media_source(_from_dict(source.media, "video")):
            raise MediaError(
                "do_sample_frames=False cannot be had of a video file: its pictures are taken at the processor's "
                "frame_rate. Give the pictures themselves, one per time step."
            )
        if _told_rate(source.media, source.metadata) is not None:
            raise MediaError(
                "do_sample_frames=False contradicts the pictures' own rate (video_metadata, or fps beside them), by "
                "which they are taken at the processor's frame_rate. Give one of the two."
            )


def item_sources(
    prompts: Sequence[Sequence[PromptItem]],
    media: Mapping[str, Any],
    own_sound: bool,
    metadata: Any = None,
    sound_rate: int | None = None,
    instructions: Iterable[str] | None = None,
) -> list[ItemSource]:
    """Gives the items of all prompts their media, in the order of the placeholders.

    Args:
        prompts: the items of each sample's text.
        media (`dict`): for each of "video", "image" and "audio" what a call was given (see [`match_media`]).
        own_sound (`bool`): of videos without a separate sound.
        metadata: `video_metadata` of the call, one for all videos or a list with one per video.
        sound_rate (`int`, *optional*): of bare arrays of sound.
        instructions (`list[str]`, *optional*): one per item.

    Raises:
        ValueError: if placeholders and media differ in number.
    """
    values = {
        "video": _matched(prompts, media, "video", lambda item: item.kind == "video"),
        "image": _matched(prompts, media, "image", lambda item: item.kind == "image"),
        "audio": _matched(prompts, media, "audio", lambda item: item.separate_audio),
    }
    items = [item for sample in prompts for item in sample]
    each_metadata = iter(metadata if isinstance(metadata, (list, tuple)) else [metadata] * len(items))
    texts = iter([""] * len(items) if instructions is None else instructions)
    return [
        ItemSource(
            item.kind,
            next(values[item.kind]),
            next(values["audio"]) if item.separate_audio and item.kind != "audio" else None,
            own_sound and item.kind == "video" and not item.separate_audio,
            next(texts),
            next(each_metadata, None) if item.kind == "video" else None,
            sound_rate,
        )
        for item in items
    ]


def _matched(
    prompts: Sequence[Sequence[PromptItem]],
    media: Mapping[str, Any],
    kind: str,
    belongs: Callable[[PromptItem], bool],
) -> Iterator[Any]:
    counts = [sum(map(belongs, items)) for items in prompts]
    return iter(match_media(media.get(kind), counts, IS_VALUE[kind], PLACEHOLDERS[kind], MEDIA_ARGUMENTS[kind]))


def is_image_value(value: Any) -> bool:
    """One image: a file (path, bytes, file object), a dict, or a picture in memory."""
    return is_media_source(value) or isinstance(value, dict) or is_picture(value)


def is_video_value(value: Any) -> bool:
    """One video: a file, a dict, a (T, H, W, 3) array, or a list of pictures."""
    return is_media_source(value) or isinstance(value, dict) or is_video(value)


def is_audio_value(value: Any) -> bool:
    """One sound: a file, a dict, an (array, rate) or (rate, array) pair, an array, or a list of numbers."""
    return is_media_source(value) or isinstance(value, dict) or _is_samples(value) or rate_pair(value) is not None


def rate_pair(value: Any) -> tuple[Any, Any] | None:
    """The samples and the rate of an (array, rate) pair, or Gradio's (rate, array); None of anything else."""
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    for samples, rate in (value, value[::-1]):
        # A text where the rate belongs is refused later, by name, and not taken for a file beside the array.
        lone = isinstance(rate, (Number, str)) or (isinstance(rate, (np.ndarray, torch.Tensor)) and rate.ndim == 0)
        if _is_samples(samples) and lone:
            return samples, rate
    return None


def _is_samples(value: Any) -> bool:
    """An array with samples, or a list of several numbers: a lone one is no sound."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim > 0
    return isinstance(value, (list, tuple)) and len(value) > 1 and all(isinstance(sample, Number) for sample in value)


IS_VALUE: dict[str, Callable[[Any], bool]] = {
    "video": is_video_value,
    "image": is_image_value,
    "audio": is_audio_value,
}


def match_media(
    values: Any, counts: Sequence[int], is_value: Callable[[Any], bool], placeholder: str, argument: str
) -> list[Any]:
    """Brings `values` into the flat order of their placeholders.

    Args:
        values: None, one value, a flat list over the batch, or a list with one list (or value, or None) per sample.
        counts (`list[int]`): placeholders in each sample's text.
        is_value: tells one value from a list of them.
        placeholder, argument (`str`): names for messages.

    Raises:
        ValueError: if there are more placeholders than values or the other way round, with both numbers.
    """
    if values is None:
        values = []
    # One value before a list of them: a video may be a list of pictures, and a sound a list of numbers.
    elif is_value(values):
        values = [values]
    # An array that is no value itself is a stack of them.
    elif isinstance(values, (np.ndarray, torch.Tensor)) and values.ndim:
        values = list(values)
    elif not isinstance(values, (list, tuple)):
        raise MediaError(
            f"`{argument}` cannot be a {type(values).__name__}. Give a file, an array, or a list of those."
        )
    # None and inner lists only stand in a list with one entry per sample.
    nested = any(value is None or (isinstance(value, (list, tuple)) and not is_value(value)) for value in values)
    if nested:
        values = _per_sample(values, counts, is_value, placeholder, argument)
    for value in values:
        if not is_value(value):
            raise MediaError(
                f"`{argument}` holds a {type(value).__name__}, which is neither a file nor an array of it. A sound "
                'and its rate are a tuple (array, rate), files of a clip\'s pictures a dict {"video": [...]}.'
            )
    if len(values) != sum(counts):
        raise MediaError(
            f"The text names {sum(counts)} {placeholder} but {len(values)} were given as `{argument}`. "
            f"Write one {placeholder} in the text for each of them, and give one for each {placeholder}."
        )
    return list(values)


def _per_sample(values: Sequence, counts: Sequence[int], is_value, placeholder: str, argument: str) -> list[Any]:
    if len(values) != len(counts):
        raise MediaError(
            f"`{argument}` has one entry per sample, {len(values)} in all, but there are {len(counts)} texts. "
            "Give one entry (a list, a value or None) for each text."
        )
    flat: list[Any] = []
    for sample, (entry, count) in enumerate(zip(values, counts, strict=True)):
        alone = is_value(entry) or not isinstance(entry, (list, tuple))
        entries = [] if entry is None else [entry] if alone else list(entry)
        if len(entries) != count:
            raise MediaError(
                f"Text {sample} names {count} {placeholder} but `{argument}[{sample}]` holds {len(entries)}. "
                f"Write one {placeholder} in the text for each of them."
            )
        flat += entries
    return flat


def load_image_item(value: Any, reading: MediaReading, options: Mapping[str, Any] | None = None) -> MediaItem:
    """Reads one image; of `options`, arguments of `load_media`, those that concern pictures without time.

    Raises:
        ValueError: if the file is a video or a sound.
    """
    value = _from_dict(value, "image")
    if not is_media_source(value):
        return MediaItem(picture_to_array(value)[None], [0], still=True)
    seen = {name: (options or {})[name] for name in ("media_limits", "on_error") if name in (options or {})}
    clip = reading.load(value, size=reading.size, with_audio=False, **seen)
    if not clip.still:
        raise MediaError("A video was given as an image. Use <video> in the text and the `videos` argument for it.")
    return MediaItem(clip.frames, [0], still=True)


def load_video_item(
    value: Any, reading: MediaReading, with_audio: bool, metadata: Any, options: Mapping[str, Any]
) -> MediaItem:
    """Reads one video, with its own sound if `with_audio`; of an array, `metadata` may tell the pictures' rate.

    `options` are arguments of `load_media`; of pictures in memory those that name a part are refused.

    Raises:
        ValueError: if the file has no picture.
    """
    metadata = _told_rate(value, metadata)
    value = _from_dict(value, "video")
    if is_media_source(value):
        clip = reading.load(
            value,
            reading.frame_rate,
            size=reading.size,
            with_audio=with_audio,
            sampling_rate=reading.sampling_rate,
            **options,
        )
        if clip.frames is None:
            raise MediaError("A sound was given as a video. Use <audio> in the text and the `audio` argument for it.")
        frames, audio, still = clip.frames, clip.audio, clip.still
    else:
        frames, audio, still = _pictures_in_memory(value, reading, metadata, options), None, False
    # Encoders are what costs: a picture that stays, as in slides or at a low rate, goes through them once.
    rows, indices = distinct_pictures(frames)
    return MediaItem(frames if len(rows) == len(frames) else frames[rows], indices, audio, still)


def _pictures_in_memory(value: Any, reading: MediaReading, metadata: Any, options: Mapping[str, Any]) -> np.ndarray:
    """An array, or a list of pictures and their files, as (T, H, W, 3) uint8, one for each time step.

    They are taken to lie on the grid, one per time step, unless `metadata` tell their rate.
    """
    refuse_for_arrays(options, "A video in memory", ("start", "end", "video_track", "audio_track"))
    limits = to_limits(options.get("media_limits"), options.get("max_frames"))
    if isinstance(value, (list, tuple)):
        limits.check("max_frames", len(value), f"A video of {len(value)} pictures was given")
        value = [_picture(picture, reading, options) for picture in value]
    frames = video_to_array(value) if len(value) else np.zeros((0, 0, 0, 3), np.uint8)
    if len(frames) == 0:
        raise MediaError(f"A video must have at least one picture, but the array's shape is {frames.shape}.")
    num_frames = options.get("num_frames")
    if num_frames is not None and num_frames < len(frames):
        return frames[np.arange(num_frames) * len(frames) // num_frames]
    steps = np.arange(len(frames)) if metadata is None else _grid_indices(len(frames), metadata, reading.frame_rate)
    if options.get("long_video") == "thin" and len(steps) > limits.max_frames:
        steps = np.asarray(steps)[kept_steps(len(steps), limits.max_frames)]
    limits.check("max_frames", len(steps), f"A video of {len(steps)} time steps was given in memory")
    return frames[steps]


def _picture(value: Any, reading: MediaReading, options: Mapping[str, Any]) -> Any:
    """One picture of a list that is a video: a file is read, at the size of files."""
    if not is_media_source(value) and not isinstance(value, dict):
        return value
    frames = load_image_item(value, reading, options).frames
    assert frames is not None
    return frames[0]


def load_sound(
    value: Any, rate: int | None, reading: MediaReading, options: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Reads one sound: (S,) float32 mono at the `sampling_rate` of `reading`.

    Args:
        value: a file (of a video, its sound), (array, rate), (rate, array), {"array", "sampling_rate"}, or an array
            at `rate`.
        rate (`int`, *optional*): of bare arrays; that of `reading` if None.
        reading (`MediaReading`): rates.
        options (`dict`, *optional*): arguments of `load_media`; those for pictures have no effect, those that name a
            part are refused of a sound in memory.

    Raises:
        ValueError: if there is no sound, its rate is no number, or samples are no sound (see `check_samples`).
    """
    sampling_rate = reading.sampling_rate
    if isinstance(value, dict) and value.get("sampling_rate") is not None:
        rate = value["sampling_rate"]
    value = _from_dict(value, "audio")
    if is_media_source(value):
        heard = sound_options(options or {})
        audio = reading.load(value, reading.frame_rate, with_frames=False, sampling_rate=sampling_rate, **heard).audio
        return np.zeros(0, dtype=np.float32) if audio is None else audio
    refuse_for_arrays(options or {}, "A sound in memory", ("start", "end", "audio_track"))
    pair = rate_pair(value)
    if pair is not None:
        value, rate = pair
    audio = resample_audio(value, sampling_rate if rate is None else rate, sampling_rate)
    if audio.size == 0:
        raise MediaError("A sound has no samples. Leave out its <audio> placeholder, or give a sound that has some.")
    check_samples(audio, "A sound in memory")
    return audio


def _told_rate(value: Any, metadata: Any) -> Any:
    """What tells the rate of pictures: the `fps` beside them, else a call's `video_metadata`; None if nothing does."""
    return value if isinstance(value, dict) and value.get("fps") is not None else metadata


def _from_dict(value: Any, kind: str) -> Any:
    """Unpacks {"array"}, {"bytes"}, {"path"} and the like; the first key that holds something wins.

    Raises:
        ValueError: if none does, or another key names what is not read.
    """
    if not isinstance(value, dict):
        return value
    sources, rate = (*SOURCE_KEYS[:3], kind, *SOURCE_KEYS[3:]), RATE_KEYS.get(kind)
    unknown = sorted(str(key) for key, held in value.items() if held is not None and key not in (*sources, rate))
    if unknown:
        raise MediaError(
            f"A dict for {kind} holds {', '.join(unknown)}, which is not read: it may hold {', '.join(sources)}"
            f"{'' if rate is None else f' and, of what is in memory, {rate}'}. Options are arguments of the call."
        )
    check_one_source(value, kind)
    found = next((value[key] for key in sources if value.get(key) is not None), None)
    if found is None:
        raise MediaError(
            f'A dict for {kind} must hold one of "array", "bytes", "path" or "{kind}", but its keys are '
            f"{sorted(value)}."
        )
    if rate is not None and value.get(rate) is not None and is_media_source(found):
        raise MediaError(f"A dict for {kind} holds {rate} beside a file, which tells its own. Leave it out.")
    return found


def distinct_pictures(frames: np.ndarray) -> tuple[list[int], list[int]]:
    """Which pictures differ from the one before, and for each picture the place of its like among those."""
    rows, indices = [0], [0]
    for number in range(1, len(frames)):
        if not np.array_equal(frames[number], frames[number - 1]):
            rows.append(number)
        indices.append(len(rows) - 1)
    return rows, indices


def _grid_indices(num_frames: int, metadata: Any, frame_rate: float) -> list[int]:
    """For each time i / frame_rate, the last of `num_frames` pictures that is not later, by `metadata`'s rate."""
    fields = metadata if isinstance(metadata, dict) else vars(metadata)
    rate = fields.get("fps")
    if not isinstance(rate, Real) or not float(rate) > 0:
        raise MediaError(f"video_metadata must tell a positive fps, the rate of the given pictures, but it is {rate}.")
    chosen = fields.get("frames_indices")
    if chosen is None or len(chosen) != num_frames:
        # Where their places in the source are not told, or not for each, the pictures follow each other.
        chosen = range(num_frames)
    rate = float(rate)
    times = np.asarray(list(chosen), dtype=float) / rate
    times -= times[0]  # the clip begins with its first picture
    # The last picture lasts as long as the others do on average.
    step = times[-1] / (num_frames - 1) if num_frames > 1 else 1 / rate
    grid = np.arange(max(1, math.ceil((times[-1] + step) * frame_rate - 1e-6))) / frame_rate
    return (np.searchsorted(times, grid + 1e-6, side="right") - 1).tolist()
