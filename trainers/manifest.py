# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads training manifests: one JSON line per sample, media paths relative to the file."""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from datasets import Dataset, Features, Json, List, Value, concatenate_datasets

from favor.processing.media_names_favor import MEDIA_KINDS, PLACEHOLDERS

from .hub_datasets import HubSplit
from .media_turns import has_media_blocks, located_turns, settled
from .media_values import Locate, is_one_file, media_source
from .prompt_turns import learnt_turns
from .sample_columns import (
    DESCRIPTIVE_KEYS,
    MEDIA_LISTS,
    Sample,
    check_manifest_keys,
    check_sample_columns,
    kind_of_file,
)

RELEASED_ROLES = {"human": "user", "gpt": "assistant"}
RELEASED_TURNS = ("conversation", "conversations")
OTHERS = "others"  # in family shares: every family that is not named
_PLACEHOLDERS = re.compile(rf"\s*(?:{'|'.join(PLACEHOLDERS.values())})\s*")


def load_manifest(
    path: str | Path, limit: int | None = None, check_files: bool = True, hub: HubSplit | None = None
) -> Dataset:
    """A manifest as a dataset of `messages` and absolute media paths.

    Each line is `{"messages": [...], "video": "a.mp4", "audio": "b.wav", "image": "c.jpg"}` with any subset of the
    media keys; no `audio` key: the video's own sound is used; `"audio": null`: none. `prompt` and `completion` may
    stand for `messages`. Several media are lists in `videos`, `images` and `audios`, or blocks of the turns; a video
    may be a list of its pictures' files. Released FAVOR files (`image_name` and `conversation` of `from`/`value`)
    load, too. Media are opened when a batch is made, not here.

    Args:
        path: a .jsonl manifest, or a .json list of released samples.
        limit: read no more samples than this.
        check_files: whether a media file that does not exist is an error here; else the collator finds it.
        hub: where the manifest comes from; media stay there until they are used.

    Columns: `messages`, `video`, `image`, `audio` (paths or None; see [`settled`]), `use_own_audio` (False where
        `"audio": null` stands), `origin` (file and line) and those of `DESCRIPTIVE_KEYS` that some line has.

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
    return as_dataset(rows)


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
    said = ("messages", "completion", *RELEASED_TURNS)
    if not isinstance(sample, Mapping) or not any(key in sample for key in said):
        return False
    return set(sample) <= {*said, "prompt", "image_name", *MEDIA_KINDS, *MEDIA_LISTS, *DESCRIPTIVE_KEYS}


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
    locate = ManifestFiles(manifest, where, check_files, hub)
    sample["origin"] = where
    row = settled(learnt_turns(sample), sample, locate)
    row |= {"use_own_audio": uses_own_audio(sample), "origin": where}
    check_sample_columns(row)
    described = {key: str(sample[key]) if key == "id" else sample[key] for key in DESCRIPTIVE_KEYS if key in sample}
    return row | cast(Sample, described)


@dataclass(frozen=True)
class ManifestFiles:
    """
    Finds the files that a line names: (path in the manifest, kind) to an absolute one, or an address of the Hub.

    Args:
        manifest: beside which they lie.
        where: the line, for errors.
        check_files: whether they must be there.
        hub: where the manifest comes from; None: from here.
    """

    manifest: Path
    where: str
    check_files: bool = True
    hub: HubSplit | None = None

    def __call__(self, name: str, kind: str) -> str:
        if self.hub is not None:
            return self.hub.file_address(name, self.where)
        file = (self.manifest.parent / name).resolve()
        if self.check_files and not file.is_file():
            raise ValueError(f"{self.where}: {kind} file {name} does not exist beside the manifest.")
        return str(file)


def uses_own_audio(sample: Mapping[str, object]) -> bool:
    """Whether a line lets a video be heard: not where `"audio": null` stands."""
    return not ("audio" in sample and sample["audio"] is None)


def located_media(sample: Mapping[str, object], locate: Locate, where: str) -> dict[str, object]:
    """A line's media where they stand, in columns and in blocks of turns, with files as `locate` finds them."""
    row: dict[str, object] = dict.fromkeys(MEDIA_KINDS)
    for plural, kind in MEDIA_LISTS.items():
        if sample.get(kind) is not None:
            row[kind] = _located(sample[kind], kind, locate, where)
        values = sample.get(plural)
        if isinstance(values, (list, tuple)):
            row[plural] = [_located(value, kind, locate, where) for value in values]
    for name in ("prompt", "messages"):
        if has_media_blocks(sample.get(name)):
            row[name] = located_turns(sample[name], locate, where)
    return row | {"use_own_audio": uses_own_audio(sample), "origin": where}


def _located(value: object, kind: str, locate: Locate, where: str) -> object:
    """A medium as a path or bytes, where it is one file."""
    source = media_source(value, kind, locate, where)
    return next(iter(source.values())) if is_one_file(source, kind) else source


def as_dataset(rows: Sequence[Mapping[str, object]]) -> Dataset:
    """Rows with the columns of all; what a row lacks is None. Turns with media are kept as JSON is."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    # Strings in some turns and blocks in others, of different keys: only JSON holds them as they are.
    json = [name for name in ("messages", "prompt") if any(has_media_blocks(turns) for turns in columns.get(name, ()))]
    turns = List({"role": Value("string"), "content": Json()})
    parts = [Dataset.from_dict({n: columns.pop(n)}, features=Features({n: turns})) for n in json]
    return concatenate_datasets([*parts, Dataset.from_dict(columns)], axis=1)


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
        kind = kind_of_file(name)
        if kind is not None:
            media[kind] = name
        elif Path(name).suffix:
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
