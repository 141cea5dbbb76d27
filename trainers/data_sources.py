# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One source of training samples: a manifest, a dataset of the Hub, or WebDataset shards, in memory or streamed."""

import json
import random
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Dataset

from favor.processing.media_names_favor import MEDIA_KINDS

from .augmentations import MaskModality, build_transforms
from .hub_datasets import HubSplit, hub_splits
from .manifest import is_manifest, iterate_manifest, keep_shares, load_manifest, plain_messages
from .sample_columns import DESCRIPTIVE_KEYS, check_sample_columns

KINDS = ("path", "dataset", "webdataset")
READERS = {".parquet": "parquet", ".tar": "webdataset", ".jsonl": "json", ".json": "json", ".csv": "csv"}
OPTIONS = {
    *KINDS,
    *("name", "config", "split", "revision", "columns", "prompt", "media_root", "streaming", "shuffle_buffer"),
    *("weight", "samples", "subset", "family_shares", "transforms"),
}
MAPPED = ("messages", *MEDIA_KINDS, "use_own_audio", "question", "answer", *DESCRIPTIVE_KEYS)
SHARD_SUFFIXES = {
    "video": ("mp4", "mkv", "webm", "mov", "avi"),
    "audio": ("wav", "flac", "mp3", "ogg", "m4a"),
    "image": ("jpg", "jpeg", "png", "webp"),
}


@dataclass
class DataSource:
    """
    Samples of one kind, with their share in the mixture and their transforms.

    Args:
        name: by which transforms of other sources call it.
        rows: of any columns; of a streamed source a function of the pass's number that opens it.
        normalise: (row, place) to a sample.
        weight, samples: see [`DataMixture`].
        transforms: see `trainers/augmentations.py`.
    """

    name: str
    rows: Dataset | Callable[[int], Iterator[dict]]
    normalise: "Normaliser"
    weight: float | None
    samples: int | None
    transforms: list

    @property
    def share(self) -> str:
        """What says how much of an epoch comes from here: "weight", "samples" or the number of "rows"."""
        return "weight" if self.weight is not None else "samples" if self.samples is not None else "rows"

    @property
    def streamed(self) -> bool:
        return not isinstance(self.rows, Dataset)

    @property
    def from_manifest(self) -> bool:
        """Whether the rows are samples as they are."""
        return self.normalise.from_manifest

    def __len__(self) -> int:
        return len(self.rows)  # type: ignore[arg-type]

    def sample(self, place: int) -> dict[str, Any]:
        """The sample of a row, without transforms."""
        return self.normalise(self.rows[place], place)  # type: ignore[index]

    def keeps_something(self, sample: Mapping[str, Any]) -> bool:
        """Whether a [`MaskModality`] would leave anything of the sample."""
        return all(t.keeps_something(sample) for t in self.transforms if isinstance(t, MaskModality))

    def stream(self, epoch: int, order: random.Random) -> Iterator[dict[str, Any]]:
        """All samples once: a streamed source as it comes, another one in random order."""
        if self.streamed:
            rows = self.rows(epoch)  # type: ignore[operator]
            yield from filter(self.keeps_something, (self.normalise(row, place) for place, row in enumerate(rows)))
        else:
            for place in order.sample(range(len(self)), len(self)):
                yield self.sample(place)


def open_source(spec: Mapping[str, Any], number: int, seed: int, check_files: bool = True) -> DataSource:
    """A source as a recipe describes it (docs/training-data.md).

    Raises `ValueError` for an option that no source has, and for options that contradict each other.
    """
    kinds = [kind for kind in KINDS if kind in spec]
    where = f"source {spec.get('name', number)!r}"
    unknown = set(spec) - OPTIONS
    if unknown or len(kinds) != 1:
        wrong = f"unknown {', '.join(sorted(unknown))}" if unknown else f"it names {kinds or 'no data'}"
        raise ValueError(f"{where}: {wrong}; a source has one of {', '.join(KINDS)} of {', '.join(sorted(OPTIONS))}.")
    transforms = build_transforms(spec.get("transforms") or (), where)
    if spec.get("weight") is not None and spec.get("samples") is not None:
        raise ValueError(f"{where}: give `weight` or `samples`, not both.")
    if any(value is not None and value < 0 for value in (spec.get("weight"), spec.get("samples"))):
        raise ValueError(f"{where}: `weight` and `samples` must not be negative.")
    hub = hub_split(spec, where)
    manifest = manifest_of(spec, hub)
    if spec.get("streaming"):
        refused = [name for name in ("subset", "family_shares") if spec.get(name)]
        if refused:
            raise ValueError(f"{where}: {', '.join(refused)} need the whole data; leave `streaming` out.")
        rows: Any = StreamedRows(dict(spec), seed, hub, manifest)
    else:
        rows = whole_rows(spec, seed, check_files, hub, manifest)
    normalise = Normaliser(spec, where, hub, from_manifest=manifest is not None)
    source = DataSource(
        str(spec.get("name", number)), rows, normalise, spec.get("weight"), spec.get("samples"), transforms
    )
    return source if source.streamed else with_kept_modality(source)


def with_kept_modality(source: DataSource) -> DataSource:
    """Without the rows of which a [`MaskModality`] would leave nothing."""
    if any(isinstance(transform, MaskModality) for transform in source.transforms):
        kept = [number for number in range(len(source)) if source.keeps_something(source.sample(number))]
        if not kept:
            raise ValueError(f"source {source.name!r}: no sample has the modality that mask_modality keeps.")
        source.rows = source.rows.select(kept)  # type: ignore[union-attr]
    return source


def hub_split(spec: Mapping[str, Any], where: str) -> HubSplit | None:
    """Where on the Hub a source lies; None if it lies here."""
    name = spec.get("dataset")
    if name is None or Path(name).exists():
        return None
    found = hub_splits(name, spec.get("config"), spec.get("split", "train"), spec.get("revision"))
    if len(found) > 1:
        names = ", ".join(str(split.config) for split in found)
        raise ValueError(
            f"{where}: {name} has the configurations {names}; give `config`, or a source for each, or "
            f"`train_data: {name}` for all."
        )
    return found[0]


def manifest_of(spec: Mapping[str, Any], hub: HubSplit | None) -> Path | None:
    """The manifest of a `dataset`, fetched from the Hub or in its folder; None if it is a table of other columns."""
    if "dataset" not in spec or spec.get("media_root") is not None:
        return None
    if hub is None:
        files = [Path(spec["dataset"]) / f"{spec.get('split', 'train')}.jsonl"]
    else:
        files = hub.files() if [Path(pattern).suffix for pattern in hub.patterns] == [".jsonl"] else []
    return files[0] if len(files) == 1 and files[0].is_file() and is_manifest(files[0]) else None


def whole_rows(
    spec: Mapping[str, Any], seed: int, check_files: bool, hub: HubSplit | None, manifest: Path | None
) -> Dataset:
    """The rows of a source that is not streamed."""
    if "path" in spec:
        rows = load_manifest(spec["path"], check_files=check_files)
    elif manifest is not None:
        rows = load_manifest(manifest, check_files=check_files, hub=hub)
    else:
        rows = undecoded(load(spec, hub, streaming=False))
    if spec.get("family_shares"):
        rows = keep_shares(rows, spec["family_shares"], seed)
    if spec.get("subset") is not None:
        if spec["subset"] > len(rows):
            raise ValueError(f"subset: {spec['subset']} samples were asked for, but there are {len(rows)}.")
        rows = rows.select(random.Random(seed).sample(range(len(rows)), spec["subset"]))
    return rows


@dataclass
class StreamedRows:
    """Opens a streamed source: (pass number) to rows. Loader workers get a copy, and each reads the whole stream."""

    spec: dict[str, Any]
    seed: int
    hub: HubSplit | None = None
    manifest: Path | None = None

    def __call__(self, epoch: int) -> Iterator[dict]:
        buffer = self.spec.get("shuffle_buffer")
        path = self.spec.get("path", self.manifest)
        if path is not None:
            rows: Iterator[dict] = iterate_manifest(path, check_files=False, hub=self.hub)
            return shuffled(rows, buffer, random.Random(self.seed * 1_000_003 + epoch)) if buffer else rows
        stream = undecoded(load(self.spec, self.hub, streaming=True))
        if buffer:
            stream = stream.shuffle(seed=self.seed + epoch, buffer_size=buffer)
        # Not iter(stream): in a loader worker that would leave out the shards of the other workers.
        return ({name: values[0] for name, values in batch.items()} for batch in stream.iter(batch_size=1))


def shuffled(rows: Iterator[dict], size: int, rng: random.Random) -> Iterator[dict]:
    """Rows in random order within a buffer of `size`."""
    held: list[dict] = []
    for row in rows:
        if len(held) < size:
            held.append(row)
            continue
        place = rng.randrange(size)
        held[place], row = row, held[place]
        yield row
    rng.shuffle(held)
    yield from held


def load(spec: Mapping[str, Any], hub: HubSplit | None, streaming: bool) -> Any:
    """A Hub (or local) dataset, or tar shards, by `datasets`."""
    if hub is not None:
        return load_from_hub(spec, hub, streaming)
    if "dataset" in spec:
        name, split = spec["dataset"], spec.get("split", "train")
        return datasets.load_dataset(name, spec.get("config"), split=split, streaming=streaming)
    files = spec["webdataset"]
    return datasets.load_dataset("webdataset", data_files={"train": files}, split="train", streaming=streaming)


def load_from_hub(spec: Mapping[str, Any], hub: HubSplit, streaming: bool) -> Any:
    """A split of the Hub at its commit: its own files, as the card names them, or what `datasets` finds."""
    reader = READERS.get(Path(hub.patterns[0]).suffix) if hub.patterns else None
    if streaming or reader is None:
        return datasets.load_dataset(hub.name, hub.config, split=hub.split, streaming=streaming, revision=hub.commit)
    files = [str(file) for file in hub.files()]
    features = shard_features(files) if reader == "webdataset" else None
    return datasets.load_dataset(reader, data_files={hub.split: files}, split=hub.split, features=features)


def shard_features(shards: list[str]) -> datasets.Features:
    """The columns of shards, media as bytes: `datasets` itself would want torchcodec to pass sound on."""
    described, suffixes = [], set()
    for shard in shards:
        with tarfile.open(shard) as tar:
            for entry in tar:
                suffix = Path(entry.name).name.partition(".")[2]
                suffixes.add(suffix)
                if suffix == "json":
                    described.append(json.load(tar.extractfile(entry)))  # type: ignore[arg-type]
    columns = {suffix: datasets.Value("binary") for suffix in sorted(suffixes - {"json", ""})}
    if described:
        columns["json"] = datasets.Features.from_arrow_schema(pa.Table.from_pylist(described).schema)
    return datasets.Features(columns | dict.fromkeys(("__key__", "__url__"), datasets.Value("string")))


def undecoded(rows: Any) -> Any:
    """The dataset with media as `{"path", "bytes"}`: they are decoded by our processor, not by `datasets`."""
    features = rows.features or {}
    for name, feature in features.items():
        if isinstance(feature, (datasets.Audio, datasets.Video, datasets.Image)):
            rows = rows.cast_column(name, type(feature)(decode=False))
    return rows


class Normaliser:
    """Turns a row of any columns into a sample.

    Columns are found by `columns` ({our name: theirs}) or by their own name; `question` and `answer`, or `prompt` and
    `answer`, make up `messages`. Of WebDataset rows, the suffixes tell the media and `json` holds the rest. Other
    columns are left out, unless they look like media: that is an error.
    """

    def __init__(self, spec: Mapping[str, Any], where: str, hub: HubSplit | None = None, from_manifest: bool = False):
        self.columns, self.prompt = dict(spec.get("columns") or {}), spec.get("prompt")
        self.media_root = None if spec.get("media_root") is None else Path(spec["media_root"])
        self.from_manifest, self.shards = "path" in spec or from_manifest, "webdataset" in spec
        self.where, self.hub = where, hub
        unknown = set(self.columns) - set(MAPPED)
        if unknown:
            raise ValueError(f"{where}: columns has unknown {', '.join(sorted(unknown))}; known: {', '.join(MAPPED)}.")
        if self.from_manifest and (self.columns or self.prompt):
            raise ValueError(f"{where}: a manifest has our columns; `columns` and `prompt` are for other datasets.")

    def __call__(self, row: dict[str, Any], place: int) -> dict[str, Any]:
        if self.from_manifest:
            return {name: value for name, value in row.items() if value is not None or name in MEDIA_KINDS}
        if self.shards or "__key__" in row:
            row = from_shard(row)
        origin = f"{self.where}, row {row.pop('__key__', place)}"
        missing = set(self.columns.values()) - set(row)
        if missing:
            raise ValueError(
                f"{origin}: there is no column {', '.join(sorted(missing))}; it has {', '.join(sorted(row))}."
            )
        rest = {name: value for name, value in row.items() if name not in self.columns.values()}
        found = {name: rest.pop(name) for name in MAPPED if name in rest}
        found |= {name: row[column] for name, column in self.columns.items()}
        check_sample_columns(rest, origin)
        sample = {kind: self.media(found.pop(kind, None), origin) for kind in MEDIA_KINDS}
        question, answer = found.pop("question", None) or self.prompt, found.pop("answer", None)
        messages = found.pop("messages", None)
        if messages is None and question is not None and answer is not None:
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        sample |= {"messages": plain_messages(messages, origin), "origin": origin}
        used = found.pop("use_own_audio", None)
        sample["use_own_audio"] = used is not False
        return sample | {name: value for name, value in found.items() if value is not None and name != "origin"}

    def media(self, value: Any, origin: str) -> Any:
        """A path below `media_root` or in the repository, or bytes."""
        if isinstance(value, Mapping) and value.get("bytes") is None:
            value = value.get("path")
        if isinstance(value, str) and self.media_root is not None:
            return str(self.media_root / value)
        if isinstance(value, str) and self.hub is not None and "://" not in value:
            return self.hub.file_address(value, origin)
        return value


def from_shard(row: dict[str, Any]) -> dict[str, Any]:
    """A WebDataset row with its media under our names."""
    sample = dict(row.get("json") or {})
    for name, value in row.items():
        if name in ("json", "__url__") or value is None:  # None: another sample of the shard has such a file
            continue
        prefix = name.partition(".")[0]  # KEY.audio.mp4: the sound of a video file
        kind = next((kind for kind, suffixes in SHARD_SUFFIXES.items() if name.lower() in suffixes), name)
        sample[prefix if prefix in MEDIA_KINDS else kind] = value
    return sample


__all__ = ["DataSource", "Normaliser", "open_source"]
