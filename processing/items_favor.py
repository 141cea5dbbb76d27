# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Prompts and media values: finds the items that a prompt names, and turns what the caller gave into arrays.

An *item* is a picture stream, a sound, or both, that become one run of query tokens. In the text, `<video>`, `<image>`
and `<audio>` name items; `<audio>` directly after `<video>` or `<image>` is the sound of that same item.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import torch

from .media_favor import load_media
from .media_sources_favor import MediaError, is_media_source, resample_audio
from .video_processing_favor import is_picture, is_video, picture_to_array, video_to_array

USER_MARKER = "USER:"
ASSISTANT_MARKER = "ASSISTANT:"
SANITIZED = (
    "\U000f0000",
    "\U000f0001",
)  # `sanitize_control_tokens` of transformers puts user text between these
IMAGE_TAGS = ("<Img>", "</Img>")


@dataclass
class PromptItem:
    """One item as the prompt names it.

    Attributes:
        kind (`"video"`, `"image"` or `"audio"`): what the first placeholder is.
        separate_audio (`bool`): an `<audio>` placeholder belongs to the item.
        start, end (`int`): characters of the placeholders in the text.
        instruction (`str`): text of the user turn that holds the item, without placeholders.
    """

    kind: str
    separate_audio: bool
    start: int
    end: int
    instruction: str = ""


@dataclass
class MediaItem:
    """One item's media.

    Attributes:
        frames (`np.ndarray` of shape (F, H, W, 3), uint8, or None): distinct pictures.
        frame_indices (`list[int]`): for each time step of 1 / frame_rate seconds, the row of `frames` that shows.
        audio (`np.ndarray` of shape (S,), float32, or None): mono sound at the feature extractor's rate.
        still (`bool`): one picture, shown as long as the sound lasts.
    """

    frames: np.ndarray | None = None
    frame_indices: list[int] | None = None
    audio: np.ndarray | None = None
    still: bool = False


def find_items(text: str, tokens: dict[str, str], other_tokens: Sequence[str] = ()) -> list[PromptItem]:
    """Finds the items that `text` names, in order.

    Args:
        text (`str`): a prompt before expansion.
        tokens (`dict`): the placeholder of each of "video", "image" and "audio".
        other_tokens (`list[str]`): special tokens that are no part of an instruction.
    """
    video, image, audio = (re.escape(tokens[kind]) for kind in ("video", "image", "audio"))
    pattern = re.compile(
        f"(?<!{SANITIZED[0]})(?:(?:(?P<video>{video})|(?P<image>{image}))(?P<sound>{audio})?|(?P<audio>{audio}))"
    )
    unwanted = [*tokens.values(), *IMAGE_TAGS, *SANITIZED, *(token for token in other_tokens if token)]
    strip = re.compile("|".join(re.escape(token) for token in unwanted))
    items = []
    for match in pattern.finditer(text):
        kind = next(kind for kind in ("video", "image", "audio") if match[kind])
        turn = text.rfind(USER_MARKER, 0, match.start())
        turn_start = 0 if turn < 0 else turn + len(USER_MARKER)
        turn_end = text.find(ASSISTANT_MARKER, match.end())
        turn_text = text[turn_start : len(text) if turn_end < 0 else turn_end]
        instruction = " ".join(strip.sub(" ", turn_text).split())
        items.append(PromptItem(kind, kind == "audio" or bool(match["sound"]), *match.span(), instruction))
    return items


def expand_items(text: str, items: Sequence[PromptItem], counts: Sequence[int], token: str) -> tuple[str, list[dict]]:
    """Replaces each item's placeholders by `count` copies of `token`.

    Returns:
        The text, and where the replacements are, in the form that transformers' assistant masks use.
    """
    pieces, offsets, last, grown = [], [], 0, 0
    for item, count in zip(items, counts, strict=True):
        replacement = token * count
        pieces += [text[last : item.start], replacement]
        offsets.append(
            {
                "type": item.kind,
                "span": (item.start, item.end),
                "new_span": (item.start + grown, item.start + grown + len(replacement)),
                "text": text[item.start : item.end],
                "replacement": replacement,
            }
        )
        grown += len(replacement) - (item.end - item.start)
        last = item.end
    return "".join([*pieces, text[last:]]), offsets


def is_image_value(value: Any) -> bool:
    """One image: a file (path, bytes, file object), a dict, or a picture in memory."""
    return is_media_source(value) or isinstance(value, dict) or is_picture(value)


def is_video_value(value: Any) -> bool:
    """One video: a file, a dict, a (T, H, W, 3) array, or a list of pictures."""
    return is_media_source(value) or isinstance(value, dict) or is_video(value)


def is_audio_value(value: Any) -> bool:
    """One sound: a file, a dict, an (array, rate) pair, an array, or a list of numbers."""
    if is_media_source(value) or isinstance(value, (dict, np.ndarray, torch.Tensor)):
        return True
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Number) and np.ndim(value[0]) > 0:
        return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(sample, Number) for sample in value)


def match_media(
    values: Any, counts: Sequence[int], is_value: Callable[[Any], bool], placeholder: str, argument: str
) -> list[Any]:
    """Brings `values` into the flat order of their placeholders.

    Args:
        values: None, one value, a flat list over the batch, or a list with one list (or value, or None) a sample.
        counts (`list[int]`): placeholders in each sample's text.
        is_value: tells one value from a list of them.
        placeholder, argument (`str`): names for messages.

    Raises:
        ValueError: if there are more placeholders than values or the other way round, with both numbers.
    """
    if values is None:
        values = []
    elif is_value(values):
        values = [values]
    elif isinstance(values, (np.ndarray, torch.Tensor)):
        values = list(values)
    elif not isinstance(values, (list, tuple)):
        raise MediaError(
            f"`{argument}` cannot be a {type(values).__name__}. Give a file, an array, or a list of those."
        )
    nested = any(value is None or (isinstance(value, (list, tuple)) and not is_value(value)) for value in values)
    if nested:
        values = _per_sample(values, counts, is_value, placeholder, argument)
    for value in values:
        if not is_value(value):
            raise MediaError(
                f"`{argument}` holds a {type(value).__name__}, which is neither a file nor an array of it."
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
            f"`{argument}` has one entry a sample, {len(values)} in all, but there are {len(counts)} texts. "
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


def load_image_item(value: Any, size: dict[str, int] | None, media_limits: Any = None) -> MediaItem:
    """Reads one image, within the bounds `media_limits` of `load_media`.

    Raises:
        ValueError: if the file is a video or a sound.
    """
    value = _from_dict(value, "image")
    if not is_media_source(value):
        return MediaItem(picture_to_array(value)[None], [0], still=True)
    clip = load_media(value, size=size, with_audio=False, media_limits=media_limits)
    if not clip.still:
        raise MediaError("A video was given as an image. Use <video> in the text and the `videos` argument for it.")
    return MediaItem(clip.frames, [0], still=True)


def load_video_item(
    value: Any,
    frame_rate: float,
    sampling_rate: int,
    size: dict[str, int] | None,
    with_audio: bool,
    metadata: Any = None,
    options: dict[str, Any] | None = None,
) -> MediaItem:
    """Reads one video, with its own sound if `with_audio`; of an array, `metadata` may tell the pictures' rate.

    `options` are further arguments of `load_media`; of an array, only `num_frames` has an effect.

    Raises:
        ValueError: if the file has no picture.
    """
    metadata = value if isinstance(value, dict) and value.get("fps") else metadata
    value = _from_dict(value, "video")
    if is_media_source(value):
        clip = load_media(
            value, frame_rate, size=size, with_audio=with_audio, sampling_rate=sampling_rate, **(options or {})
        )
        if clip.frames is None:
            raise MediaError("A sound was given as a video. Use <audio> in the text and the `audio` argument for it.")
        frames, audio, still = clip.frames, clip.audio, clip.still
    else:
        frames, audio, still = video_to_array(value), None, False
        if len(frames) == 0:
            raise MediaError(f"A video must have at least one picture, but the array's shape is {frames.shape}.")
        num_frames = (options or {}).get("num_frames")
        if num_frames is not None and num_frames < len(frames):
            frames = frames[np.arange(num_frames) * len(frames) // num_frames]
        elif metadata is not None:
            frames = frames[_grid_indices(len(frames), metadata, frame_rate)]
    rows, indices = distinct_pictures(frames)
    return MediaItem(frames if len(rows) == len(frames) else frames[rows], indices, audio, still)


def load_sound(
    value: Any,
    rate: int | None,
    sampling_rate: int,
    frame_rate: float = 2.0,
    options: dict[str, Any] | None = None,
) -> np.ndarray:
    """Reads one sound: (S,) float32 mono at `sampling_rate`.

    Args:
        value: a file (of a video, its sound), (array, rate), {"array", "sampling_rate"}, or an array at `rate`.
        rate (`int`, *optional*): of bare arrays; `sampling_rate` if None.
        sampling_rate (`int`): of the result.
        frame_rate (`float`): time steps a second, for options that count them.
        options (`dict`, *optional*): further arguments of `load_media`.

    Raises:
        ValueError: if there is no sound, or samples are not finite.
    """
    if isinstance(value, dict):
        rate = value.get("sampling_rate", rate)
    value = _from_dict(value, "audio")
    if is_media_source(value):
        audio = load_media(value, frame_rate, with_frames=False, sampling_rate=sampling_rate, **(options or {})).audio
        return np.zeros(0, dtype=np.float32) if audio is None else audio
    if isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) > 0:
        value, rate = value
    audio = resample_audio(np.asarray(value), sampling_rate if rate is None else int(rate), sampling_rate)
    if audio.size == 0:
        raise MediaError("A sound has no samples. Leave out its <audio> placeholder, or give a sound that has some.")
    if not np.isfinite(audio).all():
        raise MediaError("A sound holds samples that are not finite (NaN or infinity). Clean the array first.")
    return audio


def _from_dict(value: Any, kind: str) -> Any:
    """Unpacks {"array"}, {"bytes"}, {"path"} and the like; the first key that holds something wins."""
    if not isinstance(value, dict):
        return value
    for key in ("array", "bytes", "path", kind, "url"):
        if value.get(key) is not None:
            return value[key]
    raise MediaError(
        f'A dict for {kind} must hold one of "array", "bytes", "path" or "{kind}", but its keys are {sorted(value)}.'
    )


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
    if not rate or rate <= 0:
        raise MediaError(f"video_metadata must tell a positive fps, the rate of the given pictures, but it is {rate}.")
    chosen = fields.get("frames_indices")
    if chosen is None or len(chosen) != num_frames:
        chosen = range(num_frames)
    times = np.asarray(list(chosen), dtype=float) / rate
    times -= times[0]
    step = times[-1] / (num_frames - 1) if num_frames > 1 else 1 / rate
    grid = np.arange(max(1, math.ceil((times[-1] + step) * frame_rate - 1e-6))) / frame_rate
    return (np.searchsorted(times, grid + 1e-6, side="right") - 1).tolist()
