# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What FAVOR's models return: encoded media, hidden states, logits, and the connector's states beside them."""

from dataclasses import dataclass

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast

from .cache_favor import both_cache_names


@dataclass
class FavorMediaOutput(BaseModelOutputWithPooling):
    """
    Encoded audio-visual items, one row per item.

    Attributes:
        last_hidden_state: (items, T, p, visual width) visual vectors of each synchronised frame, or (items, S, audio
            width) of sound alone.
        pooler_output: a list with one (tokens, text width) tensor per item, what replaces its placeholders.
        query_states: (items, windows, N, d) outputs of the causal Q-Former.
        diversity_loss: scalar, eq. 4.
        window_diversity: (windows,) what it is made of, window by window, item after item.

    The following come on request (`output_hidden_states`, `output_attentions`; attentions with
    `attn_implementation="eager"` only). Each is a tuple with one tensor per layer, of what the encoder really read,
    which is item after item its distinct pictures, or its chunks of sound, without padding:
        hidden_states, attentions: of the vision tower, (pictures, patches, width) and (pictures, heads, patches,
            patches); of sound alone, those of the audio tower.
        qformer_hidden_states, qformer_attentions: of the visual Q-Former, (pictures, queries + instruction, d).
        audio_hidden_states, audio_attentions: of the audio tower, (chunks, vectors, width).
    """

    query_states: torch.FloatTensor | None = None
    diversity_loss: torch.FloatTensor | None = None
    qformer_hidden_states: tuple[torch.FloatTensor, ...] | None = None
    qformer_attentions: tuple[torch.FloatTensor, ...] | None = None
    audio_hidden_states: tuple[torch.FloatTensor, ...] | None = None
    audio_attentions: tuple[torch.FloatTensor, ...] | None = None
    window_diversity: torch.FloatTensor | None = None


@both_cache_names
@dataclass
class FavorModelOutputWithPast(BaseModelOutputWithPast):
    """`last_hidden_state` (batch, length, text width) and the media's `query_states` and `diversity_loss`.

    `sample_diversity` (batch,) is the diversity loss of each sample by itself, 0 of those without media; it is there
    where `num_items_in_batch` is given.
    """

    query_states: torch.FloatTensor | None = None
    diversity_loss: torch.FloatTensor | None = None
    sample_diversity: torch.FloatTensor | None = None


@both_cache_names
@dataclass
class FavorCausalLMOutputWithPast(CausalLMOutputWithPast):
    """`loss` is eq. 5: cross-entropy on `labels` plus the weighted `diversity_loss`.

    `logits` is (batch, length, vocabulary).
    """

    query_states: torch.FloatTensor | None = None
    diversity_loss: torch.FloatTensor | None = None


__all__ = ["FavorCausalLMOutputWithPast", "FavorMediaOutput", "FavorModelOutputWithPast"]
