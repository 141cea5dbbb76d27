# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One source of training samples: a manifest, a dataset of the Hub, or WebDataset shards, in memory or streamed."""

import json
import random
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import datasets
import pyarrow as pa
from datasets import Dataset, IterableDataset

from favor.processing.media_names_favor import MEDIA_KINDS

from .augmentations import MaskModality, Transform, build_transforms
from .hub_datasets import HubSplit, hub_splits
from .joined_questions import join_questions
from .manifest import as_dataset, is_manifest, iterate_manifest, keep_shares, load_manifest
from .media_features import undecoded
from .media_folders import folder_rows, metadata_files
from .media_turns import settled
from .prompt_turns import learnt_turns
from .sample_columns import DESCRIPTIVE_KEYS, MEDIA_LISTS, PROMPTED, Sample, check_sample_columns, kind_of_file
from .source_spec import SourceSpec

Row: TypeAlias = Mapping[str, object]  # of any columns

READERS = {".parquet": "parquet", ".tar": "webdataset", ".jsonl": "json", ".json": "json", ".csv": "csv"}
MAPPED = ("messages", *PROMPTED, *MEDIA_KINDS, *MEDIA_LISTS, "use_own_audio", "question", "answer", *DESCRIPTIVE_KEYS)


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
    rows: Dataset | Callable[[int], Iterator[Row]]
    normalise: "Normaliser"
    weight: float | None
    samples: int | None
    transforms: list[Transform]

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

    def sample(self, place: int) -> Sample:
        """The sample of a row, without transforms."""
        return self.normalise(self.rows[place], place)  # type: ignore[index]

    def keeps_something(self, sample: Sample) -> bool:
        """Whether a [`MaskModality`] would leave anything of the sample."""
        return all(t.keeps_something(sample) for t in self.transforms if isinstance(t, MaskModality))

    def stream(self, epoch: int, order: random.Random) -> Iterator[Sample]:
        """All samples once: a streamed source as it comes, another one in random order."""
        if self.streamed:
            rows = self.rows(epoch)  # type: ignore[operator]
            yield from filter(self.keeps_something, (self.normalise(row, place) for place, row in enumerate(rows)))
        else:
            for place in order.sample(range(len(self)), len(self)):
                yield self.sample(place)


def open_source(spec: SourceSpec, number: int, seed: int, check_files: bool = True) -> DataSource:
    """A source as a recipe describes it; `number` is its place, which names it if it has no name."""
    name = str(number) if spec.name is None else spec.name
    where = f"source {(number if spec.name is None else spec.name)!r}"
    transforms = build_transforms(spec.transforms, where)
    hub = hub_split(spec, where)
    manifest = manifest_of(spec, hub)
    rows = (
        StreamedRows(spec, seed, hub, manifest)
        if spec.streaming
        else whole_rows(spec, seed, check_files, hub, manifest)
    )
    normalise = Normaliser(spec, where, hub, from_manifest=manifest is not None)
    source = DataSource(name, rows, normalise, spec.weight, spec.samples, transforms)
    return source if source.streamed else with_kept_modality(source)


def with_kept_modality(source: DataSource) -> DataSource:
    """Without the rows of which a [`MaskModality`] would leave nothing."""
    if any(isinstance(transform, MaskModality) for transform in source.transforms):
        kept = [number for number in range(len(source)) if source.keeps_something(source.sample(number))]
        if not kept:
            raise ValueError(f"source {source.name!r}: no sample has the modality that mask_modality keeps.")
        source.rows = source.rows.select(kept)  # type: ignore[union-attr]
    return source


def hub_split(spec: SourceSpec, where: str) -> HubSplit | None:
    """Where on the Hub a source lies; None if it lies here."""
    if spec.dataset is None or Path(spec.dataset).exists():
        return None
    name = str(spec.dataset)
    found = hub_splits(name, spec.config, spec.split, spec.revision)
    if len(found) > 1:
        names = ", ".join(str(split.config) for split in found)
        raise ValueError(
            f"{where}: {name} has the configurations {names}; give `config`, or a source for each, or "
            f"`train_data: {name}` for all."
        )
    return found[0]


def manifest_of(spec: SourceSpec, hub: HubSplit | None) -> Path | None:
    """The manifest of a `dataset`, fetched from the Hub or in its folder; None if it is a table of other columns."""
    if spec.dataset is None or spec.media_root is not None:
        return None
    if hub is None:
        files = [Path(spec.dataset) / f"{spec.split}.jsonl"]
    else:
        files = hub.files() if [Path(pattern).suffix for pattern in hub.patterns] == [".jsonl"] else []
    return files[0] if len(files) == 1 and files[0].is_file() and is_manifest(files[0]) else None


def whole_rows(spec: SourceSpec, seed: int, check_files: bool, hub: HubSplit | None, manifest: Path | None) -> Dataset:
    """The rows of a source that is not streamed."""
    if spec.path is not None:
        rows = load_manifest(spec.path, check_files=check_files)
    elif manifest is not None:
        rows = load_manifest(manifest, check_files=check_files, hub=hub)
    elif is_media_folder(spec, hub):
        rows = as_dataset(list(folder_rows(Path(str(spec.dataset)), spec.split, check_files)))
    else:
        rows = undecoded(load(spec, hub, streaming=False))
    if spec.family_shares:
        rows = keep_shares(rows, spec.family_shares, seed)
    if spec.subset is not None:
        if spec.subset > len(rows):
            raise ValueError(f"subset: {spec.subset} samples were asked for, but there are {len(rows)}.")
        rows = rows.select(random.Random(seed).sample(range(len(rows)), spec.subset))
    if spec.questions_per_clip > 1:
        if spec.path is None and manifest is None:
            raise ValueError(
                f"questions_per_clip is {spec.questions_per_clip}, but only a manifest's samples are joined by their "
                "media: leave it out, or write a manifest."
            )
        rows = join_questions(rows, spec.questions_per_clip, seed)
    return rows


@dataclass
class StreamedRows:
    """Opens a streamed source: (pass number) to rows. Loader workers get a copy, and each reads the whole stream."""

    spec: SourceSpec
    seed: int
    hub: HubSplit | None = None
    manifest: Path | None = None

    def __call__(self, epoch: int) -> Iterator[Row]:
        buffer = self.spec.shuffle_buffer
        path = self.manifest if self.spec.path is None else self.spec.path
        if path is not None:
            rows: Iterator[Row] = iterate_manifest(path, check_files=False, hub=self.hub)
        elif is_media_folder(self.spec, self.hub):
            rows = folder_rows(Path(str(self.spec.dataset)), self.spec.split, check_files=False)
        else:
            return self.loaded(epoch)
        return shuffled(rows, buffer, random.Random(self.seed * 1_000_003 + epoch)) if buffer else rows

    def loaded(self, epoch: int) -> Iterator[Row]:
        """What `datasets` streams."""
        stream = undecoded(load(self.spec, self.hub, streaming=True))
        if self.spec.shuffle_buffer:
            stream = stream.shuffle(seed=self.seed + epoch, buffer_size=self.spec.shuffle_buffer)
        # Not iter(stream): in a loader worker that would leave out the shards of the other workers.
        return ({name: values[0] for name, values in batch.items()} for batch in stream.iter(batch_size=1))


def is_media_folder(spec: SourceSpec, hub: HubSplit | None) -> bool:
    """Whether a `dataset` is a folder here of media with their metadata."""
    here = spec.dataset is not None and hub is None and spec.media_root is None and spec.config is None
    return here and bool(metadata_files(Path(str(spec.dataset)), spec.split))


def shuffled(rows: Iterator[Row], size: int, rng: random.Random) -> Iterator[Row]:
    """Rows in random order within a buffer of `size`."""
    held: list[Row] = []
    for row in rows:
        if len(held) < size:
            held.append(row)
            continue
        place = rng.randrange(size)
        held[place], row = row, held[place]
        yield row
    rng.shuffle(held)
    yield from held


def load(spec: SourceSpec, hub: HubSplit | None, streaming: bool) -> Dataset | IterableDataset:
    """A Hub (or local) dataset, or tar shards, by `datasets`."""
    if hub is not None:
        return load_from_hub(hub, streaming)
    if spec.dataset is not None:
        return datasets.load_dataset(str(spec.dataset), spec.config, split=spec.split, streaming=streaming)
    return datasets.load_dataset(
        "webdataset", data_files={"train": spec.webdataset}, split="train", streaming=streaming
    )


def load_from_hub(hub: HubSplit, streaming: bool) -> Dataset | IterableDataset:
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


class Normaliser:
    """Turns a row of any columns into a sample.

    Columns are found by `columns` ({our name: theirs}) or by their own name; `question` and `answer`, a `prompt` for
    all rows and `answer`, or `prompt` and `completion`, make up `messages`. Of WebDataset rows, the suffixes tell the
    media and `json` holds the rest. Other columns are left out, unless they look like media: that is an error.
    """

    def __init__(self, spec: SourceSpec, where: str, hub: HubSplit | None = None, from_manifest: bool = False):
        self.columns, self.prompt = spec.columns, spec.prompt
        self.media_root = None if spec.media_root is None else Path(spec.media_root)
        self.from_manifest, self.shards = spec.path is not None or from_manifest, spec.webdataset is not None
        self.where, self.hub = where, hub
        unknown = set(self.columns) - set(MAPPED)
        if unknown:
            raise ValueError(f"{where}: columns has unknown {', '.join(sorted(unknown))}; known: {', '.join(MAPPED)}.")
        if self.from_manifest and (self.columns or self.prompt):
            raise ValueError(f"{where}: a manifest has our columns; `columns` and `prompt` are for other datasets.")

    def __call__(self, row: Row, place: int) -> Sample:
        if self.from_manifest:
            return cast(Sample, {name: row[name] for name in row if row[name] is not None or name in MEDIA_KINDS})
        if self.shards or "__key__" in row:
            row = from_shard(row)
        origin = f"{self.where}, row {row.get('__key__', place)}"
        row = {name: value for name, value in row.items() if name != "__key__"}
        missing = set(self.columns.values()) - set(row)
        if missing:
            raise ValueError(
                f"{origin}: there is no column {', '.join(sorted(missing))}; it has {', '.join(sorted(row))}."
            )
        rest = {name: value for name, value in row.items() if name not in self.columns.values()}
        found = {name: rest.pop(name) for name in MAPPED if name in rest}
        found |= {name: row[column] for name, column in self.columns.items()}
        check_sample_columns(rest, origin)
        media = {name: found.pop(name, None) for name in (*MEDIA_KINDS, *MEDIA_LISTS)}
        question, answer = found.pop("question", None) or self.prompt, found.pop("answer", None)
        messages = found.pop("messages", None)
        if messages is None and question is not None and answer is not None:
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        prompted = {name: found.pop(name, None) for name in PROMPTED}
        if messages is not None:  # such columns are of the dataset's own, as any others that are left out
            prompted = {}
        given = {**media, **prompted, "messages": messages, "origin": origin}
        check_sample_columns(given)
        sample = settled(learnt_turns(given), given, lambda path, kind: self.file(path, origin))
        sample["origin"] = origin
        sample["use_own_audio"] = found.pop("use_own_audio", None) is not False
        described = {name: value for name, value in found.items() if value is not None and name != "origin"}
        return sample | cast(Sample, described)

    def file(self, path: str, origin: str) -> str:
        """A path below `media_root` or in the repository; any other as it is."""
        if self.media_root is not None:
            return str(self.media_root / path)
        if self.hub is not None and "://" not in path and not Path(path).is_absolute():
            return self.hub.file_address(path, origin)
        return path


def from_shard(row: Row) -> Row:
    """A WebDataset row with its media under our names."""
    described = row.get("json")
    sample = dict(described) if isinstance(described, Mapping) else {}
    for name, value in row.items():
        if name in ("json", "__url__") or value is None:  # None: another sample of the shard has such a file
            continue
        prefix = name.partition(".")[0]  # KEY.audio.mp4: the sound of a video file
        sample[prefix if prefix in MEDIA_KINDS else kind_of_file(f".{name}") or name] = value
    return sample


__all__ = ["DataSource", "Normaliser", "open_source"]
