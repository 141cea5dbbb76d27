# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a training sample may hold; misnamed media columns are found here, before they become text-only training."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, TypeAlias, TypedDict, cast

from favor.processing.media_names_favor import MEDIA_KINDS, PLACEHOLDERS

from .bad_samples import BadSampleError

# Known keys beside `messages` and the media: what a sample is, for choosing and for reports. The model sees none.
DESCRIPTIVE_KEYS = (
    "id",
    "dataset",
    "task",
    "family",
    "streams",
    "scene",
    "split",
    "held_out",
    "license",
    "duration",
    "length",
    "origin",
)
# Columns with a list of media -> the kind of each.
MEDIA_LISTS = {f"{kind}s": kind for kind in MEDIA_KINDS}
# What trainers and caches add.
INTERNAL_KEYS = ("use_own_audio", "input_ids", "labels", "visual_states", "audio_states")
PROMPTED = ("prompt", "completion")  # in place of `messages`, as TRL has them
KNOWN_KEYS = ("messages", *PROMPTED, *MEDIA_KINDS, *MEDIA_LISTS, *DESCRIPTIVE_KEYS, *INTERNAL_KEYS)
SUFFIXES: dict[str, tuple[str, ...]] = {
    "video": (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".flv", ".gif", ".m4v"),
    "image": (".jpg", ".jpeg", ".png", ".webp", ".bmp"),
    "audio": (".wav", ".flac", ".mp3", ".ogg", ".m4a", ".opus", ".aac"),
}


def kind_of_file(name: str) -> str | None:
    """The kind of a file by its suffix; None if it tells nothing."""
    return next((kind for kind, suffixes in SUFFIXES.items() if name.lower().endswith(suffixes)), None)


class Turn(TypedDict):
    """One turn of a chat: in plain text, or in blocks as transformers has them."""

    role: str
    content: Any  # str or list[dict]: most code has plain text before it, which the type checker cannot see


class MediaFile(TypedDict):
    """A file as `datasets` has it; bytes win over the path, which is where they once came from."""

    path: str | None
    bytes: bytes | None


MediaValue: TypeAlias = str | bytes | MediaFile


class Sample(TypedDict, total=False):
    """A row of a manifest, or of any other source once its columns have our names (docs/training-data.md)."""

    messages: list[Turn]
    prompt: str | list[Turn]
    completion: str | list[Turn]
    video: MediaValue | None
    image: MediaValue | None
    audio: MediaValue | None
    use_own_audio: bool  # False: the video's own sound is left out
    origin: str | None  # manifest and line, named in errors
    id: str
    dataset: str
    task: str
    family: str
    streams: str | list[str]
    scene: str
    split: str
    held_out: bool
    license: str
    duration: float
    length: int


_MEDIA_NAME = re.compile(
    r"(video|image|img|audio|sound|speech|picture|photo|clip|wav|mp4|waveform|media)s?"
    r"([_-]?(path|file|filename|file_name|name|byte|data|url|uri|array)s?)?",
    re.IGNORECASE,
)


def check_sample_columns(sample: Mapping[str, object], where: str = "a sample") -> None:
    """Refuses a sample with media that no column of ours would read.

    Raises `BadSampleError` (a `ValueError`) for a column whose name or value is that of media but which is neither
    `video`, `image` nor `audio`, and for `<video>`, `<image>` or `<audio>` in the text.
    """
    where = str(sample.get("origin") or where)
    for name, value in sample.items():
        listed = name in MEDIA_LISTS and isinstance(value, (list, tuple))
        if value is None or listed or (name in KNOWN_KEYS and name not in MEDIA_LISTS):
            continue
        if _MEDIA_NAME.fullmatch(name) or _looks_like_media(value):
            raise BadSampleError(
                "wrong columns",
                f"column {name!r} looks like media, but only `video`, `image` and `audio`, and lists in `videos`, "
                f"`images` and `audios`, are read. Rename it, for "
                f"example with columns: {{{_likely_name(name, value)}: {name}}}, or remove it.",
                where,
            )
    read = ("messages",) if sample.get("completion") is None else PROMPTED
    for text in (text for name in read for text in said_texts(sample.get(name))):
        for placeholder in PLACEHOLDERS.values():
            if placeholder in text:
                raise BadSampleError(
                    "wrong columns",
                    f"the text holds {placeholder}, but media are placed by the columns `video`, `image` and `audio`, "
                    "or by blocks. Remove it from the text and give the file in its column.",
                    where,
                )


def said_texts(messages: object) -> Iterator[str]:
    """The texts of all turns: contents that are strings, and blocks of text; a string is one."""
    if isinstance(messages, str):
        yield messages
    for turn in messages if isinstance(messages, (list, tuple)) else ():
        content = turn.get("content") if isinstance(turn, Mapping) else None
        for block in content if isinstance(content, (list, tuple)) else [content]:
            text = block.get("text") if isinstance(block, Mapping) else block
            if isinstance(text, str):
                yield text


def check_media_columns(dataset: Iterable[Mapping[str, object]], rows: int = 100) -> dict[str, int]:
    """Checks the first samples of a dataset, of any kind, and counts their media.

    Returns, of the samples looked at, how many have `video`, `image`, `audio`, and `text_only`.

    Raises `BadSampleError` as [`check_sample_columns`] does, and `ValueError` if there is no `messages` column.
    """
    counts = dict.fromkeys((*MEDIA_KINDS, "text_only"), 0)
    for number, sample in enumerate(dataset):
        if number == rows:
            break
        if "input_ids" in sample:  # encoded rows: what is media was decided when they were made
            states = {key: cast(list, sample.get(key) or []) for key in ("visual_states", "audio_states")}
            seen = [key for key, keys in states.items() if any(keys)]
            counts["video"] += "visual_states" in seen
            counts["audio"] += "audio_states" in seen
            counts["text_only"] += not seen
            continue
        check_sample_columns(sample, f"sample {number}")
        if sample.get("messages") is None and any(sample.get(name) is None for name in PROMPTED):
            raise ValueError(
                f"sample {number} has no `messages`, only {', '.join(sorted(sample))}; a training sample holds "
                "`messages`, or `prompt` and `completion`, and any of `video`, `image` and `audio`."
            )
        for key in media_kinds(sample) or ["text_only"]:
            counts[key] += 1
    return counts


def media_kinds(sample: Mapping[str, object]) -> list[str]:
    """The kinds of media that a sample has, in its columns or as blocks of its turns with a source of their own."""
    asked = {block.get("type") for block in media_of_turns(sample)}
    held = {kind for plural, kind in MEDIA_LISTS.items() if sample.get(kind) is not None or sample.get(plural)}
    return [kind for kind in MEDIA_KINDS if kind in asked | held]


def check_manifest_keys(sample: Mapping[str, object], where: str) -> None:
    """Raises `ValueError` for a key that no manifest has."""
    turns = ("messages", *PROMPTED) if sample.get("messages") is None else ("messages",)
    known = (*turns, *MEDIA_KINDS, *DESCRIPTIVE_KEYS)
    lists = [key for key in MEDIA_LISTS if isinstance(sample.get(key), (list, tuple))]
    unknown = [key for key in sample if key not in (*known, *lists)]
    if unknown:
        raise ValueError(
            f"{where}: unknown key {', '.join(map(repr, unknown))}; a line may hold {', '.join(known)}, and lists of "
            f"media in {', '.join(MEDIA_LISTS)}. A misnamed media key would leave its stream out of training."
        )


def media_files(sample: Mapping[str, object]) -> list[str]:
    """Names of the sample's media, in its columns and blocks, for messages."""
    values: list[tuple[str, object]] = [(kind, sample.get(kind)) for kind in MEDIA_KINDS]
    for plural, kind in MEDIA_LISTS.items():
        values += [(kind, value) for value in cast(Iterable[object], sample.get(plural) or ())]
    values += [(str(block.get("type")), block) for block in media_of_turns(sample)]
    return [_file_name(kind, value) for kind, value in values if value is not None]


def media_of_turns(sample: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The blocks of `messages`, or of `prompt`, that are media."""
    turns = sample.get("messages") or sample.get("prompt")
    contents = [turn.get("content") for turn in turns if isinstance(turn, Mapping)] if isinstance(turns, list) else []
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block for block in blocks if isinstance(block, Mapping) and block.get("type") in MEDIA_KINDS]


def _file_name(kind: str, value: object) -> str:
    """How a message calls a medium: its path, or what it is."""
    if isinstance(value, Mapping):
        held = [value.get(key) for key in ("path", "url", "bytes", kind)]
        value = next((part for part in held if part is not None), None)
        if value is None:
            return kind
        return _file_name(kind, value)
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes of {kind}"
    return f"{len(value)} pictures of a {kind}" if isinstance(value, (list, tuple)) else f"{kind} in memory"


def _looks_like_media(value: object) -> bool:
    if isinstance(value, str):
        return kind_of_file(value) is not None
    if isinstance(value, Mapping):
        return "bytes" in value or "array" in value
    if isinstance(value, (list, tuple)) and value:
        return _looks_like_media(value[0])
    return isinstance(value, (bytes, bytearray))


def _likely_name(name: str, value: object) -> str:
    text = f"{name} {value if isinstance(value, str) else ''}".lower()
    if any(word in text for word in ("audio", "sound", "speech", "wav", ".flac", ".mp3", ".ogg", ".m4a")):
        return "audio"
    return "image" if any(word in text for word in ("image", "img", "photo", "pic", ".jp", ".png")) else "video"
