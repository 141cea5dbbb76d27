# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The encoders are those of the published models: the same vectors per picture, the same states per sound."""

import pytest
import torch
from transformers import (
    Blip2Config,
    Blip2Model,
    CLIPVisionModel,
    Dinov2Model,
    InstructBlipConfig,
    InstructBlipModel,
    SiglipVisionModel,
    WhisperConfig,
    WhisperModel,
)

from favor.modeling_favor.towers_favor import FavorVisualQFormer, build_audio_tower, build_vision_tower

from .tiny_models import VALUES, randomized

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
PICTURES = SIZES | {"image_size": 8, "patch_size": 4, "initializer_range": 0.2}
TEXT = SIZES | {"model_type": "opt", "ffn_dim": 32, "word_embed_proj_dim": 16, "vocab_size": 50, "pad_token_id": 0}
QFORMER = VALUES["qformer_config"] | {"encoder_hidden_size": 16}


def pixels() -> torch.Tensor:
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("config_class", "model_class", "qformer_type"),
    [(Blip2Config, Blip2Model, "blip_2_qformer"), (InstructBlipConfig, InstructBlipModel, "instructblip_qformer")],
)
def test_query_outputs_are_the_published_models(config_class, model_class, qformer_type):
    qformer = {key: value for key, value in QFORMER.items() if "blip_2" not in qformer_type or key != "vocab_size"}
    config = config_class(
        vision_config=PICTURES, qformer_config=qformer, text_config=TEXT, num_query_tokens=5, image_token_index=49
    )
    torch.manual_seed(0)
    published = randomized(model_class(config)).eval()
    vision_tower = build_vision_tower(config.vision_config).eval()
    vision_tower.load_state_dict(published.vision_model.state_dict())
    ours = FavorVisualQFormer(config.qformer_config, 5).eval()
    assert config.qformer_config.model_type == qformer_type
    ours.qformer.load_state_dict(published.qformer.state_dict())
    ours.query_tokens.data.copy_(published.query_tokens)
    instruction = {}
    if ours.reads_instruction:
        ids = torch.tensor([[5, 6, 7], [8, 9, 0], [3, 0, 0]])
        instruction = {"qformer_input_ids": ids, "qformer_attention_mask": (ids > 0).long()}
    seen = []
    published.language_projection.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    with torch.no_grad():
        patches = vision_tower(pixel_values=pixels()).last_hidden_state
        actual = ours(patches, **instruction)
        media = torch.full((3, 5), 49)
        published(pixel_values=pixels(), input_ids=media, attention_mask=torch.ones_like(media), **instruction)
    assert actual.shape == (3, 5, 24)
    torch.testing.assert_close(actual, seen[0])


@pytest.mark.parametrize(("model_class", "vectors"), [(CLIPVisionModel, 5), (SiglipVisionModel, 4), (Dinov2Model, 5)])
def test_patch_states_are_the_published_models(model_class, vectors):
    config = model_class.config_class(**PICTURES)
    torch.manual_seed(0)
    published = randomized(model_class(config)).eval()
    tower = build_vision_tower(config).eval()
    tower.load_state_dict(published.state_dict())
    with torch.no_grad():
        actual, expected = (model(pixel_values=pixels()).last_hidden_state for model in (tower, published))
    assert actual.shape == (3, vectors, 16)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_audio_states_are_whispers():
    values = {key: value for key, value in VALUES["audio_config"].items() if key != "model_type"}
    config = WhisperConfig(**values, decoder_attention_heads=4)
    torch.manual_seed(0)
    published = randomized(WhisperModel(config)).eval()
    tower = build_audio_tower(config).eval()
    tower.load_state_dict(published.encoder.state_dict())
    sound = torch.randn(2, 8, 24)
    with torch.no_grad():
        actual = tower(sound).last_hidden_state
        expected = published(sound, decoder_input_ids=torch.zeros(2, 1, dtype=torch.long)).encoder_last_hidden_state
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
