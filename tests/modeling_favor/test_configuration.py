# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The default configuration is the paper's 13B system; wrong values are refused where they are given."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from peft import LoraConfig, get_peft_model
from torch import nn

from favor.modeling_favor import FavorCausalQFormerConfig, FavorConfig, FavorForConditionalGeneration
from favor.modeling_favor.connectors_favor import build_connector
from favor.trainers.favor_sft_trainer import LORA_TARGET_MODULES

from .tiny_models import tiny_config

VICUNA_13B_PARAMETERS = 13_015_864_320


@pytest.fixture(scope="module")
def paper_model() -> FavorForConditionalGeneration:
    """All of the 13B system but its memory."""
    with torch.device("meta"):
        return FavorForConditionalGeneration._from_config(FavorConfig(), dtype=torch.bfloat16)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def connector_parameters(queries: int = 32, d: int = 768, audio: int = 1280, text: int = 5120, ffn: int = 3072) -> int:
    """Read off the tensor shapes of a released checkpoint (docs of the released layout), two blocks."""
    wide = 2 * d
    causal = 4 * linear(wide, wide) + 2 * wide
    of_queries = 4 * linear(d, d) + 2 * d
    cross = 2 * linear(d, d) + 2 * linear(wide, d) + 2 * d
    feed_forward = linear(d, ffn) + linear(ffn, d) + 2 * d
    before = linear(audio, d) + 2 * wide + 4096 * wide + queries * d + 2 * d
    return before + 2 * (causal + of_queries + cross + feed_forward) + linear(d, text)


def qformer_parameters(d: int = 768, vision: int = 1408, ffn: int = 3072) -> int:
    """BERT-base's size with cross-attention in every second layer and a second feed-forward for the queries."""
    norm = 2 * d
    embeddings = 30522 * d + 512 * d + norm
    layer = 4 * linear(d, d) + norm + 2 * (linear(d, ffn) + linear(ffn, d) + norm)
    cross = 2 * linear(d, d) + 2 * linear(vision, d) + norm
    return embeddings + 12 * layer + 6 * cross + 32 * d


def test_parameter_counts_are_those_of_the_published_parts(paper_model):
    parts = paper_model.model
    assert count(parts.vision_tower) == 985_952_256
    assert count(parts.visual_qformer) == qformer_parameters()
    assert round(qformer_parameters() / 1e6) == 186
    assert count(parts.audio_tower) == 636_784_640
    assert count(parts.language_model, paper_model.lm_head) == VICUNA_13B_PARAMETERS
    assert count(parts.connector) == connector_parameters()
    known = [parts.vision_tower, parts.visual_qformer, parts.audio_tower, parts.language_model, parts.connector]
    assert count(paper_model) == count(*known, paper_model.lm_head)


@pytest.mark.parametrize(
    ("target_modules", "parameters", "percent"),
    [
        (LORA_TARGET_MODULES, 52_428_800, "0.40"),
        # The projections that the paper's sentence names; its percentage is that of the line above.
        (
            r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v)_proj|mlp\.(gate|up|down)_proj)",
            112_066_560,
            "0.86",
        ),
    ],
)
def test_share_of_the_language_model_that_lora_trains(target_modules, parameters, percent):
    lora = LoraConfig(r=32, lora_alpha=32, lora_dropout=0.1, target_modules=target_modules)
    with torch.device("meta"):
        model = FavorForConditionalGeneration._from_config(FavorConfig(), dtype=torch.bfloat16)
        adapted = get_peft_model(model, lora, autocast_adapter_dtype=False)
    trained = [(name, parameter) for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for _, parameter in trained) == parameters
    assert f"{100 * parameters / VICUNA_13B_PARAMETERS:.2f}" == percent
    assert all("language_model.layers." in name and "lora_" in name for name, _ in trained)


def test_defaults_are_the_papers_numbers():
    config = FavorConfig()
    connector = config.connector_config
    assert (config.frame_rate, config.audio_vectors_per_frame, connector.vectors_per_frame) == (2.0, 25, 32)
    assert (connector.window_frames, connector.num_query_tokens, connector.num_hidden_layers) == (10, 32, 2)
    assert (connector.feature_size, connector.hidden_size, connector.text_hidden_size) == (1536, 768, 5120)
    assert (connector.causal_attention, connector.synchronize, connector.modalities) == (
        "previous",
        True,
        "audio_visual",
    )
    assert (config.diversity_loss_weight, connector.diversity_loss_reduction) == (0.01, "mean")
    assert (config.vision_config.hidden_size, config.vision_config.num_hidden_layers) == (1408, 39)


@pytest.mark.parametrize(
    "config",
    [
        FavorConfig(),
        tiny_config({"window_frames": None, "causal_attention": "none", "synchronize": False}),
        tiny_config(qformer_config=None, diversity_loss_weight=0),
    ],
    ids=["default", "ablation", "without qformer"],
)
def test_json_round_trip(config, tmp_path):
    config.save_pretrained(tmp_path)
    loaded = FavorConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert type(loaded.connector_config) is FavorCausalQFormerConfig
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["model_type"] == "favor"
    assert values["connector_config"]["window_frames"] == config.connector_config.window_frames


def test_widths_between_parts_follow_the_parts():
    config = tiny_config()
    assert config.qformer_config.encoder_hidden_size == config.vision_config.hidden_size == 16
    connector = config.connector_config
    assert (connector.visual_hidden_size, connector.audio_hidden_size, connector.text_hidden_size) == (24, 20, 32)
    assert (connector.visual_vectors_per_frame, connector.audio_vectors_per_frame) == (5, 4)
    assert tiny_config(qformer_config=None).connector_config.visual_hidden_size == 16


@pytest.mark.parametrize(
    ("audio_encoder_rate", "frame_rate", "vectors"), [(50, 2, 25), (50.0, 0.5, 100), (50, 10, 5), (20, 20, 1)]
)
def test_audio_vectors_of_a_frame(audio_encoder_rate, frame_rate, vectors):
    config = tiny_config(audio_encoder_rate=audio_encoder_rate, frame_rate=frame_rate)
    assert config.audio_vectors_per_frame == config.connector_config.audio_vectors_per_frame == vectors


@pytest.mark.parametrize(("audio_encoder_rate", "frame_rate"), [(50, 3), (50, 4.0), (1, 2)])
def test_rates_without_a_whole_number_of_vectors_a_frame_are_refused(audio_encoder_rate, frame_rate):
    with pytest.raises(
        ValueError, match=f"{audio_encoder_rate} Hz is not a whole multiple of frame_rate {frame_rate}"
    ):
        tiny_config(audio_encoder_rate=audio_encoder_rate, frame_rate=frame_rate)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 770}, "hidden_size 770 .* num_attention_heads 12"),
        ({"window_frames": 0}, "window_frames must be at least 1.*got 0"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        FavorCausalQFormerConfig(**values)


def test_widths_around_the_connector_are_refused_once_they_are_known():
    """A config alone may be read before [`FavorConfig`] fills in the towers' widths."""
    config = FavorCausalQFormerConfig(visual_hidden_size=770)
    for build in (config.check_widths, lambda: build_connector(config)):
        with pytest.raises(ValueError, match="feature_size 1540 .* num_attention_heads 12"):
            build()


CHOICES = {
    "causal_attention": ("previous", "released", "none"),
    "modalities": ("audio_visual", "audio", "visual"),
    "diversity_loss_reduction": ("mean", "sum"),
    "synchronize": (True, False),
    "window_frames": (1, 10, None),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in CHOICES.items() for value in values])
def test_every_documented_choice_is_accepted(name, value):
    assert getattr(tiny_config({name: value}).connector_config, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("causal_attention", "next"),
        ("causal_attention", None),
        ("modalities", "video"),
        ("diversity_loss_reduction", "max"),
        ("synchronize", "False"),
        ("window_frames", "10"),
    ],
)
def test_anything_else_is_refused_by_name(name, value):
    with pytest.raises(StrictDataclassError, match=name):
        FavorCausalQFormerConfig(**{name: value})
