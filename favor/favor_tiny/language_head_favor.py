# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The language model's output head, with what some language models do to their logits after it."""

import torch
from torch import nn
from transformers import PreTrainedConfig


def build_language_head(config: PreTrainedConfig, bias: bool) -> nn.Linear:
    """Hidden states to logits; `bias`: as Phi's head has."""
    return nn.Linear(config.hidden_size, config.vocab_size, bias=bias)


def adjust_logits(logits: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Scales and caps logits as the language model's own causal class does.

    `logit_scale` (Cohere), `output_multiplier` (Muse) and `lm_head_multiplier` (Falcon-H1) multiply, `logits_scaling`
    divides (Granite, MiniCPM3; it multiplies in HyperCLOVA X), `final_logit_softcapping` (Gemma) bounds by a tanh.
    """
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        scale = getattr(config, name, None)
        if scale is not None:
            logits = logits * scale
            break
    scaling = getattr(config, "logits_scaling", None)
    if scaling is not None:
        logits = logits * scaling if config.model_type == "hyperclovax" else logits / scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def input_embedding_name(model: nn.Module) -> str:
    """Where in `model` the language model's input embedding weight is, `"embed_tokens.weight"` in most."""
    weight = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is weight)


__all__ = ["adjust_logits", "build_language_head", "input_embedding_name"]
