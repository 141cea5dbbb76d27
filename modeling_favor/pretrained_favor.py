# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What FAVOR's model classes share: loading, also quantised, initialisation of new weights, what may not be split."""

import torch
from torch import nn
from transformers import initialization as init
from transformers.modeling_utils import PreTrainedModel

from .cache_favor import CACHE_NAMES
from .configuration_favor import FavorConfig
from .quantization_favor import quantize_language_model_only
from .towers_favor import FavorVisualQFormer, audio_encoder


class FavorPreTrainedModel(PreTrainedModel):
    """How both models are loaded, initialised and spread over devices."""

    config: FavorConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ("video", "audio", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = list(CACHE_NAMES)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    # `generate` compiles decoding steps, which read no media: the instance says what its language model says. Encoding
    # media cannot be one graph: the number of windows, pictures and sounds depends on values.
    _can_compile_fullgraph = True

    @classmethod
    def from_pretrained(cls, *args, quantization_config=None, **kwargs) -> "FavorPreTrainedModel":
        """As inherited; a `quantization_config` that names no modules to skip quantises the language model alone."""
        if quantization_config is not None:
            quantization_config = quantize_language_model_only(quantization_config)
        loaded = super().from_pretrained(*args, quantization_config=quantization_config, **kwargs)
        audio_tower = (loaded[0] if isinstance(loaded, tuple) else loaded).get_encoder(modality="audio")
        for name in audio_encoder(audio_tower.config).constant_weights:
            audio_tower.get_submodule(name).requires_grad_(False)
        return loaded

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: weights are initialised as transformers' own models do it, so that each part may initialise its own.

        Otherwise modules without parameters are passed over, of which some, as Whisper's encoder, initialise others'.
        """
        return False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, FavorVisualQFormer):
            init.normal_(module.query_tokens, std=self.config.initializer_range)

    def keep_present_no_split_modules(self) -> None:
        """Drops names of classes that are not in this model (Whisper's decoder layer).

        FSDP's auto-wrap fails on them.
        """
        present = {type(module).__name__ for module in self.modules()}
        declared = getattr(self, "_no_split_modules", None) or ()
        self._no_split_modules = set(declared) & present


__all__ = ["FavorPreTrainedModel"]
