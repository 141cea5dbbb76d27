# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads one medium of a row, in whatever form rows have it, into the fields of a chat block."""

from collections.abc import Callable, Iterator, Mapping
from numbers import Number
from os import PathLike, fsdecode, fspath
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from favor.processing.media_names_favor import RATE_KEYS

from .bad_samples import BadSampleError
from .hub_datasets import local_file
from .sample_columns import MEDIA_LISTS

Locate: TypeAlias = Callable[[str, str], str]  # from a path as a row names it, and a kind, to one that can be opened
ADDRESSES = ("data:", "file:", "http://", "https://")  # what is no path


def of_the_hub(path: str, kind: str) -> str:
    """The path itself, or where the Hub's file of this address is kept; see [`local_file`]."""
    return local_file(path)


def media_source(value: Any, kind: str, locate: Locate = of_the_hub, where: str = "a sample") -> dict[str, Any]:
    """A medium as the fields of a chat block that name it.

    Args:
        value: a path, bytes, `{"path", "bytes"}` (bytes win: the path is where they once came from), a picture, an
            array, `{"array", "sampling_rate"}` or `{"array", "fps"}`, an (array, rate) pair, for a video a list of its
            pictures or their files or `{"video": [...], "fps"}`, a decoder of torchcodec.
        kind: "video", "image" or "audio".
        locate: what finds the files; by default those of the Hub are fetched.
        where: named in errors.

    Raises `BadSampleError` for what is none of these.
    """
    if isinstance(value, Mapping):
        return _of_mapping({key: held for key, held in value.items() if held is not None}, kind, locate, where)
    if isinstance(value, (str, PathLike)):
        return {"path": located(value, kind, locate)}
    if isinstance(value, (bytes, bytearray, Image.Image, np.ndarray, torch.Tensor)):
        return {kind: value}
    if isinstance(value, (list, tuple)) and value:
        return _of_list(value, kind, locate, where)
    if hasattr(value, "get_all_samples") or hasattr(value, "get_frames_in_range"):
        return _of_decoder(value, kind, locate, where)
    raise BadSampleError(
        "malformed",
        f"{kind} must be the path of a file, its bytes, an array or a dict of those, but it is {str(value)[:100]!r}.",
        where,
    )


def located(path: str | PathLike, kind: str, locate: Locate) -> str:
    """A path as `locate` finds it; an address that is no path as it is."""
    text = fsdecode(fspath(path))
    return text if text.startswith(ADDRESSES) else locate(text, kind)


def column_media(sample: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(kind, value) of each medium in a row's columns: of each kind the one, then the list."""
    for plural, kind in MEDIA_LISTS.items():
        if sample.get(kind) is not None:
            yield kind, sample[kind]
        for value in () if sample.get(plural) is None else sample[plural]:
            yield kind, value


def is_one_file(source: Mapping[str, Any], kind: str) -> bool:
    """Whether the fields of a block name one file, by its path or bytes, and say nothing else about it."""
    (value,) = source.values() if len(source) == 1 else (None,)
    return "path" in source or (kind in source and isinstance(value, (bytes, bytearray)))


def _of_mapping(held: dict[str, Any], kind: str, locate: Locate, where: str) -> dict[str, Any]:
    """A dict's fields; of `{"path", "bytes"}` and `{"path", "array"}` the path is left out."""
    if not held:
        raise BadSampleError("malformed", f"a dict for {kind} holds nothing: give a path, bytes or an array.", where)
    if "bytes" in held:
        rest = {name: value for name, value in held.items() if name not in ("bytes", "path")}
        return {kind: held["bytes"], **rest}
    for key in ("array", kind):
        if key in held:  # a rate beside the array stays, unless the inner dict has one
            rest = {name: value for name, value in held.items() if name not in (key, "path")}
            return {**rest, **media_source(held[key], kind, locate, where)}
    address = held.get("url", held.get("image_url"))
    address = address.get("url") if isinstance(address, Mapping) else address
    if address is not None and "path" not in held:
        held = {name: value for name, value in held.items() if name not in ("url", "image_url")} | {"path": address}
    return {**held, "path": located(held["path"], kind, locate)} if "path" in held else held


def _of_list(value: Any, kind: str, locate: Locate, where: str) -> dict[str, Any]:
    """Pictures of one video, or numbers: `datasets` gives arrays back as lists."""
    if kind == "audio" and len(value) == 2 and sum(isinstance(part, Number) for part in value) == 1:
        samples, rate = value if isinstance(value[1], Number) else value[::-1]
        return {kind: (np.asarray(samples), rate)}
    if _is_numbers(value):
        return {kind: _array(value, kind)}
    if kind == "video":
        return {kind: [_picture(picture, locate, where) for picture in value]}
    raise BadSampleError(
        "malformed",
        f"column `{kind}` holds a list of {len(value)}; it is for one {kind}. Several of a sample are a list in "
        f"`{kind}s`.",
        where,
    )


def _picture(value: Any, locate: Locate, where: str) -> Any:
    """One picture of a list that is a video: a path, bytes, a picture or an array."""
    source = media_source(value, "image", locate, where)
    return next(iter(source.values())) if len(source) == 1 else source


def _is_numbers(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, Number)


def _array(value: Any, kind: str) -> np.ndarray:
    """Nested lists as an array; whole numbers of pictures are bytes."""
    array = np.asarray(value)
    whole = kind != "audio" and array.dtype.kind in "iu" and array.size > 0
    return array.astype(np.uint8) if whole and array.min() >= 0 and array.max() <= 255 else array


def _of_decoder(decoder: Any, kind: str, locate: Locate, where: str) -> dict[str, Any]:
    """A torchcodec decoder: the file that `datasets` made it of, or all that it decodes."""
    encoded = getattr(decoder, "_hf_encoded", None)
    if isinstance(encoded, Mapping) and any(encoded.get(key) is not None for key in ("bytes", "path")):
        return media_source(encoded, kind, locate, where)
    if hasattr(decoder, "get_all_samples"):
        samples = decoder.get_all_samples()
        return {kind: samples.data.numpy(), RATE_KEYS["audio"]: int(samples.sample_rate)}
    return {kind: decoder[:].numpy(), RATE_KEYS["video"]: float(decoder.metadata.average_fps)}


__all__ = ["Locate", "column_media", "is_one_file", "media_source", "of_the_hub"]
