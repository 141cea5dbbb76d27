# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Attention code of encoders that do not have the one that is asked of the whole model."""

from transformers import PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.utils.generic import is_flash_attention_requested


def fit_attention(config: PreTrainedConfig, encoder: type[PreTrainedModel]) -> PreTrainedConfig:
    """`config` with the nearest attention that its class has, so that the other parts can have what was asked.

    BLIP-2's Q-Former has no flash attention, WavLM and convolutions have no SDPA either.
    """
    asked = config._attn_implementation
    if asked is None or asked == "eager":
        return config
    lacks_flash = is_flash_attention_requested(config) and not encoder._supports_flash_attn
    if lacks_flash or (asked == "flex_attention" and not encoder._supports_flex_attn):
        asked = "sdpa"
    if asked == "sdpa" and not encoder._supports_sdpa:
        asked = "eager"
    if asked != config._attn_implementation:
        config._attn_implementation = asked
    return config


__all__ = ["fit_attention"]
