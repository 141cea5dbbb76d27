# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Mixes sources of training data by weight, the same way whatever the number of loader workers.

Sample `index` of epoch `epoch` follows from (seed, epoch, index) alone: which source and row it is, and every random
choice of its transforms. So training that is resumed in the middle of an epoch goes on with the same samples.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from datasets import Dataset, IterableDataset
from transformers import TrainerCallback

from favor.processing import FavorProcessor

from .data_sources import DataSource, open_source
from .hub_datasets import hub_splits, is_hub_id
from .manifest import load_manifest
from .sample_columns import Sample
from .sample_length import sample_length
from .source_spec import MixtureSpec, SourceSpec, parse_training_data

SampleDataset: TypeAlias = Dataset | IterableDataset

MOST_WORKERS = 256  # `datasets` stops the loader workers beyond a stream's number of shards


def load_training_data(
    data: str | Path | Sequence[Mapping[str, object]] | Mapping[str, object] | MixtureSpec,
    seed: int = 0,
    batch_size: int = 1,
    check_files: bool = True,
    repeat_streams: bool = True,
) -> SampleDataset:
    """Opens what a recipe names as training data.

    Args:
        data: a recipe's `train_data`: the path of a manifest or folder, the id of a dataset on the Hub
            (`ORG/NAME[@REVISION]`, its split "train"; a path that exists wins), a list of sources, or a mapping with
            `sources` and `epoch_samples` (docs/training-data.md).
        seed: of the mixture.
        batch_size: samples of a micro-batch over all processes; it matters to streams, whose workers take turns by it.
        check_files: whether a media file that a manifest names must exist; else the collator finds it.
        repeat_streams: whether a stream goes on with the next epoch by itself, without end, as training by `max_steps`
            wants it (the trainer cannot count a stream's epochs, and could not resume in the second one).

    Raises `ValueError` for an option that no source has, and for options that contradict each other.

    Returns a `datasets.Dataset`, or an `IterableDataset` if a source is streamed, both for [`FavorSFTTrainer`]. Of a
    mixture, [`mixture_of`] gives the [`DataMixture`].
    """
    spec = parse_training_data(data)
    if isinstance(spec, str):
        if not Path(spec).is_dir() and not is_hub_id(spec):
            return load_manifest(spec, check_files=check_files)
        spec = MixtureSpec(named_sources(spec))
        source = open_source(spec.sources[0], 0, seed, check_files) if len(spec.sources) == 1 else None
        if source is not None and source.from_manifest:
            return source.rows
    sources = [open_source(source, n, seed, check_files) for n, source in enumerate(spec.sources)]
    mixture = DataMixture(sources, seed, spec.epoch_samples)
    return mixture.as_stream(batch_size, repeat_streams) if mixture.streamed else mixture.as_dataset()


def named_sources(name: str) -> list[SourceSpec]:
    """A folder, or a dataset of the Hub with all of its configurations, as sources."""
    if Path(name).is_dir():
        return [SourceSpec(name=name, dataset=name)]
    configs = [split.config for split in hub_splits(name)]
    return [SourceSpec(name=f"{name} {config or ''}".strip(), dataset=name, config=config) for config in configs]


class DataMixture:
    """
    Draws samples of several sources.

    How many of an epoch's samples come from each source: with `samples`, that many; with `weight`, its share of
    `epoch_samples` (by default the rows of all sources with a weight above 0), rounded so that the sum is right; with
    neither, each row once. All sources must say it in the same way; 0 is a source for other sources' transforms alone.
    The rows of a source are taken in random order, all of them before one comes again, going on from epoch to epoch.

    Streams: which source the next sample comes from is drawn by weight, and a stream that ends begins anew, so that
    `epoch_samples` (or `samples`) must end the epoch, if it is to end; without weights an epoch reads them once.

    Args:
        sources: with different names.
        seed: of every choice.
        epoch_samples: see above.
    """

    def __init__(self, sources: Sequence[DataSource], seed: int = 0, epoch_samples: int | None = None):
        self.sources, self.seed, self.epoch_samples = list(sources), seed, epoch_samples
        self.by_name = {source.name: source for source in self.sources}
        if len(self.by_name) < len(self.sources):
            raise ValueError(f"train_data: sources share a name: {[source.name for source in self.sources]}.")
        self.streamed = any(source.streamed for source in self.sources)
        self.check_weights()
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # reaches loader workers that live on
        self._table: tuple[int, np.ndarray] | None = None
        if not self.streamed and sum(self.counts()) == 0:
            raise ValueError("train_data: no sample is drawn; every source has weight or samples 0.")

    def __deepcopy__(self, memo: dict[int, object]) -> "DataMixture":
        return self  # a copied dataset must follow the same epoch

    def check_weights(self) -> None:
        """Raises `ValueError` for weights that do not go together, and for partners that cannot be drawn from."""
        given = {source.share for source in self.sources}
        if len(given) > 1:
            raise ValueError("train_data: give every source a `weight`, every one `samples`, or none of them either.")
        if self.epoch_samples is not None and given != {"weight"}:
            raise ValueError("train_data: epoch_samples is shared out by `weight`; give every source one.")
        for source in self.sources:
            for transform in source.transforms:
                partner = getattr(transform, "partner", source.name) or source.name
                if partner not in self.by_name:
                    raise ValueError(
                        f"train_data: source {source.name!r} has no partner {partner!r}; there are "
                        f"{', '.join(self.by_name)}."
                    )
                if hasattr(transform, "partner") and self.by_name[partner].streamed:
                    raise ValueError(
                        f"train_data: samples cannot be drawn from {partner!r}, which is a stream; name as `partner` "
                        "a source without `streaming`."
                    )

    @property
    def epoch(self) -> int:
        """The epoch whose samples are given."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Goes on to an epoch, in loader workers, too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return sum(self.counts())

    def counts(self) -> list[int]:
        """Samples of each source in an epoch."""
        if self.sources[0].samples is not None:
            return [source.samples or 0 for source in self.sources]
        if self.sources[0].weight is None:
            return [len(source) for source in self.sources]
        weights = [float(source.weight or 0) for source in self.sources]
        total = self.epoch_samples
        if total is None:
            total = sum(len(source) for source in self.sources if source.weight)
        return share_out(total, weights)

    def table(self) -> np.ndarray:
        """(samples, 2) int64 of the epoch: source and row of each index."""
        epoch = self.epoch
        if self._table is None or self._table[0] != epoch:
            parts = []
            for number, (source, count) in enumerate(zip(self.sources, self.counts(), strict=True)):
                rows = self.rows(number, len(source), epoch * count, count)
                parts.append(np.stack([np.full(count, number), rows], 1))
            # First how many of each, then their order: so the shares are exact in every epoch.
            order = np.random.default_rng([self.seed, epoch]).permutation(sum(self.counts()))
            self._table = (epoch, np.concatenate(parts)[order])
        return self._table[1]

    def rows(self, number: int, size: int, start: int, count: int) -> np.ndarray:
        """Rows `start` to `start + count` of a source's endless sequence of permutations."""
        passes = range(start // size, -(-(start + count) // size)) if count else range(0)
        # The 1 keeps these generators from an epoch's: numpy takes [seed, n, 0] for [seed, n].
        orders = [np.random.default_rng([self.seed, number, turn, 1]).permutation(size) for turn in passes]
        return np.concatenate(orders)[start % size :][:count] if count else np.zeros(0, dtype=np.int64)

    def sample(self, index: int) -> Sample:
        """The sample at a place of this epoch, transformed."""
        number, row = self.table()[index]
        source = self.sources[number]
        return self.transformed(source, source.sample(int(row)), self.epoch, index)

    def transformed(self, source: DataSource, sample: Sample, epoch: int, index: int) -> Sample:
        """The sample after its source's transforms."""
        rng = sample_random(self.seed, epoch, index)

        def draw(name: str | None) -> Sample:
            drawn_from = source if name is None else self.by_name[name]
            return drawn_from.sample(rng.randrange(len(drawn_from)))

        for transform in source.transforms:
            sample = transform(sample, rng, draw)
        return sample

    def lengths(self, epoch: int | None = None) -> list[int]:
        """Token costs of an epoch's samples by the `length` columns of the sources' rows, transforms not counted."""
        if epoch is not None:
            self.set_epoch(epoch)
        columns = [np.asarray(source.rows["length"]) for source in self.sources]  # type: ignore[index]
        return [int(columns[number][row]) for number, row in self.table()]

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[object]]:
        """The transform of [`as_dataset`]: places to columns."""
        samples = [self.sample(index) for index in batch["index"]]
        # `datasets` wants the same columns for all rows; what a sample lacks is None.
        names = dict.fromkeys(name for sample in samples for name in sample)
        return {name: [sample.get(name) for sample in samples] for name in names}

    def as_dataset(self) -> Dataset:
        """A lazy `datasets.Dataset`: its rows are made when they are asked for, in loader workers."""
        return Dataset.from_dict({"index": list(range(len(self)))}).with_transform(self)

    def as_stream(self, batch_size: int = 1, repeat: bool = True) -> IterableDataset:
        """An `IterableDataset`; `batch_size` and `repeat` as in [`load_training_data`]."""
        if not repeat and self.sources[0].share == "weight" and self.epoch_samples is None:
            raise ValueError("train_data: streams with weights have no end; give epoch_samples.")
        shards = list(range(MOST_WORKERS))
        arguments = {"mixture": self, "batch_size": batch_size, "repeat": repeat, "shard": shards}
        stream = IterableDataset.from_generator(streamed_samples, gen_kwargs=arguments)
        stream.favor_mixture = self
        return stream

    def stream(self, epoch: int) -> Iterator[tuple[DataSource, Sample]]:
        """Source and untransformed sample, in order, of one epoch."""
        ends = self.sources[0].share == "rows"
        # By source: with `samples` what is left to give, with `weight` the weight, else 1 until it ends.
        left = [1.0 if ends else float(source.samples or source.weight or 0) for source in self.sources]
        limit = self.epoch_samples if self.sources[0].weight is not None else None
        passes = [0] * len(left)
        open_streams = [self.open_stream(number, epoch, 0) for number in range(len(left))]
        rng = random.Random(f"{self.seed}/{epoch}/sources")
        given = 0
        while sum(left) > 0 and (limit is None or given < limit):
            number = rng.choices(range(len(left)), left)[0]
            found = next(open_streams[number], None)
            if found is None and ends:
                left[number] = 0.0
                continue
            if found is None:
                passes[number] += 1
                open_streams[number] = self.open_stream(number, epoch, passes[number])
                found = next(open_streams[number], None)
            if found is None:
                raise ValueError(f"train_data: source {self.sources[number].name!r} holds no sample.")
            if self.sources[number].samples is not None:
                left[number] -= 1
            given += 1
            yield self.sources[number], found

    def open_stream(self, number: int, epoch: int, turn: int) -> Iterator[Sample]:
        """A source's samples from its beginning; each pass of each epoch has an order of its own."""
        # Strings seed `random` by their digest: the same in every process, and all passes differ.
        order = random.Random(f"{self.seed}/{epoch}/{number}/{turn}")
        return self.sources[number].stream(epoch * 1009 + turn, order)


def streamed_samples(mixture: DataMixture, batch_size: int, repeat: bool, shard: list[int]) -> Iterator[Sample]:
    """The samples of a stream that belong to this loader worker: every worker reads all, and yields whole batches.

    Batch k of the loader comes from worker k modulo workers. So the samples are in the same batches with any number of
    workers; only what a worker yields is decoded by it. `datasets` deals its shards out to the workers in turn and
    calls this once for each: shard w, which is worker w's first, stands for the worker, the others for nothing.
    """
    worker = torch.utils.data.get_worker_info()
    number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
    if number not in shard:
        return
    place = 0
    for epoch in itertools.count(mixture.epoch):
        for index, (source, sample) in enumerate(mixture.stream(epoch)):
            if place // batch_size % workers == number:
                yield mixture.transformed(source, sample, epoch, index)
            place += 1
        if not repeat:
            return


class MixtureEpochs(TrainerCallback):
    """Tells a mixture the epoch, also when training is resumed; without it every epoch has the same choices.

    Streams that repeat count their epochs by themselves: the trainer sees one epoch without end.
    """

    def __init__(self, mixture: DataMixture):
        self.mixture = mixture

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        if not self.mixture.streamed:
            self.mixture.set_epoch(int(state.epoch or 0))


def mixture_of(dataset: SampleDataset) -> DataMixture | None:
    """The mixture behind a dataset of [`load_training_data`], None if it is a plain one."""
    if isinstance(dataset, Dataset):
        transform = (dataset.format.get("format_kwargs") or {}).get("transform")
        return transform if isinstance(transform, DataMixture) else None
    return getattr(dataset, "favor_mixture", None)


def sample_random(seed: int, epoch: int, index: int) -> random.Random:
    """The random generator of one sample's transforms."""
    # A digest, since `hash()` of a text differs from process to process.
    return random.Random(int.from_bytes(hashlib.sha256(f"{seed}/{epoch}/{index}".encode()).digest()[:8], "big"))


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights, with sum `total`; the largest remainders are rounded up."""
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [int(value) for value in exact]
    largest = sorted(range(len(weights)), key=lambda n: (counts[n] - exact[n], n))
    for number in largest[: total - sum(counts)]:
        counts[number] += 1
    return counts


def sample_lengths(dataset: SampleDataset, processor: FavorProcessor) -> list[int] | Callable[[int], list[int]]:
    """Token costs for a [`StepLengthSampler`]: the `length` column, which is added to a mixture's sources if missing.

    Raises `ValueError` for a plain dataset without the column (see [`add_length_column`]), and for a stream.
    """
    mixture = mixture_of(dataset)
    if mixture is not None and not mixture.streamed:
        for source in mixture.sources:
            if "length" not in source.rows.column_names:  # type: ignore[union-attr]
                samples = (source.sample(place) for place in range(len(source)))
                known: dict = {}
                lengths = [sample_length(sample, processor, known) for sample in samples]
                source.rows = source.rows.add_column("length", lengths)  # type: ignore[union-attr]
        return mixture.lengths
    if mixture is not None or "length" not in (dataset.column_names or ()):
        raise ValueError(
            "Sorting by length needs a `length` column in the dataset, the tokens of each sample: "
            "add_length_column(dataset, processor) makes it. A stream has none."
        )
    return list(dataset["length"])
