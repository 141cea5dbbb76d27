# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The visual Q-Former, which turns a picture's patch states into a few vectors, from its config."""

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel

from .encoder_attention_favor import fit_attention

VISUAL_QFORMERS = {
    "instructblip_qformer": InstructBlipQFormerModel,
    "blip_2_qformer": Blip2QFormerModel,
}


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
        self.qformer = qformer._from_config(fit_attention(config, qformer))

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


__all__ = ["FavorVisualQFormer"]
