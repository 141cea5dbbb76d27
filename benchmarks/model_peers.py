# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR and the models it is timed against, at equal sizes with random weights, and the same clip for each of them.

Equal are: width, depth and heads of the vision and audio towers, the visual Q-Former (InstructBLIP's), and the
language model, which reads 32 tokens of text beside the clip. The peers are transformers' own: the thinker of
Qwen2.5-Omni and InstructBlipVideo, which hears nothing.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    InstructBlipVideoConfig,
    InstructBlipVideoForConditionalGeneration,
    LlamaConfig,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration

FRAME_RATE, IMAGE_SIZE, PATCH_SIZE = 2, 56, 14  # Hz, pixels, pixels
MEL_RATE, MEL_BINS = 100, 80  # Hz
TEXT_TOKENS, INSTRUCTION_TOKENS = 32, 16
VOCABULARY = 2048
PLACEHOLDER, SOUND_PLACEHOLDER, FIRST_MARK = 2000, 2001, 2010  # the highest text token is below all of them


@dataclass(frozen=True)
class Sizes:
    """Of the parts that all models have."""

    text_width: int = 256
    text_layers: int = 4
    tower_width: int = 64
    tower_layers: int = 2
    text_heads: int = 4
    tower_heads: int = 2
    visual_queries: int = 4  # vectors per picture, of InstructBlipVideo and FAVOR
    audio_chunk_seconds: int = 30  # that FAVOR's Whisper hears at once; Qwen2.5-Omni's tower: 2


def text_values(sizes: Sizes) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": sizes.text_width,
        "intermediate_size": 4 * sizes.text_width,
        "num_hidden_layers": sizes.text_layers,
        "num_attention_heads": sizes.text_heads,
        "num_key_value_heads": sizes.text_heads,
        "max_position_embeddings": 32768,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    }


def vision_values(sizes: Sizes) -> dict[str, Any]:
    return {
        "hidden_size": sizes.tower_width,
        "intermediate_size": 4 * sizes.tower_width,
        "num_hidden_layers": sizes.tower_layers,
        "num_attention_heads": sizes.tower_heads,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "initializer_range": 0.02,
    }


def qformer_values(sizes: Sizes) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": sizes.tower_width,
        "intermediate_size": 4 * sizes.tower_width,
        "num_hidden_layers": sizes.tower_layers,
        "num_attention_heads": sizes.tower_heads,
        "pad_token_id": 0,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def audio_values(sizes: Sizes) -> dict[str, Any]:
    return {
        "num_mel_bins": MEL_BINS,
        "d_model": sizes.tower_width,
        "encoder_layers": sizes.tower_layers,
        "encoder_attention_heads": sizes.tower_heads,
        "encoder_ffn_dim": 4 * sizes.tower_width,
    }


def build_favor(sizes: Sizes) -> nn.Module:
    """The paper's connector (32 queries per window of 5 s) in the towers' width, dropout off as in the peers."""
    config = FavorConfig(
        vision_config={"model_type": "instructblip_vision_model"} | vision_values(sizes),
        qformer_config=qformer_values(sizes),
        audio_config={"model_type": "whisper", "decoder_layers": 1, "decoder_start_token_id": 1, "vocab_size": 64}
        | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        | {"max_source_positions": sizes.audio_chunk_seconds * MEL_RATE // 2}
        | audio_values(sizes),
        connector_config={
            "hidden_size": sizes.tower_width,
            "intermediate_size": 4 * sizes.tower_width,
            "num_attention_heads": sizes.tower_heads,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        text_config={"model_type": "llama"} | text_values(sizes),
        num_visual_query_tokens=sizes.visual_queries,
        video_token_id=PLACEHOLDER,
    )
    return FavorForConditionalGeneration(config)


def build_omni(sizes: Sizes) -> nn.Module:
    """Its vision tower joins two frames to one and has gated feed-forwards, made as large as the other towers'."""
    quarter = sizes.text_width // sizes.text_heads // 8  # of the rotary frequencies: half of a head
    sections = [2 * quarter, quarter, quarter]  # time, height, width
    config = Qwen2_5OmniThinkerConfig(
        audio_config=audio_values(sizes) | {"output_dim": sizes.text_width},
        vision_config={
            "depth": sizes.tower_layers,
            "hidden_size": sizes.tower_width,
            "intermediate_size": 8 * sizes.tower_width // 3,
            "num_heads": sizes.tower_heads,
            "out_hidden_size": sizes.text_width,
            "patch_size": PATCH_SIZE,
            "fullatt_block_indexes": [sizes.tower_layers - 1],
        },
        text_config=text_values(sizes)
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}},
        video_token_index=PLACEHOLDER,
        audio_token_index=SOUND_PLACEHOLDER,
        image_token_index=FIRST_MARK + 4,
        vision_start_token_id=FIRST_MARK,
        vision_end_token_id=FIRST_MARK + 1,
        audio_start_token_id=FIRST_MARK + 2,
        audio_end_token_id=FIRST_MARK + 3,
    )
    return Qwen2_5OmniThinkerForConditionalGeneration(config)


def build_instructblip_video(sizes: Sizes) -> nn.Module:
    config = InstructBlipVideoConfig(
        vision_config=vision_values(sizes),
        qformer_config=qformer_values(sizes),
        text_config={"model_type": "llama"} | text_values(sizes),
        num_query_tokens=sizes.visual_queries,
        video_token_index=PLACEHOLDER,
    )
    return InstructBlipVideoForConditionalGeneration(config)


def build_language_model(sizes: Sizes) -> nn.Module:
    return AutoModelForCausalLM.from_config(LlamaConfig(**text_values(sizes)))


BUILDERS = {
    "FAVOR": build_favor,
    "Qwen2.5-Omni thinker": build_omni,
    "InstructBlipVideo": build_instructblip_video,
    "language model": build_language_model,
}
PEERS = ("Qwen2.5-Omni thinker", "InstructBlipVideo")


def build(name: str, sizes: Sizes) -> nn.Module:
    torch.manual_seed(0)
    return BUILDERS[name](sizes).eval()


def freeze_towers(model: nn.Module) -> None:
    """Trains what FAVOR trains: connector (or projection) and language model, not the encoders nor their Q-Former."""
    frozen = ("vision_tower", "vision_model", "visual_qformer", "visual", "audio_tower", "qformer", "query_tokens")
    parts = (model, getattr(model, "model", None))
    for part in parts:
        for name in frozen:
            found = getattr(part, name, None)
            if found is not None:
                found.requires_grad_(False)


def clip_inputs(name: str, model: nn.Module, seconds: int, tokens: int | None = None) -> dict[str, torch.Tensor]:
    """A clip with sound of that length as the model's processor would hand it over, with text before and after it.

    `tokens`: of the language model alone, which gets as many of text.
    """
    generator = torch.Generator().manual_seed(seconds)
    text = torch.randint(3, PLACEHOLDER, (TEXT_TOKENS,), generator=generator)
    if name == "language model":
        return with_mask(torch.randint(3, PLACEHOLDER, (1, tokens), generator=generator))
    frames, mel_frames = FRAME_RATE * seconds, MEL_RATE * seconds
    pictures = torch.randn(1, frames, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    mel = torch.randn(1, MEL_BINS, mel_frames, generator=generator)
    instruction = torch.randint(3, PLACEHOLDER, (1, INSTRUCTION_TOKENS), generator=generator)
    instruction_inputs = {"qformer_input_ids": instruction, "qformer_attention_mask": torch.ones_like(instruction)}
    if name == "FAVOR":
        media = favor_tokens(model.config, seconds)
        inputs = {
            "pixel_values_videos": pictures,
            "video_frame_indices": torch.arange(frames)[None],
            **chunked(mel, 2 * model.config.audio_config.max_source_positions),
            **instruction_inputs,
        }
    elif name == "InstructBlipVideo":
        media = [PLACEHOLDER] * (model.config.num_query_tokens * frames)
        inputs = {"pixel_values": pictures, **instruction_inputs}
    else:
        side = IMAGE_SIZE // PATCH_SIZE
        grid = torch.tensor([[frames // 2, side, side]])  # two frames per patch
        merged = grid.prod().item() // model.config.vision_config.spatial_merge_size**2
        sound = [FIRST_MARK + 2, *[SOUND_PLACEHOLDER] * (mel_frames // 4), FIRST_MARK + 3]
        media = [FIRST_MARK, *[PLACEHOLDER] * merged, FIRST_MARK + 1, *sound]
        inputs = {
            "pixel_values_videos": pictures.reshape(grid.prod().item(), -1),
            "video_grid_thw": grid,
            "video_second_per_grid": torch.tensor([2 / FRAME_RATE]),
            "input_features": mel,
            "feature_attention_mask": torch.ones(1, mel_frames, dtype=torch.long),
        }
    half = TEXT_TOKENS // 2
    return with_mask(torch.cat([text[:half], torch.tensor(media), text[half:]])[None]) | inputs


def with_mask(input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


def favor_tokens(config: FavorConfig, seconds: int) -> list[int]:
    connector = config.connector_config
    windows = math.ceil(FRAME_RATE * seconds / connector.window_frames)
    return [PLACEHOLDER] * (connector.num_query_tokens * windows)


def chunked(mel: torch.Tensor, length: int) -> dict[str, torch.Tensor]:
    """(1, mel, frames) as Whisper's chunks: `input_features` (1, chunks, mel, length) and the mask of what is real."""
    missing = -mel.shape[-1] % length
    mask = nn.functional.pad(torch.ones(1, mel.shape[-1], dtype=torch.long), (0, missing))
    features = nn.functional.pad(mel, (0, missing)).unflatten(2, (-1, length)).transpose(1, 2)
    return {"input_features": features, "input_features_mask": mask.unflatten(1, (-1, length))}
