# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Batches: what the loss is on, the sound that must be in them, and cached encoder states that change nothing."""

import copy

import torch

from favor.trainers import FavorDataCollator, load_manifest
from favor.trainers.decoded_clips import decode_clips
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.favor_data_collator import IGNORED_LABEL


def test_the_loss_is_on_answers_and_their_end(model_and_processor, training_dir):
    _, processor = model_and_processor
    sample = load_manifest(training_dir / "train.jsonl")[0]
    later = [{"role": "user", "content": "And then?"}, {"role": "assistant", "content": "nothing"}]
    sample["messages"] = [*sample["messages"], *later]
    before = copy.deepcopy(sample)
    batch = FavorDataCollator(processor)([sample])
    assert sample == before
    learnt = batch["labels"][0] != IGNORED_LABEL
    assert torch.equal(batch["labels"][0][learnt], batch["input_ids"][0][learnt])
    end = processor.tokenizer.eos_token
    answers = [turn["content"] for turn in sample["messages"] if turn["role"] == "assistant"]
    taught = processor.tokenizer.decode(batch["labels"][0][learnt]).split(end)  # a first word begins with a space
    assert [text.strip() for text in taught] == [*answers, ""]


def test_a_video_brings_its_sound_unless_muted(model_and_processor, training_dir):
    _, processor = model_and_processor
    sample = next(row for row in load_manifest(training_dir / "train.jsonl") if row["video"])
    collator = FavorDataCollator(processor)
    assert collator([sample])["input_features_mask"].sum() > 0
    muted = collator([{**sample, "use_own_audio": False}])
    assert "input_features" not in muted
    torch.testing.assert_close(muted["pixel_values_videos"], collator([sample])["pixel_values_videos"])


def test_a_separate_sound_replaces_the_videos_own(model_and_processor, training_dir):
    _, processor = model_and_processor
    rows = list(load_manifest(training_dir / "train.jsonl"))
    video, sound = next(row for row in rows if row["video"]), next(row for row in rows if row["audio"])
    collator = FavorDataCollator(processor)
    both = collator([{**video, "audio": sound["audio"]}])
    torch.testing.assert_close(both["input_features"], collator([sound])["input_features"])


def test_cached_encoder_states_give_the_same_loss(model_and_processor, training_dir):
    model, processor = model_and_processor
    rows = load_manifest(training_dir / "train.jsonl")
    rows = rows.select([next(i for i, row in enumerate(rows) if row[kind]) for kind in ("video", "image", "audio")])
    encoded, collate = encode_dataset(model, processor, rows, decode_clips(rows, processor, workers=0))
    lazy = FavorDataCollator(processor)
    assert encoded["length"] == [len(ids) for ids in encoded["input_ids"]]
    for sample, cached in zip(rows, encoded, strict=True):
        expected, found = lazy([sample]), collate([cached])
        assert torch.equal(expected["input_ids"], found["input_ids"])
        assert torch.equal(expected["labels"], found["labels"])
        with torch.no_grad():  # states and mel features are kept in half precision
            torch.testing.assert_close(model(**found).loss, model(**expected).loss, rtol=5e-3, atol=5e-3)


def test_cached_rows_of_a_batch_do_not_touch_each_other(model_and_processor, training_dir):
    model, processor = model_and_processor
    rows = load_manifest(training_dir / "train.jsonl")
    encoded, collate = encode_dataset(model, processor, rows, decode_clips(rows, processor, workers=0))
    chosen = [encoded[0], encoded[len(encoded) // 2], encoded[len(encoded) - 1]]
    batch = collate(chosen)
    with torch.no_grad():
        together = model(**batch).logits
        for row, cached in enumerate(chosen):
            alone = model(**collate([cached])).logits[0]
            torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-4, atol=1e-4)
