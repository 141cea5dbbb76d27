# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The encoders around the connector: vision tower, visual Q-Former and audio tower, from their configs."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_utils import PreTrainedModel
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2VisionModel
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel, InstructBlipVisionModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils.generic import is_flash_attention_requested

# Classes that no auto class finds (or, for Whisper, of which it would build the decoder, too).
VISION_TOWERS = {
    "instructblip_vision_model": InstructBlipVisionModel,
    "blip_2_vision_model": Blip2VisionModel,
}
VISUAL_QFORMERS = {
    "instructblip_qformer": InstructBlipQFormerModel,
    "blip_2_qformer": Blip2QFormerModel,
}
AUDIO_TOWERS = {"whisper": WhisperEncoder}


def build_vision_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """A vision tower whose `last_hidden_state` is (pictures, patches, width)."""
    tower = VISION_TOWERS.get(config.model_type)
    return AutoModel.from_config(config) if tower is None else tower._from_config(config)


def build_audio_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """An audio encoder: log-mel chunks to a `last_hidden_state` of (chunks, vectors, width)."""
    tower = AUDIO_TOWERS.get(config.model_type)
    return AutoModel.from_config(config) if tower is None else tower._from_config(config)


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

    A picture's patch states to a few vectors. Raises `ValueError` for a Q-Former of another kind.
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
            mask = nn.functional.pad(qformer_attention_mask, (num_queries, 0), value=1)
        states = self.qformer(
            input_ids=qformer_input_ids,
            attention_mask=mask,
            query_embeds=queries,
            encoder_hidden_states=patch_states,
        ).last_hidden_state
        return states[:, :num_queries]


__all__ = ["FavorVisualQFormer", "build_audio_tower", "build_vision_tower", "in_passes"]
