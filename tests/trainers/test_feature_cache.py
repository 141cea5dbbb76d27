# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The feature cache: equal to encoding anew, invalid after any change that matters, and never half a shard."""

import copy
import os
import pickle
import shutil
import string
from dataclasses import replace

import pytest
import torch
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.processing.items_favor import ItemSource
from favor.trainers import FavorDataCollator, feature_cache, load_manifest, load_training_data
from favor.trainers.decoded_clips import decode_clips
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.feature_cache import PARTIAL, FeatureCache
from favor.trainers.feature_keys import FeatureKeys
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe_sections import ScratchModel
from tests.conftest import tiny_settings

TEXT_INPUTS = ("input_ids", "attention_mask", "labels")


@pytest.fixture
def rows(training_dir, tmp_path):
    """Two questions each about a video, a still, a sound; a muted video; a still with sound; text alone."""
    shutil.copytree(training_dir / "media", tmp_path / "media")
    shutil.copy(training_dir / "train.jsonl", tmp_path / "train.jsonl")
    manifest = load_manifest(tmp_path / "train.jsonl").to_list()
    chosen = [row for kind in ("video", "image", "audio") for row in [r for r in manifest if r[kind]][:2]]
    chosen += [{**chosen[0], "use_own_audio": False}, {**chosen[2], "audio": chosen[4]["audio"]}]
    chosen += [{**chosen[0], "video": None}, {**chosen[0], "audio": chosen[4]["audio"]}]
    chosen += [{**chosen[0], "video": chosen[2]["image"], "audio": chosen[4]["audio"]}]  # a still given as a video
    return Dataset.from_list(chosen)


def encode(model, processor, rows, folder=None, **options):
    return encode_dataset(model, processor, rows, cache_dir=folder, workers=0, progress=False, **options)


def counted(model):
    """How often each tower ran."""
    calls = {"vision": 0, "audio": 0}
    for name, tower in (("vision", model.model.vision_tower), ("audio", model.model.audio_tower)):
        tower.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    return calls


def test_float32_states_are_bit_by_bit_those_of_the_sample_alone(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    model.eval()
    lazy = FavorDataCollator(processor)
    from_disk, read = encode(model, processor, rows, tmp_path / "cache", dtype="float32")
    decoded = decode_clips(rows, processor, workers=0)
    in_memory, read_memory = encode(model, processor, rows, clips=decoded, dtype="float32")
    for sample, *encoded in zip(rows, from_disk, in_memory, strict=True):
        batch = lazy([sample])
        with torch.no_grad():
            states = model.model.encode_media(**{k: v for k, v in batch.items() if k not in TEXT_INPUTS})
        for row, collator in zip(encoded, (read, read_memory), strict=True):
            cached = collator([row])
            assert all(torch.equal(cached[name], batch[name]) for name in TEXT_INPUTS)
            found = cached.get("encoder_states", {})
            assert set(found) == set(states)
            assert all(torch.equal(found[name], states[name]) for name in states)


def test_decoded_clips_follow_the_processors_media_options(model_and_processor, rows, monkeypatch):
    model, processor = model_and_processor
    model.eval()
    monkeypatch.setattr(processor, "media_options", {"start": 0.6, "end": 1.7})
    decoded = decode_clips(rows, processor, workers=0)
    encoded, read = encode(model, processor, rows, clips=decoded, dtype="float32")
    batch, plain = read([encoded[0]]), FavorDataCollator(processor)([rows[0]])
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, model(**plain).logits)


def test_a_batch_gives_the_uncached_loss(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    encoded, collator = encode(model, processor, rows, tmp_path / "cache", dtype="float32")
    with torch.no_grad():
        loss = model.eval()(**FavorDataCollator(processor)(list(rows))).loss
        torch.testing.assert_close(model(**collator(list(encoded))).loss, loss, rtol=1e-5, atol=1e-6)


def test_a_second_run_decodes_and_encodes_nothing(model_and_processor, rows, tmp_path, monkeypatch):
    model, processor = model_and_processor
    first, read = encode(model, processor, rows, tmp_path / "cache")
    calls = counted(model)
    monkeypatch.setattr("favor.trainers.encoder_cache.ClipInputs.__getitem__", lambda *_: pytest.fail("decoded again"))
    again, read_again = encode(model, processor, rows, tmp_path / "cache")
    assert calls == {"vision": 0, "audio": 0}
    assert first.to_list() == again.to_list()
    for row in first:
        same(read([row]), read_again([row]))


def same(batch, other):
    assert set(batch) == set(other)
    for name, value in batch.items():
        same(value, other[name]) if isinstance(value, dict) else torch.testing.assert_close(value, other[name])


def test_loader_workers_read_it(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    encoded, collator = encode(model, processor, rows, tmp_path / "cache")
    expected = [collator([row]) for row in encoded]
    for batch, wanted in zip(DataLoader(encoded, collate_fn=collator, num_workers=2), expected, strict=True):
        same(batch, wanted)
    same(pickle.loads(pickle.dumps(collator))([encoded[0]]), expected[0])  # as spawned workers get it


def change_file(model, processor, rows):
    os.utime(rows[0]["video"], ns=(1, 1))


def change_vision(model, processor, rows):
    with torch.no_grad():
        next(model.model.vision_tower.parameters())[..., 0] += 1e-3


def change_visual_qformer(model, processor, rows):
    with torch.no_grad():
        model.model.visual_qformer.query_tokens += 1e-3


def change_audio(model, processor, rows):
    with torch.no_grad():
        next(model.model.audio_tower.parameters())[..., 0] += 1e-3


def change_pictures(model, processor, rows):
    processor.video_processor.image_mean = [0.0, 0.0, 0.0]


def change_heads(model, processor, rows):
    model.config.vision_config.num_attention_heads = 2


def change_rate(model, processor, rows):
    processor.frame_rate = 5.0


@pytest.mark.parametrize(
    ("change", "vision", "audio"),
    [
        (change_file, True, True),
        (change_vision, True, False),
        (change_visual_qformer, True, False),
        (change_audio, False, True),
        (change_pictures, True, False),
        (change_heads, True, False),
        (change_rate, True, True),
    ],
)
def test_a_change_that_matters_is_encoded_anew(model_and_processor, rows, tmp_path, change, vision, audio):
    model, processor = model_and_processor[0], copy.deepcopy(model_and_processor[1])
    encode(model, processor, rows, tmp_path / "cache")
    calls = counted(model)
    change(model, processor, rows)
    encode(model, processor, rows, tmp_path / "cache")
    assert (calls["vision"] > 0, calls["audio"] > 0) == (vision, audio)


def test_the_stored_dtype_is_part_of_the_key(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    encode(model, processor, rows, tmp_path / "cache", dtype="float16")
    encoded, collator = encode(model, processor, rows, tmp_path / "cache", dtype="float32")
    assert collator.cache.get(encoded[0]["visual_states"][0]).dtype == torch.float32


def test_a_change_that_does_not_matter_keeps_the_states(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor[0], copy.deepcopy(model_and_processor[1])
    encode(model, processor, rows, tmp_path / "cache")
    calls = counted(model)
    with torch.no_grad():
        for part in (model.model.connector, model.model.language_model):
            next(part.parameters()).add_(1.0)
    processor.window_frames, processor.num_query_tokens, processor.synchronize = 2, 3, False
    model.config.audio_config.dropout = model.config.audio_config.decoder_layers = 3
    model.config.qformer_config.hidden_dropout_prob = 0.9
    assert processor.frame_rate == 2.0
    processor.frame_rate = 2  # as a command line's --set gives it
    turns = [rows[0]["messages"][0], {"role": "assistant", "content": "another answer"}]
    rows = rows.from_list([{**row, "messages": turns} if number == 0 else row for number, row in enumerate(rows)])
    encode(model, processor, rows, tmp_path / "cache")
    assert calls == {"vision": 0, "audio": 0}


def test_saving_and_loading_keeps_the_states(rows, tmp_path):
    texts = [turn["content"] for messages in rows["messages"] for turn in messages]
    model, processor = build_from_scratch(ScratchModel(**tiny_settings()), texts * 20, seed=0)
    encode(model, processor, rows, tmp_path / "cache")
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")  # as one of several processes does at the end of a stage
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path / "model")
    for used, its_processor in ((model, processor), (loaded, FavorProcessor.from_pretrained(tmp_path / "model"))):
        calls = counted(used)
        encode(used, its_processor, rows, tmp_path / "cache")
        assert calls == {"vision": 0, "audio": 0}


def test_files_are_told_by_content_on_demand(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    moved = rows.from_list([{**rows[0], "video": str(shutil.copy(rows[0]["video"], tmp_path / "moved.mp4"))}])
    for how, known in (("stat", False), ("content", True)):
        folder = tmp_path / how
        encode(model, processor, rows.select([0]), folder, identify_files_by=how)
        calls = counted(model)
        encode(model, processor, moved, folder, identify_files_by=how)
        assert (calls["vision"] == 0) is known
    with pytest.raises(ValueError, match="identify_files_by must be 'stat' or 'content'"):
        encode(model, processor, rows, identify_files_by="name")


def test_what_a_killed_run_leaves_is_not_trusted(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    folder = tmp_path / "cache"
    _, collator = encode(model, processor, rows, folder)
    stored = len(collator.cache)
    (shard,) = folder.glob("*.safetensors")
    whole = shard.read_bytes()
    for rest, name in ((whole[: len(whole) // 2], shard.name), (whole, shard.name + PARTIAL), (b"", shard.name)):
        shard.unlink(missing_ok=True)
        (folder / name).write_bytes(rest)
        assert len(FeatureCache(folder)) == 0
    calls = counted(model)
    encode(model, processor, rows, folder)
    assert calls["vision"] > 0 and len(FeatureCache(folder)) == stored


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.text(string.ascii_letters + "-/", min_size=1), st.lists(st.integers(0, 4), max_size=3)),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int32]),
    st.integers(1, 200),
)
def test_tensors_come_back_as_they_were(tmp_path, shapes, dtype, shard_bytes):
    folder = tmp_path / str(len(os.listdir(tmp_path)))
    tensors = {key: torch.randn(shape).mul(9).to(dtype) for key, shape in shapes.items()}
    cache = FeatureCache(folder, shard_bytes)
    for key, tensor in tensors.items():
        cache.put({key: tensor})
    for reader in (cache, cache.flush() or FeatureCache(folder)):
        assert len(reader) == len(tensors)
        for key, tensor in tensors.items():
            assert key in reader and reader.shape(key) == tuple(tensor.shape)
            assert torch.equal(reader.get(key), tensor)


@given(st.lists(st.integers(0, 999), max_size=5), st.lists(st.integers(0, 999), max_size=5))
def test_instructions_have_keys_of_their_own(first, second):
    keys = object.__new__(FeatureKeys)
    keys.visual_settings, keys._files = "settings", {"a.mp4": ["stat"]}
    item = ItemSource("video", "a.mp4")
    assert (keys.visual(item, first) == keys.visual(item, second)) is (first == second)
    assert keys.visual(item, first) != keys.visual(replace(item, own_sound=False), first)
    assert keys.visual(item, None) not in (keys.visual(item, first), None)


def test_bad_samples_are_left_out_and_counted(model_and_processor, rows, tmp_path):
    model, processor = model_and_processor
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    bad = [{**rows[0], "video": str(tmp_path / name)} for name in ("broken.mp4", "gone.mp4")]
    mixed = rows.from_list([rows[0], *bad, rows[1]])
    encoded, collator = encode(model, processor, mixed, on_bad_sample="skip")
    assert len(encoded) == 2
    assert sorted(entry["reason"] for entry in collator.bad_samples) == ["missing file", "unreadable media"]
    with pytest.raises(ValueError, match=r"train\.jsonl, line \d+, .*(broken|gone)\.mp4"):
        encode(model, processor, mixed)
    with pytest.raises(ValueError, match="No sample of the dataset can be used: 2 samples skipped"):
        encode(model, processor, rows.from_list(bad), on_bad_sample="skip")


def test_texts_are_cut_as_without_a_cache(model_and_processor, rows):
    model, processor = model_and_processor
    sample = rows.from_list(
        [{**rows[4], "messages": [rows[4]["messages"][0], {"role": "assistant", "content": "x" * 90}]}]
    )
    whole = FavorDataCollator(processor)(list(sample))["input_ids"].shape[1]
    encoded, collator = encode(model, processor, sample, max_length=whole - 20)
    batch, expected = collator(list(encoded)), FavorDataCollator(processor, max_length=whole - 20)(list(sample))
    assert batch["input_ids"].shape[1] == whole - 20
    assert all(torch.equal(batch[name], expected[name]) for name in TEXT_INPUTS)


def test_samples_that_change_with_the_epoch_are_refused(model_and_processor, training_dir):
    model, processor = model_and_processor
    path = str(training_dir / "train.jsonl")
    for changing in ({"transforms": ["match_audio"]}, {"streaming": True}):
        with pytest.raises(ValueError, match="kept of a fixed set of samples"):
            encode(model, processor, load_training_data([{"path": path, **changing}]))


def test_slow_work_is_written_after_five_minutes(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 200))  # seconds: each look at the clock comes 200 s after the one before
    monkeypatch.setattr(feature_cache.time, "monotonic", lambda: next(clock))
    cache = FeatureCache(tmp_path)
    cache.put({"a": torch.zeros(1)})
    assert "a" not in FeatureCache(tmp_path)
    cache.put({"b": torch.zeros(1)})
    assert "a" in FeatureCache(tmp_path) and "b" in FeatureCache(tmp_path)
