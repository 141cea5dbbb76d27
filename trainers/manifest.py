# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads training manifests: one JSON line per sample, media paths relative to the file."""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from datasets import Dataset

from favor.processing.media_names_favor import MEDIA_KINDS, PLACEHOLDERS

from .bad_samples import BadSampleError
from .hub_datasets import HubSplit
from .sample_columns import (
    DESCRIPTIVE_KEYS,
    Sample,
    Turn,
    check_manifest_keys,
    check_sample_columns,
)

RELEASED_ROLES = {"human": "user", "gpt": "assistant"}
RELEASED_TURNS = ("conversation", "conversations")
ROLES = ("system", "user", "assistant")
OTHERS = "others"  # in family shares: every family that is not named
_PLACEHOLDERS = re.compile(rf"\s*(?:{'|'.join(PLACEHOLDERS.values())})\s*")


def load_manifest(
    path: str | Path, limit: int | None = None, check_files: bool = True, hub: HubSplit | None = None
) -> Dataset:
    """A manifest as a dataset of `messages` and absolute media paths.

    Each line is `{"messages": [...], "video": "a.mp4", "audio": "b.wav", "image": "c.jpg"}` with any subset of the
    media keys; no `audio` key: the video's own sound is used; `"audio": null`: none. Released FAVOR files
    (`image_name` and `conversation` of `from`/`value`) load, too. Media are opened when a batch is made, not here.

    Args:
        path: a .jsonl manifest, or a .json list of released samples.
        limit: read no more samples than this.
        check_files: whether a media file that does not exist is an error here; else the collator finds it.
        hub: where the manifest comes from; media stay there until they are used.

    Columns: `messages`, `video`, `image`, `audio` (paths or None), `use_own_audio` (False where `"audio": null`
        stands), `origin` (file and line) and those of `DESCRIPTIVE_KEYS` that some line has.

    Raises `ValueError` that names the file and line of a broken sample, of an unknown key, and of a media file that
    does not exist.
    """
    path = Path(path)
    rows: list[Sample] = []
    for row in iterate_manifest(path, check_files, hub):
        if limit is not None and len(rows) >= limit:
            break
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: the manifest holds no sample.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})


def iterate_manifest(path: str | Path, check_files: bool = True, hub: HubSplit | None = None) -> Iterator[Sample]:
    """The rows of [`load_manifest`] one by one; a .jsonl file is never held as a whole."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest; give a .jsonl file, or a dataset of the Hub as ORG/NAME.")
    for number, sample in read_samples(path):
        yield normalise_sample(sample, path, number, check_files, hub)


def is_manifest(path: Path) -> bool:
    """Whether a file's first sample is one of ours, and not a row of other columns."""
    sample = next((sample for _, sample in read_samples(path)), None)
    if not isinstance(sample, Mapping) or not any(key in sample for key in ("messages", *RELEASED_TURNS)):
        return False
    return set(sample) <= {"messages", *RELEASED_TURNS, "image_name", *MEDIA_KINDS, *DESCRIPTIVE_KEYS}


def read_samples(path: Path) -> Iterator[tuple[int, object]]:
    """Line (or place in a .json list, from 1) and sample."""
    with path.open(encoding="utf-8") as file:
        try:
            if path.suffix == ".json":
                yield from enumerate(json.load(file), start=1)
                return
            number = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            place = str(path) if path.suffix == ".json" else f"{path}, line {number}"
            raise ValueError(f"{place}: not valid JSON ({error}); write one JSON object per line.") from error


def normalise_sample(
    sample: object, manifest: Path, number: int, check_files: bool = True, hub: HubSplit | None = None
) -> Sample:
    """One sample with absolute paths, or addresses of the Hub, and chat messages."""
    name = manifest if hub is None else f"{hub.address}/{manifest.name}"
    where = f"{name}, {'sample' if manifest.suffix == '.json' else 'line'} {number}"
    if not isinstance(sample, Mapping):
        raise ValueError(f"{where}: a sample is a JSON object, but this is a {type(sample).__name__}.")
    sample = dict(sample)
    turns = next((sample.pop(key) for key in RELEASED_TURNS if key in sample), None)
    if turns is not None:
        sample |= released_sample(turns, sample.pop("image_name", None), where)
    check_manifest_keys(sample, where)
    row: Sample = {"messages": plain_messages(sample.get("messages"), where)}
    row |= media_columns(sample, manifest, where, check_files, hub)
    check_sample_columns(row)
    described = {key: str(sample[key]) if key == "id" else sample[key] for key in DESCRIPTIVE_KEYS if key in sample}
    return row | cast(Sample, described)


def media_columns(
    sample: Mapping[str, object], manifest: Path, where: str, check_files: bool = True, hub: HubSplit | None = None
) -> Sample:
    """A line's media as absolute paths, or addresses of the Hub; whether a video is heard; and the line's name."""
    row: Sample = {}
    for kind in MEDIA_KINDS:
        value = sample.get(kind)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{where}: {kind} must be the path of a file, but it is {value!r}.")
        if value is None or hub is not None:
            row[kind] = None if value is None or hub is None else hub.file_address(value, where)
            continue
        file = (manifest.parent / value).resolve()
        row[kind] = str(file)
        if check_files and not file.is_file():
            raise ValueError(f"{where}: {kind} file {value} does not exist beside the manifest.")
    row["use_own_audio"] = not ("audio" in sample and sample["audio"] is None)
    row["origin"] = where
    return row


def plain_messages(messages: object, where: str, answered: bool = True) -> list[Turn]:
    """Turns with string contents; lists of text blocks, as transformers writes them, are joined as its template does.

    Args:
        answered: whether an assistant must say something.

    Raises `BadSampleError` (a `ValueError`) if there is nothing to read or nothing to learn.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise BadSampleError("malformed", "`messages` must be a non-empty list of turns.", where)
    plain: list[Turn] = [{"role": turn_role(turn, where), "content": turn_text(turn, where)} for turn in messages]
    if answered and not any(turn["role"] == "assistant" and turn["content"].strip() for turn in plain):
        raise BadSampleError(
            "no answer", "no assistant turn with text, so there is nothing to learn; add the answer.", where
        )
    if not any(turn["role"] == "user" for turn in plain):
        raise BadSampleError("malformed", "no user turn; the media and the question stand in one.", where)
    return plain


def turn_role(turn: object, where: str) -> str:
    role = turn.get("role") if isinstance(turn, Mapping) else None
    if role not in ROLES:
        raise BadSampleError("malformed", f"a turn of `messages` has role {role!r}; it is one of {ROLES}.", where)
    return role


def turn_text(turn: Mapping[str, object], where: str) -> str:
    """A turn's text from a string or text blocks."""
    content = turn.get("content")
    if isinstance(content, str):
        return content
    texts = []
    for block in content if isinstance(content, (list, tuple)) else [content]:
        text = block.get("text") if isinstance(block, Mapping) and block.get("type") == "text" else None
        if not isinstance(text, str):
            raise BadSampleError(
                "malformed",
                "the content of `messages` must be a string or a list of text blocks; media go into the keys `video`, "
                "`image` and `audio`.",
                where,
            )
        texts.append(text.strip())
    return " ".join(texts).strip()


def released_sample(
    turns: Sequence[Mapping[str, str]], image_name: str | list[str] | None, where: str
) -> dict[str, object]:
    """`from`/`value` turns as messages, without the placeholders that such files carry in the text."""
    messages = [
        {
            "role": RELEASED_ROLES.get(turn["from"], turn["from"]),
            "content": _PLACEHOLDERS.sub(" ", turn["value"]).strip(),
        }
        for turn in turns
    ]
    return {"messages": messages, **released_media(image_name, where)}


def released_media(image_name: str | list[str] | None, where: str) -> dict[str, str]:
    """Released files name their media in `image_name`; the suffix tells which stream each is."""
    media = {}
    for name in [image_name] if isinstance(image_name, str) else image_name or []:
        suffix = Path(name).suffix.lower()
        if suffix in (".wav", ".flac", ".mp3", ".ogg", ".m4a"):
            media["audio"] = name
        elif suffix in (".jpg", ".jpeg", ".png", ".webp"):
            media["image"] = name
        elif suffix:
            media["video"] = name
        else:
            raise ValueError(
                f"{where}: cannot tell from {name!r} whether it is video, image or sound; add its suffix."
            )
    return media


def keep_shares(dataset: Dataset, shares: Mapping[str, float], seed: int) -> Dataset:
    """Keeps a random share of each question family; families that are not named are kept whole, or as `others` says.

    Args:
        dataset: with a `family` column.
        shares: by family; 0.5 keeps half of its samples, 2.5 has each of them two or three times. `others` is
            the share of every family that is not named: 0 keeps the named ones only.
        seed: of the choice.

    Raises `ValueError` for a share below 0, and for a family that the dataset does not have.
    """
    families = dataset["family"] if "family" in dataset.column_names else []
    unknown = set(shares) - {*families, OTHERS}
    if unknown:
        raise ValueError(f"The data has no family {', '.join(sorted(unknown))}; it has {sorted(set(families))}.")
    if any(not 0 <= share < math.inf for share in shares.values()):
        raise ValueError(f"Shares must be 0 or more, but they are {shares}.")
    rng = random.Random(seed)
    kept: list[int] = []
    for number, family in enumerate(families):
        times, rest = divmod(shares.get(family, shares.get(OTHERS, 1.0)), 1.0)
        kept += [number] * (int(times) + (rng.random() < rest))
    return dataset.select(kept) if shares else dataset
