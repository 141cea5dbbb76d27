# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The encoders around the connector: vision tower, visual Q-Former and audio tower, from their configs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_utils import PreTrainedModel
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2VisionModel
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel, InstructBlipVisionModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils.generic import is_flash_attention_requested

PICTURES_A_PASS, CHUNKS_A_PASS = 64, 16  # through an encoder: its memory does not grow with the video

# Classes that no auto class finds. Every other vision tower of transformers is built by its auto class.
VISION_TOWERS = {
    "instructblip_vision_model": InstructBlipVisionModel,
    "blip_2_vision_model": Blip2VisionModel,
}
VISUAL_QFORMERS = {
    "instructblip_qformer": InstructBlipQFormerModel,
    "blip_2_qformer": Blip2QFormerModel,
}


@dataclass(frozen=True)
class AudioEncoder:
    """What is known of one kind of audio encoder.

    Attributes:
        encoder_class: a model that maps log-mel chunks (chunks, mel, frames) to a `last_hidden_state` (chunks,
            vectors, width).
        stride: mel frames for each vector.
        frames_per_position: mel frames of a chunk for each of the config's `max_source_positions`.
        width_name: value of the config that is the width.
        constant_weights: modules whose weights are computed, not trained; loading forgets that.
    """

    encoder_class: type[PreTrainedModel]
    stride: int
    frames_per_position: int = 2
    width_name: str = "hidden_size"
    constant_weights: tuple[str, ...] = ()

    def width(self, config: PreTrainedConfig) -> int:
        """Width of a vector."""
        return getattr(config, self.width_name)

    def chunk_frames(self, config: PreTrainedConfig) -> int:
        """Mel frames of a chunk."""
        return self.frames_per_position * config.max_source_positions


# By the `model_type` of their configs. An auto class would build Whisper's decoder, too.
AUDIO_ENCODERS = {"whisper": AudioEncoder(WhisperEncoder, stride=2, constant_weights=("embed_positions",))}


def audio_encoder(config: PreTrainedConfig) -> AudioEncoder:
    """The entry of an audio encoder's config; raises `ValueError` for another type."""
    if config.model_type not in AUDIO_ENCODERS:
        raise ValueError(
            f"audio_config is of type {config.model_type!r}; an audio encoder is one of {', '.join(AUDIO_ENCODERS)}."
        )
    return AUDIO_ENCODERS[config.model_type]


def audio_vectors(mel_frames: torch.Tensor, stride: int) -> torch.Tensor:
    """Real vectors of chunks with so many real mel frames, one for every `stride` of them; 0 of none."""
    return (mel_frames - 1).div(stride, rounding_mode="floor") + 1


def check_log_mel(config: PreTrainedConfig, input_features: torch.Tensor) -> None:
    """Raises `ValueError` unless an audio encoder of this config reads (..., mel, mel frames) log-mel."""
    wanted, given = (config.num_mel_bins, audio_encoder(config).chunk_frames(config)), input_features.shape[-2:]
    if tuple(given) != wanted:
        raise ValueError(
            f"input_features has {given[0]} mel bins and {given[1]} mel frames a chunk, but the audio tower reads "
            f"{wanted[0]} and {wanted[1]}: give the output of this model's own processor unchanged."
        )


def build_vision_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """A vision tower that [`picture_states`] reads."""
    tower = VISION_TOWERS.get(config.model_type)
    return AutoModel.from_config(config) if tower is None else tower._from_config(config)


def picture_width(config: PreTrainedConfig) -> int:
    """Width of a picture's vectors, by the config of a vision tower or of a visual Q-Former."""
    return config.hidden_size


def picture_states(tower: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """(pictures, 3, H, W) through a vision tower to (pictures, patches, width).

    Raises `ValueError` for pictures of a size or of channels that the tower does not read.
    """
    # A tower with a position for each patch gives those of a smaller picture the wrong ones, without a word.
    if hasattr(tower.config, "patch_size"):
        _check_pictures(tower, pixel_values)
    try:
        return tower(pixel_values=pixel_values).last_hidden_state
    except (RuntimeError, ValueError):
        _check_pictures(tower, pixel_values)
        raise


def _check_pictures(tower: PreTrainedModel, pixel_values: torch.Tensor) -> None:
    channels = getattr(tower.config, "num_channels", 3)
    if pixel_values.shape[-3] != channels:
        raise ValueError(
            f"The pictures have {pixel_values.shape[-3]} channels, but the vision tower reads {channels}: give "
            "(items, pictures, channels, height, width), as the processor does."
        )
    size = getattr(tower.config, "image_size", None)
    if size is None:
        return
    height, width = (size, size) if isinstance(size, int) else size
    if tuple(pixel_values.shape[-2:]) != (height, width):
        given = " x ".join(map(str, pixel_values.shape[-2:]))
        raise ValueError(
            f"The pictures are {given} pixels, but the vision tower reads {height} x {width}: let the processor "
            f'resize them (do_resize=True, size={{"height": {height}, "width": {width}}}).'
        )


def build_audio_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """An audio encoder: log-mel chunks to a `last_hidden_state` of (chunks, vectors, width)."""
    return audio_encoder(config).encoder_class._from_config(config)


def in_passes(encode: Callable[..., torch.Tensor], size: int, *inputs: torch.Tensor) -> torch.Tensor:
    """`encode(*inputs)` over at most `size` rows at a time, joined; rows must not depend on each other.

    With DeepSpeed ZeRO-3 all at once: it waits until every process has called a module equally often.
    """
    if is_deepspeed_zero3_enabled():
        return encode(*inputs)
    rows = zip(*(tensor.split(size) for tensor in inputs), strict=True)
    return torch.cat([encode(*some) for some in rows])


class FavorVisualQFormer(nn.Module):
    """The Q-Former of an InstructBLIP (which reads the instruction, too) or a BLIP-2, with its learned queries.

    It turns a picture's patch states into a few vectors. Raises `ValueError` for a Q-Former of another kind.
    """

    def __init__(self, config: PreTrainedConfig, num_query_tokens: int):
        super().__init__()
        if config.model_type not in VISUAL_QFORMERS:
            raise ValueError(
                f"qformer_config is of type {config.model_type!r}; a visual Q-Former is one of "
                f"{', '.join(VISUAL_QFORMERS)}, or None."
            )
        self.reads_instruction = config.model_type == "instructblip_qformer"
        self.query_tokens = nn.Parameter(torch.empty(1, num_query_tokens, config.hidden_size))
        qformer = VISUAL_QFORMERS[config.model_type]
        if is_flash_attention_requested(config) and not qformer._supports_flash_attn:  # BLIP-2's
            config._attn_implementation = "sdpa"
        self.qformer = qformer._from_config(config)

    def forward(
        self,
        patch_states: torch.Tensor,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(pictures, patches, vision width) and (pictures, Q) instruction tokens to (pictures, queries, d)."""
        queries = self.query_tokens.expand(len(patch_states), -1, -1)
        num_queries = queries.shape[1]
        if not self.reads_instruction:
            return self.qformer(query_embeds=queries, encoder_hidden_states=patch_states).last_hidden_state
        mask = None
        if qformer_input_ids is not None:
            if qformer_attention_mask is None:
                qformer_attention_mask = torch.ones_like(qformer_input_ids)
            # The Q-Former puts the queries before the instruction, (pictures, queries + Q); they are always seen.
            mask = nn.functional.pad(qformer_attention_mask, (num_queries, 0), value=1)
        states = self.qformer(
            input_ids=qformer_input_ids,
            attention_mask=mask,
            query_embeds=queries,
            encoder_hidden_states=patch_states,
        ).last_hidden_state
        return states[:, :num_queries]


__all__ = [
    "FavorVisualQFormer",
    "audio_encoder",
    "audio_vectors",
    "build_audio_tower",
    "build_vision_tower",
    "check_log_mel",
    "in_passes",
    "picture_states",
    "picture_width",
]
