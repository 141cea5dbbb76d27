# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Presets are the published systems; every variant of each is a model that can be built and run."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open

from favor.assembly.presets import (
    preset_config,
    preset_parts,
    preset_processor,
    preset_values,
    variant_names,
)
from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration

REPOSITORY = Path(__file__).parents[2]
QFORMER_PRESETS = ["favor-13b", "favor-7b", "favor-tiny"]


def differences(one: dict, other: dict) -> set[str]:
    """Keys, dotted, whose values differ."""
    found = set()
    for key in set(one) | set(other):
        first, second = one.get(key), other.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            found |= {f"{key}.{below}" for below in differences(first, second)}
        elif first != second:
            found.add(key)
    return found


def parameter_count(name: str) -> int:
    with torch.device("meta"):
        model = FavorForConditionalGeneration._from_config(preset_config(name), dtype=torch.bfloat16)
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes_of_the_papers_systems():
    """13B: tests/modeling_favor/test_configuration.py counts part by part. 7B: another Vicuna, another projection."""
    assert f"{parameter_count('favor-13b') / 1e9:.2f}" == "14.88"
    vicuna_13b, vicuna_7b = 13_015_864_320, 6_738_415_616
    projection = (768 + 1) * (5120 - 4096)
    assert parameter_count("favor-13b") - parameter_count("favor-7b") == vicuna_13b - vicuna_7b + projection


def test_the_second_system_has_the_sizes_of_its_published_parts():
    phi_2, siglip, whisper_encoder = 2_779_683_840, 428_225_600, 636_784_640
    projectors = (1280 + 1 + 1152 + 1) * 2560 + 2 * (2560 + 1) * 2560
    assert parameter_count("av-grounding-phi-2") == phi_2 + siglip + whisper_encoder + projectors
    assert preset_processor("av-grounding-phi-2") == {"num_frames": 100}
    assert preset_processor("favor-13b") == {}


@pytest.mark.parametrize(("variant", "modalities"), [("visual-only", "visual"), ("audio-only", "audio")])
def test_the_second_systems_baselines(variant, modalities):
    assert preset_config("av-grounding-phi-2", variant).connector_config.modalities == modalities


def test_a_variant_of_another_connector_is_refused():
    message = (
        "'without-windows' is one of a favor_causal_qformer; the connector of 'av-grounding-phi-2' is a favor_proj"
    )
    with pytest.raises(ValueError, match=message):
        preset_values("av-grounding-phi-2", "without-windows")


def test_size_of_favor_tiny_is_the_bundled_models():
    with safe_open(REPOSITORY / "favor" / "favor_tiny" / "model.safetensors", "pt") as weights:
        stored = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    assert parameter_count("favor-tiny") == stored


def test_the_papers_system_is_the_default_configuration():
    assert preset_config("favor-13b").to_dict() == FavorConfig().to_dict()
    assert differences(preset_config("favor-7b").to_dict(), FavorConfig().to_dict()) == {
        "connector_config.text_hidden_size",
        *(f"text_config.{name}" for name in ("hidden_size", "intermediate_size", "num_hidden_layers")),
        *(f"text_config.{name}" for name in ("num_attention_heads", "num_key_value_heads")),
    }


def test_favor_tiny_is_the_bundled_model():
    bundled = FavorConfig.from_pretrained(REPOSITORY / "favor" / "favor_tiny")
    of_any_saved_model = {"architectures", "auto_map", "custom_pipelines", "dtype"}
    found = differences(preset_config("favor-tiny").to_dict(), bundled.to_dict())
    assert {name for name in found if not name.endswith(".dtype")} <= of_any_saved_model


def test_favor_tiny_is_what_its_recipe_builds():
    """The recipe's values all, and beside them what building from scratch adds: the tokenisers' sizes and ids."""
    recipe = yaml.safe_load((REPOSITORY / "recipes" / "favor-tiny.yaml").read_text())["from_scratch"]["config"]
    added = differences(preset_values("favor-tiny"), recipe)
    token_ids = {"pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "vocab_size"}
    named = {"video_token_id", "qformer_config.model_type", "connector_config.model_type"}
    assert {name for name in added if name.split(".")[-1] not in token_ids} == named


@pytest.mark.parametrize("variant", variant_names())
@pytest.mark.parametrize("name", QFORMER_PRESETS)
def test_every_variant_of_every_causal_qformer_preset_is_valid_and_differs(name, variant):
    config = preset_config(name, variant)
    plain = preset_config(name)
    assert differences(config.to_dict(), plain.to_dict())
    connector = config.connector_config
    if connector.window_frames is not None:
        assert connector.window_frames * connector.vectors_per_frame <= connector.max_position_embeddings
    if "windows" in variant and variant != "without-windows":
        assert connector.num_query_tokens / connector.window_frames == (
            plain.connector_config.num_query_tokens / plain.connector_config.window_frames
        )


@pytest.mark.parametrize(
    ("variant", "values"),
    [
        ("without-causal-attention", {"causal_attention": "none"}),
        ("without-windows", {"window_frames": None}),
        ("without-synchronisation", {"synchronize": False}),
        ("video-llama-like", {"causal_attention": "none", "synchronize": False, "window_frames": 10}),
        ("audio-only", {"modalities": "audio"}),
        ("visual-only", {"modalities": "visual"}),
        ("released-direction", {"causal_attention": "released"}),
        ("half-windows", {"window_frames": 5, "num_query_tokens": 16}),
        ("fourfold-windows", {"window_frames": 40, "num_query_tokens": 128}),
        ("fps-1", {"audio_vectors_per_frame": 50, "window_frames": 10}),
    ],
)
def test_variants_are_the_ablations_that_they_name(variant, values):
    connector = preset_config("favor-13b", variant).connector_config
    assert {name: getattr(connector, name) for name in values} == values


def test_variants_combine():
    combined = preset_config(
        "favor-13b", "without-causal-attention", "without-synchronisation", "without-diversity-loss"
    )
    assert combined.to_dict() == preset_config("favor-13b", "video-llama-like").to_dict()


@pytest.mark.parametrize("variant", variant_names())
def test_every_variant_answers(variant):
    config = preset_config("favor-tiny", variant)
    torch.manual_seed(0)
    model = FavorForConditionalGeneration(config).eval()
    media = {"pixel_values_videos": torch.randn(1, 3, 3, 64, 64), "input_features": torch.randn(1, 1, 40, 400)}
    media["input_features_mask"] = (torch.arange(400) < 120).long()[None, None]
    with torch.no_grad():
        tokens = len(model.get_video_features(**media).pooler_output[0])
        input_ids = torch.tensor([[1, *[config.video_token_id] * tokens, 5, 6]])
        answer = model.generate(input_ids=input_ids, **media, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    assert answer.shape == (1, tokens + 5)


def test_public_parts():
    assert preset_parts("favor-13b")["whisper"] == "openai/whisper-large-v2"
    assert preset_parts("favor-7b")["vision"] == "Salesforce/instructblip-vicuna-7b"
    assert preset_parts("favor-tiny") == {}


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="'favor-70b' is none of the presets: favor-13b, favor-7b"):
        preset_values("favor-70b")
    with pytest.raises(ValueError, match="'no-windows' is none of the variants: .*without-windows"):
        preset_values("favor-13b", "no-windows")


def test_a_window_that_cannot_be_halved_again_is_refused():
    with pytest.raises(ValueError, match="multiplies connector_config.window_frames of 'favor-13b', 5, by 0.5"):
        preset_values("favor-13b", "half-windows", "half-windows")


def test_values_handed_out_are_copies():
    preset_values("favor-tiny")["connector_config"]["window_frames"] = 1
    assert preset_values("favor-tiny")["connector_config"]["window_frames"] == 4
