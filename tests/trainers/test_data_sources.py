# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sources: datasets in local folders as the Hub's, and tar shards, in memory and streamed, to the same samples."""

import io
import json
import tarfile

import pytest
import torch
from datasets import Dataset
from torch.utils.data import DataLoader

from favor.trainers import FavorDataCollator, load_manifest, load_training_data


@pytest.fixture(scope="module")
def rows(training_dir):
    """A video, a still and a sound, with their questions."""
    manifest = load_manifest(training_dir / "train.jsonl")
    return [next(row for row in manifest if row[kind]) for kind in ("video", "image", "audio")]


def question_and_answer(row):
    return [turn["content"] for turn in row["messages"]]


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(scope="module")
def parquet_dir(rows, tmp_path_factory):
    """A folder in the Hub's layout: parquet files with embedded bytes, under other names."""
    folder = tmp_path_factory.mktemp("parquet")
    columns = {"clip": [], "speech": [], "q": [], "a": [], "speaker": []}
    for row in rows:
        media = row["video"] or row["audio"]
        if media is None:
            continue
        embedded = {"path": "gone.bin", "bytes": read(media)}
        for name, value in zip(columns, (None, None, *question_and_answer(row), "x"), strict=True):
            columns[name].append(value)
        columns["clip" if row["video"] else "speech"][-1] = embedded
    Dataset.from_dict(columns).to_parquet(folder / "train-00000.parquet")
    return folder


@pytest.fixture(scope="module")
def shards(rows, tmp_path_factory):
    """Two WebDataset shards: one sample with a video each."""
    folder = tmp_path_factory.mktemp("shards")
    video = rows[0]
    for number in range(2):
        with tarfile.open(folder / f"train-{number:03d}.tar", "w") as tar:
            for name, data in (
                (f"clip{number}.mp4", read(video["video"])),
                (f"clip{number}.json", json.dumps({"messages": video["messages"], "family": "colours"}).encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return folder


COLUMNS = {"video": "clip", "audio": "speech", "question": "q", "answer": "a"}


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_of_the_hub_give_the_batches_of_a_manifest(parquet_dir, rows, tiny_parts, streaming):
    spec = [{"dataset": str(parquet_dir), "columns": COLUMNS, "streaming": streaming}]
    collator = FavorDataCollator(tiny_parts[1])
    found = sorted(load_training_data(spec, repeat_streams=False), key=lambda row: row["video"] is None)
    assert all("row" in row["origin"] and "speaker" not in row for row in found)
    for row, expected in zip(found, (rows[0], rows[2]), strict=True):
        batch, wanted = collator([row]), collator([expected])
        assert all(torch.equal(batch[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("streaming", [False, True])
def test_tar_shards_give_the_batches_of_a_manifest(shards, rows, tiny_parts, streaming):
    spec = [{"webdataset": str(shards / "train-*.tar"), "streaming": streaming}]
    dataset = load_training_data(spec, batch_size=2, repeat_streams=False)
    collator = FavorDataCollator(tiny_parts[1])
    (batch,) = list(DataLoader(dataset, batch_size=2, collate_fn=collator, num_workers=2 * streaming))
    wanted = collator([rows[0], rows[0]])
    assert set(batch) == set(wanted)
    assert all(torch.equal(batch[name], wanted[name]) for name in wanted)
    assert {row["family"] for row in dataset} == {"colours"}


def test_one_prompt_for_a_corpus_of_transcripts(parquet_dir):
    columns = {"video": "clip", "audio": "speech", "answer": "a"}
    spec = [{"dataset": str(parquet_dir), "columns": columns, "prompt": "Transcribe the speech into text."}]
    assert {row["messages"][0]["content"] for row in load_training_data(spec)} == {"Transcribe the speech into text."}


def test_media_below_a_folder(tmp_path, training_dir, rows):
    name = rows[0]["video"].rpartition("/")[2]
    Dataset.from_dict({"video": [name], "messages": [rows[0]["messages"]]}).to_parquet(tmp_path / "train.parquet")
    spec = [{"dataset": str(tmp_path), "media_root": str(training_dir / "media")}]
    assert load_training_data(spec)[0]["video"] == str(training_dir / "media" / name)


def test_a_media_column_that_nobody_reads_is_an_error(parquet_dir):
    columns = {"video": "clip", "question": "q", "answer": "a"}  # and not `speech`
    with pytest.raises(ValueError, match=r"'speech' looks like media.*columns: \{audio: speech\}"):
        list(load_training_data([{"dataset": str(parquet_dir), "columns": columns}]))
    with pytest.raises(ValueError, match="there is no column sound; it has a, clip, q, speaker, speech"):
        list(load_training_data([{"dataset": str(parquet_dir), "columns": {**COLUMNS, "audio": "sound"}}]))
    with pytest.raises(ValueError, match="columns has unknown sound"):
        load_training_data([{"dataset": str(parquet_dir), "columns": {"sound": "speech"}}])


def test_a_masked_source_drops_what_has_nothing_left(training_dir):
    path = str(training_dir / "train.jsonl")
    for keep, left in (("audio", ("audio",)), ("visual", ("video", "image"))):
        for streaming in (False, True):
            masked = [{"path": path, "streaming": streaming, "transforms": [{"mask_modality": {"keep": keep}}]}]
            samples = list(load_training_data(masked, repeat_streams=False))
            assert samples
            for row in samples:
                assert any(row.get(kind) for kind in left)
                assert not any(row.get(kind) for kind in {"video", "image", "audio"} - set(left))
    with pytest.raises(ValueError, match="no sample has the modality"):
        load_training_data([{"path": path, "family_shares": only(path, "image"), **masked_to("audio")}])


def masked_to(keep):
    return {"transforms": [{"mask_modality": {"keep": keep}}]}


def only(path, kind):
    """Family shares that leave rows of one medium, or none at all of the others."""
    rows = list(load_manifest(path))
    return {row["family"]: 0.0 for row in rows if not row[kind]}


def test_a_fixed_subset_and_family_shares(training_dir):
    path = str(training_dir / "train.jsonl")
    spec = [{"path": path, "subset": 5}]
    chosen = {row["origin"] for row in load_training_data(spec, seed=1)}
    assert len(chosen) == 5
    assert chosen == {row["origin"] for row in load_training_data(spec, seed=1)}
    families = {row["family"] for row in load_manifest(path)}
    dropped = sorted(families)[0]
    kept = load_training_data([{"path": path, "family_shares": {dropped: 0.0}}])
    assert {row["family"] for row in kept} == families - {dropped}
    named = dict.fromkeys(families - {dropped}, 0.0) | {dropped: 1.5}
    kept = load_training_data([{"path": path, "family_shares": {"others": 0, dropped: 1.5}}], seed=1)
    assert {row["family"] for row in kept} == {dropped}
    assert list(kept) == list(load_training_data([{"path": path, "family_shares": named}], seed=1))
