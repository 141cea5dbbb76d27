# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Loading in 8 or 4 bit: only the language model's linear layers are quantised, all else keeps its precision."""

import copy
from typing import Any

from transformers.quantizers.auto import AutoQuantizationConfig
from transformers.utils.quantization_config import QuantizationConfigMixin

# As they are called in FavorModel; FavorForConditionalGeneration has them below `model.`
UNQUANTIZED_PARTS = ("vision_tower", "visual_qformer", "audio_tower", "connector")
# What the configuration classes of transformers call the modules that they leave alone.
SKIP_FIELDS = ("llm_int8_skip_modules", "modules_to_not_convert", "skip_modules")
DEFAULT_SKIPS: tuple[list[str] | None, ...] = (None, [], ["lm_head"])


def quantize_language_model_only(
    quantization_config: QuantizationConfigMixin | dict[str, Any],
) -> QuantizationConfigMixin:
    """A copy that leaves encoders, connector and output head alone; one that names modules to skip stays as it is."""
    if isinstance(quantization_config, dict):
        quantization_config = AutoQuantizationConfig.from_dict(copy.deepcopy(quantization_config))
    for field in SKIP_FIELDS:
        if hasattr(quantization_config, field) and getattr(quantization_config, field) in DEFAULT_SKIPS:
            quantization_config = copy.copy(quantization_config)
            parts = [prefix + part for part in UNQUANTIZED_PARTS for prefix in ("model.", "")]
            setattr(quantization_config, field, [*parts, "lm_head"])
    return quantization_config


__all__ = ["quantize_language_model_only"]
