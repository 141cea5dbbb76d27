# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A tiny FAVOR with random weights, and audio-visual items with known lengths to feed it. Nothing is downloaded."""

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import nn

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration

PLACEHOLDER = 63  # the language model's last token
MEL_FRAMES = 24  # of one audio chunk: 12 encoder vectors, 3 synchronised frames
VOCABULARY = 64

VALUES = {
    "vision_config": {
        "model_type": "instructblip_vision_model",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 8,
        "patch_size": 4,
        "initializer_range": 0.2,  # its default, 1e-10, makes a random tower blind
    },
    "qformer_config": {
        "vocab_size": 40,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
    },
    "audio_config": {
        "model_type": "whisper",
        "vocab_size": 60,
        "d_model": 20,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 40,
        "decoder_layers": 1,
        "num_mel_bins": 8,
        "max_source_positions": MEL_FRAMES // 2,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "decoder_start_token_id": 0,
    },
    "connector_config": {
        "hidden_size": 24,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "num_query_tokens": 3,
        "window_frames": 2,
        "max_position_embeddings": 64,
    },
    "text_config": {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "num_visual_query_tokens": 5,
    "video_token_id": PLACEHOLDER,
    "frame_rate": 2.0,
    "audio_encoder_rate": 8.0,
}


def tiny_config(connector: dict | None = None, **overrides) -> FavorConfig:
    """`overrides` replace whole values of `VALUES`; `connector` single ones of `connector_config`."""
    values = copy.deepcopy(VALUES) | overrides
    values["connector_config"].update(connector or {})
    return FavorConfig(**values)


def tiny_model(connector: dict | None = None, seed: int = 0, **overrides) -> FavorForConditionalGeneration:
    """In eval mode; every parameter, biases and LayerNorms included, is random and large enough to matter."""
    torch.manual_seed(seed)
    return randomized(FavorForConditionalGeneration(tiny_config(connector, **overrides))).eval()


def randomized(module: nn.Module, std: float = 0.3) -> nn.Module:
    """Adds noise to every trainable parameter: zero biases and unit gains would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * std)
    return module


@dataclass
class Item:
    """One audio-visual item: how many distinct pictures it has, in which synchronised frames they show, its sound.

    mel_frames: real mel frames of each chunk. shown: a picture row for each synchronised frame; default: every picture
        once.
    """

    pictures: int = 0
    mel_frames: list[int] = field(default_factory=list)
    shown: list[int] | None = None
    instruction: list[int] = field(default_factory=lambda: [5, 6, 7])
    seed: int = 0

    @property
    def frame_indices(self) -> list[int]:
        return list(range(self.pictures)) if self.shown is None else self.shown

    @property
    def audio_vectors(self) -> int:
        return sum((frames - 1) // 2 + 1 for frames in self.mel_frames if frames)

    def query_tokens(self, config: FavorConfig) -> int:
        """The documented length arithmetic, written once more."""
        connector = config.connector_config
        video = len(self.frame_indices)
        audio = math.ceil(self.audio_vectors / (config.audio_encoder_rate / config.frame_rate))
        streams = [max(video, audio)] if connector.synchronize else [video, audio]
        k = connector.window_frames
        windows = sum(math.ceil(frames / k) if k else min(frames, 1) for frames in streams)
        return windows * connector.num_query_tokens

    def pixels(self) -> torch.Tensor:
        """(pictures, 3, 8, 8), the same for the same seed."""
        generator = torch.Generator().manual_seed(100 + self.seed)
        return torch.randn(self.pictures, 3, 8, 8, generator=generator)

    def mel(self) -> torch.Tensor:
        """(chunks, 8, MEL_FRAMES), zero beyond each chunk's own frames."""
        generator = torch.Generator().manual_seed(200 + self.seed)
        features = torch.randn(len(self.mel_frames), 8, MEL_FRAMES, generator=generator)
        for row, frames in zip(features, self.mel_frames, strict=True):
            row[:, frames:] = 0
        return features


def media_inputs(items: list[Item]) -> dict[str, torch.Tensor]:
    """What the processor hands over for `items`, padded to the longest (docs/architecture.md)."""
    inputs = {}
    count = len(items)
    if any(item.pictures for item in items):
        pixels = torch.zeros(count, max(item.pictures for item in items), 3, 8, 8)
        indices = torch.full((count, max(len(item.frame_indices) for item in items)), -1)
        for row, item in enumerate(items):
            pixels[row, : item.pictures] = item.pixels()
            indices[row, : len(item.frame_indices)] = torch.tensor(item.frame_indices, dtype=torch.long)
        inputs.update(pixel_values_videos=pixels, video_frame_indices=indices)
        longest = max(len(item.instruction) for item in items)
        if longest:
            ids, mask = torch.zeros(2, count, longest, dtype=torch.long)
            for row, item in enumerate(items):
                ids[row, : len(item.instruction)] = torch.tensor(item.instruction, dtype=torch.long)
                mask[row, : len(item.instruction)] = 1
            inputs.update(qformer_input_ids=ids, qformer_attention_mask=mask)
    if any(item.mel_frames for item in items):
        features = torch.zeros(count, max(len(item.mel_frames) for item in items), 8, MEL_FRAMES)
        mask = torch.zeros(count, features.shape[1], MEL_FRAMES, dtype=torch.long)
        for row, item in enumerate(items):
            features[row, : len(item.mel_frames)] = item.mel()
            for chunk, frames in enumerate(item.mel_frames):
                mask[row, chunk, :frames] = 1
        inputs.update(input_features=features, input_features_mask=mask)
    return inputs


def text_inputs(
    config: FavorConfig, samples: list[list[int | Item]], padding_side: str = "left"
) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of samples made of token ids and items."""
    rows = []
    for sample in samples:
        row = []
        for part in sample:
            row += [config.video_token_id] * part.query_tokens(config) if isinstance(part, Item) else [part]
        rows.append(row)
    longest = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        padding, ones = [0] * (longest - len(row)), [1] * len(row)
        ids.append(padding + row if padding_side == "left" else row + padding)
        mask.append(padding + ones if padding_side == "left" else ones + padding)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def model_inputs(
    config: FavorConfig, samples: list[list[int | Item]], padding_side: str = "left"
) -> dict[str, torch.Tensor]:
    """Everything the processor would give for a batch of samples."""
    items = [part for sample in samples for part in sample if isinstance(part, Item)]
    return text_inputs(config, samples, padding_side) | (media_inputs(items) if items else {})


def count_calls(module: nn.Module) -> list[tuple]:
    """A list that grows by the positional arguments of every call of `module`."""
    calls = []
    module.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    return calls
