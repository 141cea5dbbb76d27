# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sizes of public checkpoints, as their config.json state them: each makes a FAVOR whose heads and counts fit.

Everything is built on the meta device, which has shapes and no memory.
"""

import pytest
import torch
from transformers import AutoConfig

from favor.assembly.model_parts import with_fitting_heads
from favor.modeling_favor import FavorConfig, FavorConnector
from favor.modeling_favor.audio_towers_favor import audio_encoder, build_audio_tower
from favor.modeling_favor.vision_towers_favor import picture_shape, picture_width

TEXT = {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 1, "num_attention_heads": 9}


def vit(width: int, layers: int, heads: int, inner: int, patch: int, size: int, **others) -> dict:
    values = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    return {**values, "intermediate_size": inner, "patch_size": patch, "image_size": size, **others}


def dino(width: int, layers: int, heads: int, **others) -> dict:
    values = vit(width, layers, heads, 4 * width, 14, 518, **others)
    return {**values, "mlp_ratio": 4}


def convnext(*widths: int, depth: int = 9) -> dict:
    return {"hidden_sizes": list(widths), "depths": [3, 3, depth, 3], "image_size": 224}


def resnet(kind: str, depths: list[int], *widths: int) -> dict:
    # Its config.json states no size; preprocessor_config.json does, and the assembly takes it from there.
    return {"layer_type": kind, "depths": depths, "hidden_sizes": list(widths), "embedding_size": 64}


def efficientnet(width: float, depth: float, size: int, last: int, square: list[int]) -> dict:
    values = {"width_coefficient": width, "depth_coefficient": depth, "image_size": size, "hidden_dim": last}
    return {**values, "depthwise_padding": square}


def swin(width: int, depth: int, heads: list[int]) -> dict:
    return {"embed_dim": width, "depths": [2, 2, depth, 2], "num_heads": heads, "image_size": 224}


# Model type, values, vectors of a picture, their width, and the heads that the causal Q-Former of 768 gets.
VISION = {
    "openai/clip-vit-base-patch32": ("clip_vision_model", vit(768, 12, 12, 3072, 32, 224), 50, 768, 12),
    "openai/clip-vit-base-patch16": ("clip_vision_model", vit(768, 12, 12, 3072, 16, 224), 197, 768, 12),
    "openai/clip-vit-large-patch14": ("clip_vision_model", vit(1024, 24, 16, 4096, 14, 224), 257, 1024, 16),
    "openai/clip-vit-large-patch14-336": ("clip_vision_model", vit(1024, 24, 16, 4096, 14, 336), 577, 1024, 16),
    "laion/CLIP-ViT-H-14": ("clip_vision_model", vit(1280, 32, 16, 5120, 14, 224), 257, 1280, 16),
    "google/siglip-base-patch16-224": ("siglip_vision_model", vit(768, 12, 12, 3072, 16, 224), 196, 768, 12),
    "google/siglip-large-patch16-256": ("siglip_vision_model", vit(1024, 24, 16, 4096, 16, 256), 256, 1024, 16),
    "google/siglip-so400m-patch14-384": ("siglip_vision_model", vit(1152, 27, 16, 4304, 14, 384), 729, 1152, 12),
    "google/siglip2-so400m-patch16-naflex": (
        "siglip2_vision_model",
        vit(1152, 27, 16, 4304, 16, 256, num_patches=256),
        256,
        1152,
        12,
    ),
    "facebook/dinov2-small": ("dinov2", dino(384, 12, 6), 1370, 384, 12),
    "facebook/dinov2-base": ("dinov2", dino(768, 12, 12), 1370, 768, 12),
    "facebook/dinov2-large": ("dinov2", dino(1024, 24, 16), 1370, 1024, 16),
    "facebook/dinov2-giant": ("dinov2", dino(1536, 40, 24, use_swiglu_ffn=True), 1370, 1536, 12),
    "facebook/dinov3-vits16": ("dinov3_vit", vit(384, 12, 6, 1536, 16, 224, num_register_tokens=4), 201, 384, 12),
    "facebook/dinov3-vitl16": ("dinov3_vit", vit(1024, 24, 16, 4096, 16, 224, num_register_tokens=4), 201, 1024, 16),
    "Salesforce/instructblip (its tower)": (
        "instructblip_vision_model",
        vit(1408, 39, 16, 6144, 14, 224),
        257,
        1408,
        16,
    ),
    "google/vit-base-patch16-224": ("vit", vit(768, 12, 12, 3072, 16, 224), 197, 768, 12),
    "google/vit-large-patch16-224": ("vit", vit(1024, 24, 16, 4096, 16, 224), 197, 1024, 16),
    "facebook/deit-base-distilled-patch16-224": ("deit", vit(768, 12, 12, 3072, 16, 224), 198, 768, 12),
    "microsoft/beit-base-patch16-224": ("beit", vit(768, 12, 12, 3072, 16, 224), 197, 768, 12),
    "microsoft/beit-large-patch16-224": ("beit", vit(1024, 24, 16, 4096, 16, 224), 197, 1024, 16),
    "microsoft/swin-tiny": ("swin", swin(96, 6, [3, 6, 12, 24]), 49, 768, 12),
    "microsoft/swin-base": ("swin", swin(128, 18, [4, 8, 16, 32]), 49, 1024, 16),
    "facebook/convnext-tiny-224": ("convnext", convnext(96, 192, 384, 768), 49, 768, 12),
    "facebook/convnext-base-224": ("convnext", convnext(128, 256, 512, 1024, depth=27), 49, 1024, 16),
    "facebook/convnext-large-224": ("convnext", convnext(192, 384, 768, 1536, depth=27), 49, 1536, 12),
    "facebook/convnextv2-tiny-1k-224": ("convnextv2", convnext(96, 192, 384, 768), 49, 768, 12),
    "facebook/convnextv2-huge-1k-224": ("convnextv2", convnext(352, 704, 1408, 2816, depth=27), 49, 2816, 16),
    "google/efficientnet-b0": ("efficientnet", efficientnet(1.0, 1.0, 224, 1280, []), 49, 1280, 16),
    "google/efficientnet-b1": ("efficientnet", efficientnet(1.0, 1.1, 240, 1280, [16]), 64, 1280, 16),
    "google/efficientnet-b2": ("efficientnet", efficientnet(1.1, 1.2, 260, 1408, [5, 8, 16]), 81, 1408, 16),
    "google/efficientnet-b3": ("efficientnet", efficientnet(1.2, 1.4, 300, 1536, [5, 18]), 100, 1536, 12),
    "google/efficientnet-b4": ("efficientnet", efficientnet(1.4, 1.8, 380, 1792, [6]), 144, 1792, 16),
    "google/efficientnet-b5": ("efficientnet", efficientnet(1.6, 2.2, 456, 2048, [13, 27]), 225, 2048, 16),
    "google/efficientnet-b6": ("efficientnet", efficientnet(1.8, 2.6, 528, 2304, [31]), 289, 2304, 12),
    "google/efficientnet-b7": ("efficientnet", efficientnet(2.0, 3.1, 600, 2560, [18]), 361, 2560, 16),
    "microsoft/resnet-18": ("resnet", resnet("basic", [2, 2, 2, 2], 64, 128, 256, 512), 49, 512, 16),
    "microsoft/resnet-50": ("resnet", resnet("bottleneck", [3, 4, 6, 3], 256, 512, 1024, 2048), 49, 2048, 16),
    "microsoft/resnet-152": ("resnet", resnet("bottleneck", [3, 8, 36, 3], 256, 512, 1024, 2048), 49, 2048, 16),
    "facebook/regnet-y-040": (
        "regnet",
        {"hidden_sizes": [128, 192, 512, 1088], "depths": [2, 6, 12, 2], "groups_width": 64},
        49,
        1088,
        16,
    ),
    "google/mobilenet_v2_1.0_224": ("mobilenet_v2", {"image_size": 224}, 49, 1280, 16),
    "google/mobilenet_v2_0.35_96": ("mobilenet_v2", {"image_size": 96, "depth_multiplier": 0.35}, 9, 1280, 16),
    "google/mobilenet_v2_1.4_224": ("mobilenet_v2", {"image_size": 224, "depth_multiplier": 1.4}, 49, 1792, 16),
}


def whisper(width: int, layers: int, heads: int, mel_bins: int = 80) -> dict:
    values = {"d_model": width, "encoder_layers": layers, "encoder_attention_heads": heads}
    return {**values, "encoder_ffn_dim": 4 * width, "num_mel_bins": mel_bins}


def wave(width: int, layers: int, heads: int, norm: str = "layer") -> dict:
    values = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    stable = {"do_stable_layer_norm": True, "conv_bias": True} if norm == "layer" else {}
    return {**values, "intermediate_size": 4 * width, "feat_extract_norm": norm, **stable}


AUDIO = {
    "openai/whisper-tiny": ("whisper", whisper(384, 4, 6), 384),
    "openai/whisper-base": ("whisper", whisper(512, 6, 8), 512),
    "openai/whisper-small": ("whisper", whisper(768, 12, 12), 768),
    "openai/whisper-medium": ("whisper", whisper(1024, 24, 16), 1024),
    "openai/whisper-large-v3": ("whisper", whisper(1280, 32, 20, 128), 1280),
    "facebook/wav2vec2-base": ("wav2vec2", wave(768, 12, 12, "group"), 768),
    "facebook/wav2vec2-large-960h-lv60": ("wav2vec2", wave(1024, 24, 16), 1024),
    "facebook/wav2vec2-xls-r-2b": ("wav2vec2", wave(1920, 48, 16), 1920),
    "facebook/hubert-base-ls960": ("hubert", wave(768, 12, 12, "group"), 768),
    "facebook/hubert-large-ll60k": ("hubert", wave(1024, 24, 16), 1024),
    "microsoft/wavlm-base-plus": ("wavlm", wave(768, 12, 12, "group"), 768),
    "microsoft/wavlm-large": ("wavlm", wave(1024, 24, 16), 1024),
    "facebook/data2vec-audio-base": ("data2vec-audio", wave(768, 12, 12), 768),
}


@pytest.mark.parametrize("name", VISION)
def test_a_public_vision_tower_fits_the_causal_qformer(name):
    model_type, values, count, width, heads = VISION[name]
    vision = AutoConfig.for_model(model_type, **values)
    assert picture_shape(vision) == (count, width)
    assert picture_width(vision) == width
    connector = with_fitting_heads({}, width)
    assert connector == {"num_attention_heads": heads}
    config = FavorConfig(
        vision_config=vision,
        qformer_config=None,
        text_config=TEXT,
        num_visual_query_tokens=count,
        connector_config=connector,
    )
    assert config.connector_config.visual_hidden_size == width
    with torch.device("meta"):
        layer = FavorConnector(config.connector_config).causal_qformer.layers[0]
    for attention, inner in ((layer.causal_attention, 2 * width), (layer.self_attention, 768)):
        assert attention.query.weight.shape == (inner, inner)
        assert attention.head_dim * heads == inner


@pytest.mark.parametrize("name", AUDIO)
def test_a_public_audio_encoder_gives_fifty_vectors_a_second(name):
    model_type, values, width = AUDIO[name]
    config = AutoConfig.for_model(model_type, **values)
    encoder = audio_encoder(config)
    frames_a_second = 16000 if encoder.reads_samples else 100
    assert frames_a_second / encoder.frames_per_vector(config) == 50
    assert encoder.chunk_frames(config) in (None, 3000)
    with torch.device("meta"), torch.no_grad():
        tower = build_audio_tower(config).eval()
        chunk = torch.empty(1, encoder.channels(config), 30 * frames_a_second)
        states = encoder.states(tower, chunk, None)
    assert states.shape == (1, 1500, width)
    assert encoder.width(config) == width
    whole = FavorConfig(audio_config=config, text_config=TEXT)
    assert whole.connector_config.audio_hidden_size == width
    assert whole.audio_stride == encoder.frames_per_vector(config)
