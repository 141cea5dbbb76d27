# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Every vision backbone and every audio encoder of the table inside a FAVOR: widths, counts, rates, forward passes."""

import math

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    HubertConfig,
    PreTrainedConfig,
    Wav2Vec2Config,
    WavLMConfig,
)

from favor.modeling_favor import (
    FavorCausalQFormerConfig,
    FavorConfig,
    FavorConnector,
    FavorForConditionalGeneration,
)
from favor.modeling_favor.audio_towers_favor import AUDIO_ENCODERS, audio_encoder, build_audio_tower
from favor.modeling_favor.vision_towers_favor import (
    build_vision_tower,
    picture_shape,
    picture_size,
    picture_states,
    picture_width,
)

from .tiny_models import VALUES, randomized, tiny_model

SIDE = 64
VIT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": 16,
}
STAGES = {"hidden_sizes": [8, 16, 24, 40], "depths": [1, 1, 1, 1]}
EFFICIENT = {
    "in_channels": [32, 16, 24],
    "out_channels": [16, 24, 40],
    "kernel_sizes": [3, 3, 5],
    "strides": [1, 2, 2],
    "num_block_repeats": [1, 2, 1],
    "expand_ratios": [1, 6, 6],
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "hidden_dim": 1280,
    "image_size": SIDE,
}
# Small towers of each family: model type, values, vectors of a picture of 64 x 64 pixels, their width.
VISION = {
    "clip": ("clip_vision_model", VIT, 17, 32),
    "siglip": ("siglip_vision_model", VIT, 16, 32),
    "siglip2": ("siglip2_vision_model", {**VIT, "num_patches": 16}, 16, 32),
    "eva": ("instructblip_vision_model", VIT, 17, 32),
    "blip-2": ("blip_2_vision_model", VIT, 17, 32),
    "vit": ("vit", VIT, 17, 32),
    "blip": ("blip_vision_model", VIT, 17, 32),
    "altclip": ("altclip_vision_model", VIT, 17, 32),
    "git": ("git_vision_model", VIT, 17, 32),
    "deit": ("deit", VIT, 18, 32),
    "beit": ("beit", VIT, 17, 32),
    "dinov2": ("dinov2", VIT, 17, 32),
    "dinov2 with registers": ("dinov2_with_registers", {**VIT, "num_register_tokens": 4}, 21, 32),
    "dinov3": ("dinov3_vit", {**VIT, "num_register_tokens": 4}, 21, 32),
    "swin": (
        "swin",
        {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
        64,
        16,
    ),
    "convnext": ("convnext", {**STAGES, "image_size": SIDE}, 4, 40),
    "convnextv2": ("convnextv2", {**STAGES, "image_size": SIDE}, 4, 40),
    "resnet": ("resnet", {**STAGES, "embedding_size": 8, "layer_type": "basic", "image_size": SIDE}, 4, 40),
    "regnet": ("regnet", {**STAGES, "embedding_size": 8, "groups_width": 8, "image_size": SIDE}, 4, 40),
    "mobilenet_v2": ("mobilenet_v2", {"depth_multiplier": 0.35, "image_size": SIDE}, 4, 1280),
    "efficientnet": ("efficientnet", EFFICIENT, 64, 1280),
}
WAVE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 4, 2],  # 40 samples a vector
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 10,
}


def vision_config(name: str) -> PreTrainedConfig:
    model_type, values, _, _ = VISION[name]
    return AutoConfig.for_model(model_type, **values)


def pictures(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def tower_of(config: PreTrainedConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return randomized(build_vision_tower(config)).eval()


@pytest.mark.parametrize("name", VISION)
def test_pictures_become_vectors_of_the_width_and_number_that_were_derived(name):
    _, _, count, width = VISION[name]
    config = vision_config(name)
    assert picture_size(config) == (SIDE, SIDE)
    assert picture_width(config) == width
    assert picture_shape(config) == (count, width)
    with torch.no_grad():
        states = picture_states(tower_of(config), pictures())
    assert states.shape == (2, count, width)
    assert torch.isfinite(states).all()


@pytest.mark.parametrize("name", VISION)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_favor_with_any_tower_runs_learns_saves_and_loads(name, attention, tmp_path):
    _, _, count, width = VISION[name]
    heads = math.gcd(width, 24)  # of a Q-Former 24 wide
    connector = {**VALUES["connector_config"], "num_attention_heads": heads, "max_position_embeddings": 128}
    model = tiny_model(
        vision_config=vision_config(name),
        qformer_config=None,
        num_visual_query_tokens=count,
        connector_config=connector,
    )
    assert model.config.connector_config.visual_hidden_size == width
    if attention == "sdpa":
        model.save_pretrained(tmp_path)
        loaded = FavorForConditionalGeneration.from_pretrained(tmp_path, attn_implementation=attention).eval()
    else:
        loaded = model
    pixels = pictures()[None]
    with torch.no_grad():
        expected, actual = (
            whole.model.get_video_features(pixel_values_videos=pixels).pooler_output[0] for whole in (model, loaded)
        )
        changed = model.model.get_video_features(pixel_values_videos=-pixels).pooler_output[0]
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)
    assert (changed - expected).abs().max() > 1e-5  # a random CNN changes little; the same pictures give the same bits
    if attention == "eager":
        model.train()
        model.model.get_video_features(pixel_values_videos=pixels).pooler_output[0].sum().backward()
        assert any(parameter.grad is not None for parameter in model.model.connector.parameters())


@pytest.mark.parametrize("name", ["convnext", "resnet", "regnet", "mobilenet_v2", "efficientnet"])
def test_a_map_is_read_row_by_row_and_a_stage_can_be_chosen_and_pooled(name):
    config = vision_config(name)
    tower = tower_of(config)
    with torch.no_grad():
        outputs = tower(pixel_values=pictures(), output_hidden_states=True)
        last = picture_states(tower, pictures())
        stage = outputs.hidden_states[-2]
        chosen = picture_states(tower, pictures(), feature_layer=-2)
        pooled = picture_states(tower, pictures(), feature_layer=-2, pool_size=2)
    place = outputs.last_hidden_state.shape[-1] + 1  # the second place of the second row
    torch.testing.assert_close(last[:, place], outputs.last_hidden_state[:, :, 1, 1])
    rows, columns = stage.shape[-2:]
    assert chosen.shape == (2, rows * columns, stage.shape[1])
    assert pooled.shape == (2, math.ceil(rows / 2) * math.ceil(columns / 2), stage.shape[1])
    torch.testing.assert_close(pooled[:, 0], stage[:, :, :2, :2].mean((2, 3)))
    assert picture_shape(config, -2, 2) == tuple(pooled.shape[1:])
    assert picture_width(config, -2) == stage.shape[1]


def test_a_chosen_layer_reaches_the_connector():
    values = {"vision_config": vision_config("resnet"), "qformer_config": None, "vision_feature_layer": -2}
    connector = {**VALUES["connector_config"], "num_attention_heads": 4}
    model = tiny_model(**values, vision_pool_size=2, num_visual_query_tokens=4, connector_config=connector)
    assert model.config.connector_config.visual_hidden_size == STAGES["hidden_sizes"][-2]
    with torch.no_grad():
        states = model.model.encode_media(pixel_values_videos=pictures()[None])["visual"]
    assert states.shape == (1, 2, 4, STAGES["hidden_sizes"][-2])


def test_channels_that_stand_last_are_channels():
    assert picture_shape(AutoConfig.for_model("sam2_vision_model")) == (49, 768)


def test_layers_and_pooling_that_a_tower_does_not_have_are_refused_by_name():
    with pytest.raises(ValueError, match="vision_feature_layer=9 is none of the 5 hidden states of ResNetModel"):
        picture_shape(vision_config("resnet"), 9)
    with pytest.raises(ValueError, match="vision_pool_size=2 pools a map, but CLIPVisionModel gives 17 vectors"):
        picture_shape(vision_config("clip"), None, 2)
    with pytest.raises(ValueError, match="'whisper', which is no vision tower"):
        build_vision_tower(AutoConfig.for_model("whisper"))
    with pytest.raises(ValueError, match="'vit_mae', whose encoder leaves patches out at random"):
        picture_shape(AutoConfig.for_model("vit_mae"))


def test_heads_that_do_not_fit_a_tower_are_refused_with_the_number_that_does():
    with pytest.raises(ValueError, match="feature_size 2048 is no multiple .* 12: set .*num_attention_heads=16"):
        FavorConfig(
            vision_config={"model_type": "clip_vision_model", "hidden_size": 1024, "num_attention_heads": 16},
            qformer_config=None,
            num_visual_query_tokens=257,
        )
    # What fits a tower need not fit the paper's.
    connector = {"hidden_size": 640, "num_attention_heads": 20}
    vision = {"model_type": "clip_vision_model", "hidden_size": 1280, "num_attention_heads": 16}
    config = FavorConfig(vision_config=vision, qformer_config=None, connector_config=connector)
    assert config.connector_config.feature_size == 2560
    with pytest.raises(ValueError, match="feature_size 1536 is no multiple of num_attention_heads 20"):
        FavorConnector(FavorCausalQFormerConfig(**connector))


# Encoders that read samples


def audio_config(name: str, **values) -> PreTrainedConfig:
    return AutoConfig.for_model(name, **{**WAVE, **values})


SAMPLE_READERS = [name for name, encoder in AUDIO_ENCODERS.items() if encoder.reads_samples]


@pytest.mark.parametrize("name", SAMPLE_READERS)
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_sounds_states_are_the_published_models_and_do_not_depend_on_its_neighbours(name, norm):
    config = audio_config(name, feat_extract_norm=norm)
    encoder = audio_encoder(config)
    assert encoder.frames_per_vector(config) == 40
    torch.manual_seed(0)
    tower = randomized(build_audio_tower(config)).eval()
    sounds = torch.randn(3, 1, 400)
    lengths = torch.tensor([400, 201, 1])
    with torch.no_grad():
        together = encoder.states(tower, sounds, lengths)
        published = AutoModel.from_config(config).eval()
        published.load_state_dict(tower.state_dict())
        for sound, length, states in zip(sounds, lengths.tolist(), together, strict=True):
            vectors = math.ceil(length / 40)
            # One vector for each begun 40 samples: the last one's convolutions need this many.
            needed = (vectors - 1) * 40 + 10 + 2 * 5 + 1 * 20
            alone = torch.nn.functional.pad(sound[:, :length], (0, needed - length))
            expected = published(alone).last_hidden_state[0]
            assert len(expected) == vectors
            torch.testing.assert_close(states[:vectors], expected, rtol=1e-4, atol=1e-5)
            assert not states[vectors:].any()


@pytest.mark.parametrize("name", SAMPLE_READERS)
def test_a_favor_hears_samples(name, tmp_path):
    model = tiny_model(audio_config=audio_config(name), audio_encoder_rate=2.0 * VALUES["frame_rate"])
    assert model.config.audio_stride == 40
    assert model.config.processor_values()["audio_stride"] == 40
    sound = torch.randn(1, 2, 1, 400)
    mask = torch.ones(1, 2, 400, dtype=torch.long)
    mask[0, 1, 120:] = 0
    model.save_pretrained(tmp_path)
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="sdpa").eval()
    with torch.no_grad():
        states = model.model.encode_media(input_features=sound, input_features_mask=mask)
        again = loaded.model.encode_media(input_features=sound, input_features_mask=mask)
        changed = model.model.encode_media(
            input_features=sound * torch.tensor([1.0, -1.0])[:, None, None], input_features_mask=mask
        )
    assert states["num_audio_vectors"].tolist() == [13]
    assert states["audio"].shape == (1, 13, 16)
    torch.testing.assert_close(again["audio"], states["audio"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(changed["audio"][:, :10], states["audio"][:, :10])
    assert (changed["audio"][:, 10:] - states["audio"][:, 10:]).abs().max() > 1e-4


def test_published_sample_readers_give_fifty_vectors_a_second():
    for config in (Wav2Vec2Config(), HubertConfig(), WavLMConfig()):
        encoder = audio_encoder(config)
        assert encoder.frames_per_vector(config) == 320
        assert encoder.samples_needed(config, 480_000) == 480_080
    with pytest.raises(ValueError, match="add_adapter=True"):
        build_audio_tower(audio_config("wav2vec2", add_adapter=True))
