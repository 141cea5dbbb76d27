# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The reference of preference and reward training: the model as it was, with the same frozen encoders."""

import copy

import torch
from torch import nn

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.causal_qformer_favor import FavorCausalQFormerAttention

from .trained_modules import TrainedModel, encoders


def copy_for_reference(
    model: FavorForConditionalGeneration, shares_encoders: bool = True
) -> FavorForConditionalGeneration:
    """A copy that is not trained. TRL would load the model anew from where its config says that it came from.

    Args:
        shares_encoders: whether the frozen encoders are the same objects; not where weights are sharded.
    """
    shared = {id(encoder): encoder for encoder in encoders(model)} if shares_encoders else {}
    reference = copy.deepcopy(model, shared)
    return reference.requires_grad_(False).eval()


def check_same_encoders(model: TrainedModel, reference: FavorForConditionalGeneration) -> None:
    """Raises `ValueError` for a reference with other encoders: it is given the states of the model's."""
    ours, theirs = ({name: p for e in encoders(m) for name, p in e.named_parameters()} for m in (model, reference))
    other = [name for name in {**ours, **theirs} if name not in ours or name not in theirs]
    other += [name for name in ours if name in theirs and not same(ours[name], theirs[name])]
    if other:
        raise ValueError(
            f"ref_model has other encoders than the model ({other[0]}), but media are encoded once for both. Give a "
            "ref_model that differs in connector and language model alone, or leave it out."
        )


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return ours.shape == theirs.shape and torch.equal(ours.to(theirs), theirs)


def switch_dropout_off(*models: nn.Module | None) -> None:
    """Also of attention, where it is a number and no `nn.Dropout`, as TRL looks for; what is saved keeps its rate."""
    for model in models:
        for module in () if model is None else model.modules():
            if isinstance(getattr(module, "attention_dropout", None), float):
                module.attention_dropout = 0.0
            if isinstance(module, FavorCausalQFormerAttention):
                module.config = copy.copy(module.config)  # of the layer alone: the model's is saved
                module.config.attention_probs_dropout_prob = 0.0
