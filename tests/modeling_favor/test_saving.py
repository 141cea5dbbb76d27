# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Saving, loading and placing a model: exact in its own precision, close in bf16, wherever `device_map` puts it."""

import json

import pytest
import torch
from accelerate import infer_auto_device_map
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration

from .tiny_models import PLACEHOLDER, VALUES, Item, model_inputs, tiny_model

SAMPLES = [[1, 3, Item(pictures=3, mel_frames=[24, 10], seed=1), 4], [1, Item(mel_frames=[7], seed=2), 9]]


@pytest.fixture(scope="module")
def model() -> FavorForConditionalGeneration:
    return tiny_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved")
    model.save_pretrained(path)
    return path


def logits_of(model: FavorForConditionalGeneration) -> torch.Tensor:
    with torch.no_grad():
        return model(**model_inputs(model.config, SAMPLES)).logits


def assert_same_weights(loaded: FavorForConditionalGeneration, model: FavorForConditionalGeneration) -> None:
    expected, actual = model.state_dict(), loaded.state_dict()
    assert set(actual) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


@pytest.mark.parametrize("shard_size", ["1GB", "100KB"])
def test_saved_and_loaded_it_is_the_same_model(model, tmp_path, shard_size):
    model.save_pretrained(tmp_path, max_shard_size=shard_size)
    shards = list(tmp_path.glob("*.safetensors"))
    assert (len(shards) > 2) == (shard_size == "100KB")
    loaded, report = FavorForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not loaded.training
    assert_same_weights(loaded, model)
    torch.testing.assert_close(logits_of(loaded), logits_of(model), rtol=0, atol=0)


def test_auto_classes_load_it(model, folder):
    assert type(AutoConfig.from_pretrained(folder)) is FavorConfig
    for auto_class in (AutoModel, AutoModelForImageTextToText, AutoModelForCausalLM):
        loaded = auto_class.from_pretrained(folder)
        assert type(loaded) is FavorForConditionalGeneration
        assert_same_weights(loaded, model)


def test_a_part_missing_in_the_checkpoint_is_initialised(folder, tmp_path, model):
    """Say, to build on published encoders and a language model before any connector is trained."""
    weights = {name: t for name, t in model.state_dict().items() if "connector" not in name}
    config = FavorConfig.from_pretrained(folder)
    loaded, report = FavorForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=weights, output_loading_info=True
    )
    assert {name.split(".")[1] for name in report["missing_keys"]} == {"connector"}
    connector = loaded.model.connector
    std = config.connector_config.initializer_range
    assert connector.causal_qformer.query_tokens.detach().std() == pytest.approx(std, rel=0.5)
    assert connector.language_projection.weight.detach().std() == pytest.approx(std, rel=0.2)
    assert not connector.language_projection.bias.any()
    assert torch.isfinite(logits_of(loaded)).all()


def test_bf16_is_close(model, folder):
    loaded = FavorForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    logits = logits_of(loaded)
    assert logits.dtype == torch.bfloat16
    similarity = torch.cosine_similarity(logits.float().flatten(), logits_of(model).flatten(), dim=0)
    assert similarity > 0.99


def test_half_of_the_model_in_bf16_runs_on_float32_media(model, folder):
    """Frozen encoders in bf16 under a connector and a language model in float32."""
    loaded = FavorForConditionalGeneration.from_pretrained(folder)
    for part in (loaded.model.vision_tower, loaded.model.visual_qformer, loaded.model.audio_tower):
        part.to(torch.bfloat16)
    similarity = torch.cosine_similarity(logits_of(loaded).flatten(), logits_of(model).flatten(), dim=0)
    assert similarity > 0.99


def test_device_map_auto(model, folder):
    loaded = FavorForConditionalGeneration.from_pretrained(folder, device_map="auto")
    torch.testing.assert_close(logits_of(loaded), logits_of(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("on_disk", [["model.connector"], ["model.vision_tower", "model.visual_qformer"]])
def test_parts_kept_on_disk_are_used(model, folder, tmp_path, on_disk):
    parts = ["vision_tower", "visual_qformer", "audio_tower", "connector", "language_model"]
    places = {f"model.{part}": "cpu" for part in parts} | {"lm_head": "cpu"} | dict.fromkeys(on_disk, "disk")
    loaded = FavorForConditionalGeneration.from_pretrained(folder, device_map=places, offload_folder=tmp_path)
    assert {parameter.device.type for parameter in loaded.get_submodule(on_disk[0]).parameters()} == {"meta"}
    torch.testing.assert_close(logits_of(loaded), logits_of(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("budget", [60_000, 150_000, 250_000])
def test_no_device_map_puts_half_a_connector_on_another_device(model, budget):
    memory = {0: budget, 1: budget, "cpu": 10**9}
    device_map = infer_auto_device_map(model, max_memory=memory, no_split_module_classes=model._no_split_modules)
    assert len(set(device_map.values())) > 1
    assert "model.connector" in device_map


def test_classes_not_to_be_split_are_those_in_the_model(model):
    """Whisper's decoder layer is not: FSDP would look for it in vain."""
    present = {type(module).__name__ for module in model.modules()}
    for part in (model, model.model):
        assert part._no_split_modules <= present
        assert {"LlamaDecoderLayer", "WhisperEncoderLayer", "InstructBlipEncoderLayer"} <= part._no_split_modules
    assert "WhisperDecoderLayer" not in present


def test_tied_embeddings_are_one_tensor_before_and_after_saving(tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in saved) + ("model.language_model.embed_tokens.weight" in saved) == 1
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    torch.testing.assert_close(logits_of(loaded), logits_of(model), rtol=0, atol=0)


def test_untied_embeddings_stay_two_tensors(model, folder):
    loaded = FavorForConditionalGeneration.from_pretrained(folder)
    assert not torch.equal(loaded.lm_head.weight, loaded.get_input_embeddings().weight)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False


def test_the_placeholder_may_lie_beyond_the_vocabulary(model):
    beyond = tiny_model(video_token_id=VALUES["text_config"]["vocab_size"] + 6)
    assert_same_weights(beyond, model)
    torch.testing.assert_close(logits_of(beyond), logits_of(model))
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "num_beams": 2, "suppress_tokens": [PLACEHOLDER]}
    answers = [m.generate(**model_inputs(m.config, SAMPLES), **options)[:, -4:] for m in (beyond, model)]
    assert torch.equal(*answers)


def test_more_tokens_can_be_added():
    model = tiny_model()
    expected = logits_of(model)
    model.resize_token_embeddings(70, mean_resizing=False)
    assert model.config.text_config.vocab_size == model.lm_head.out_features == 70
    torch.testing.assert_close(logits_of(model)[..., :64], expected)
    inputs = model_inputs(model.config, SAMPLES)
    labels = inputs["input_ids"].clone()
    labels[:, -1] = 69
    assert torch.isfinite(model(**inputs, labels=labels).loss)
