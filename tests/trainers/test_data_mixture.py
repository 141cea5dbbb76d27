# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Mixtures: weights are kept to the sample, and samples depend on seed, epoch and place, not on loader workers."""

import itertools
import json
from collections import Counter

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from favor.trainers import load_training_data
from favor.trainers.data_mixture import DataMixture, MixtureEpochs, mixture_of, sample_lengths, share_out
from favor.trainers.data_sources import DataSource
from favor.trainers.step_length_sampler import StepLengthSampler


def source(name, size, weight=None, samples=None):
    return DataSource(
        name, Dataset.from_dict({"n": range(size)}), lambda row, place: {**row, "s": name}, weight, samples, []
    )


def drawn(mixture, epoch):
    mixture.set_epoch(epoch)
    return [mixture.sample(index) for index in range(len(mixture))]


@given(st.integers(0, 10_000), st.lists(st.floats(0, 100), min_size=1, max_size=6).filter(lambda ws: sum(ws) > 0.01))
def test_shares_are_exact_to_one_sample(total, weights):
    counts = share_out(total, weights)
    assert sum(counts) == total
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1.001
        assert count == 0 or weight > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5), st.integers(1, 4))
def test_every_row_comes_before_one_comes_again(first, second, seed, epochs):
    mixture = DataMixture([source("a", first, weight=1.0), source("b", second, weight=3.0)], seed, epoch_samples=10)
    samples = [sample for epoch in range(epochs) for sample in drawn(mixture, epoch)]
    assert len(samples) == 10 * epochs
    for name, size in (("a", first), ("b", second)):
        times = Counter(sample["n"] for sample in samples if sample["s"] == name)
        counts = [times[row] for row in range(size)]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) == epochs * mixture.counts()["ab".index(name)]


def test_how_much_of_a_source_an_epoch_holds():
    def names(*sources, **options):
        return Counter(sample["s"] for sample in drawn(DataMixture(sources, **options), 0))

    assert names(source("a", 4), source("b", 6)) == {"a": 4, "b": 6}
    assert names(source("a", 4, weight=1), source("b", 6, weight=4)) == {"a": 2, "b": 8}
    assert names(source("a", 4, weight=1), source("b", 6, weight=0)) == {"a": 4}
    assert names(source("a", 4, samples=7), source("b", 6, samples=0)) == {"a": 7}
    assert names(source("a", 4, weight=1), source("b", 6, weight=1), epoch_samples=30) == {"a": 15, "b": 15}


def test_samples_follow_from_seed_and_epoch():
    def make(seed):
        return DataMixture([source("a", 20, weight=1.0), source("b", 20, weight=1.0)], seed)

    assert drawn(make(1), 3) == drawn(make(1), 3)
    assert drawn(make(1), 3) != drawn(make(2), 3)
    mixture = make(1)
    first = drawn(mixture, 0)
    assert drawn(mixture, 1) != first == drawn(mixture, 0)


@pytest.fixture(scope="module")
def recipes(training_dir):
    """`train_data` sections with every kind of random choice: in memory, and with a stream."""
    path = str(training_dir / "train.jsonl")
    pairs = [{"pair_randomly": {"partner": "b", "share": 0.5}}, {"match_audio": {"share": 0.3, "partner": "b"}}]
    kept = {"name": "b", "path": path, "weight": 1, "transforms": ["match_audio"]}
    first = {"name": "a", "path": path, "weight": 2, "transforms": pairs}
    streams = [{**first, "streaming": True, "shuffle_buffer": 8}, kept]
    return {
        "memory": {"sources": [first, kept], "epoch_samples": 30},
        "stream": {"sources": streams, "epoch_samples": 30},
    }


def loaded(dataset, workers, epoch, **options):
    mixture_of(dataset).set_epoch(epoch)
    loader = DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=list, **options)
    return [json.dumps(sample, sort_keys=True) for batch in loader for sample in batch]


@pytest.mark.parametrize("kind", ["memory", "stream"])
def test_the_number_of_workers_changes_nothing(recipes, kind):
    def load(seed=5):
        return load_training_data(recipes[kind], seed=seed, batch_size=4, repeat_streams=False)

    dataset = load()
    alone = loaded(dataset, 0, epoch=0)
    assert len(alone) == 30
    assert any('"audio": "' in sample for sample in alone)
    for workers in (1, 2):
        assert loaded(dataset, workers, epoch=0) == alone
    other = loaded(dataset, 2, epoch=1)
    assert other == loaded(dataset, 0, epoch=1) != alone
    assert loaded(load(), 0, epoch=0) == alone
    assert loaded(load(seed=6), 0, epoch=0) != alone


@pytest.mark.parametrize("workers", [0, 2])
def test_streams_repeat_with_the_next_epochs(recipes, workers):
    def load(repeat):
        return load_training_data(recipes["stream"], seed=5, batch_size=4, repeat_streams=repeat)

    expected = loaded(load(False), 0, epoch=0) + loaded(load(False), 0, epoch=1)
    loader = DataLoader(load(True), batch_size=4, num_workers=workers, collate_fn=list)
    found = [json.dumps(sample, sort_keys=True) for batch in itertools.islice(loader, 15) for sample in batch]
    assert found == expected


def test_workers_that_live_on_follow_the_epoch(recipes):
    dataset = load_training_data(recipes["memory"], seed=5)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=list, persistent_workers=True)
    for epoch in (0, 1):
        mixture_of(dataset).set_epoch(epoch)
        found = [json.dumps(sample, sort_keys=True) for batch in loader for sample in batch]
        assert found == loaded(dataset, 0, epoch)


def test_the_callback_tells_the_epoch_after_resuming_too(recipes):
    mixture = mixture_of(load_training_data(recipes["memory"], seed=5))
    callback = MixtureEpochs(mixture)
    for reached, epoch in ((0, 0), (1.0, 1), (2.4, 2)):
        callback.on_epoch_begin(None, type("State", (), {"epoch": reached})(), None)
        assert mixture.epoch == epoch


def test_lengths_of_a_mixture_follow_the_epoch(recipes, tiny_parts):
    _, processor = tiny_parts
    dataset = load_training_data(recipes["memory"], seed=5)
    lengths = sample_lengths(dataset, processor)
    assert lengths(0) != lengths(1)
    order = list(StepLengthSampler(lengths, step_size=10, seed=0))
    assert sorted(order) == list(range(30))
    first = [lengths(0)[index] for index in order[:10]]
    assert first == sorted(first, reverse=True)
    with pytest.raises(ValueError, match="needs a `length` column"):
        sample_lengths(Dataset.from_dict({"messages": [[]]}), processor)
    with pytest.raises(ValueError, match="A stream has none"):
        sample_lengths(load_training_data(recipes["stream"], seed=5), processor)


def test_a_path_is_a_plain_manifest(training_dir):
    dataset = load_training_data(str(training_dir / "train.jsonl"))
    assert "messages" in dataset.column_names
    assert mixture_of(dataset) is None


def test_streams_without_weights_are_read_once(training_dir):
    path = str(training_dir / "train.jsonl")
    whole = [row["origin"] for row in load_training_data(path)]
    stream = load_training_data([{"path": path, "streaming": True}, {"path": path}], repeat_streams=False)
    assert Counter(row["origin"] for row in stream) == Counter(whole + whole)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"weight": 1}, {"samples": 3}], "every source a `weight`, every one `samples`"),
        ([{"weight": 1}, {}], "every source a `weight`, every one `samples`"),
        ([{"weight": 0}, {"weight": 0}], "no sample is drawn"),
        ([{"weight": 1, "samples": 2}, {}], "give `weight` or `samples`, not both"),
        ([{"weight": -1}, {"weight": 1}], "must not be negative"),
        ([{"name": "x"}, {"name": "x"}], "sources share a name"),
        ([{"transforms": [{"pair_randomly": {"partner": "z"}}]}, {}], "has no partner 'z'; there are 0, 1"),
        ([{"transforms": ["match_audio"], "streaming": True}, {}], "cannot be drawn from '0', which is a stream"),
        ([{"streaming": True, "weight": 1}, {"weight": 1}], "streams with weights have no end"),
        ([{"streaming": True, "subset": 3}, {}], "subset need the whole data"),
        ([{"subset": 1000}, {}], "1000 samples were asked for"),
        ([{"wieght": 1}, {}], r"unknown sources\.0 options wieght; it may have columns, config"),
        ([{"dataset": "x"}, {}], "it names .*'path', 'dataset'"),
        ([{"columns": {"audio": "sound"}}, {}], "a manifest has our columns"),
        ([], "no sources"),
        (["train.jsonl"], r"`sources\.0` must be a mapping, but it is 'train.jsonl'"),
    ],
)
def test_mistakes_in_a_recipe_are_named(training_dir, changes, said):
    path = str(training_dir / "train.jsonl")
    spec = [{"path": path, **change} if isinstance(change, dict) else change for change in changes]
    with pytest.raises(ValueError, match=said):
        load_training_data(spec, repeat_streams=False)


def test_options_beside_the_sources_are_checked(training_dir):
    sources = [{"path": str(training_dir / "train.jsonl")}]
    with pytest.raises(ValueError, match="train_data: unknown epochs; it has sources and may have epoch_samples"):
        load_training_data({"sources": sources, "epochs": 2})
    with pytest.raises(ValueError, match="epoch_samples is shared out by `weight`"):
        load_training_data({"sources": sources, "epoch_samples": 2})
