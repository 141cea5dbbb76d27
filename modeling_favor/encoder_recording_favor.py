# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Hidden states and attentions of the encoders, on request: kept while they run, without their callers' help."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers.utils import ModelOutput


@contextmanager
def record_encoders(model: nn.Module, **kwargs) -> Iterator[dict[str, ModelOutput]]:
    """Gives a dictionary in which the outputs of a [`FavorModel`]'s encoders are found once they ran.

    Args:
        output_hidden_states, output_attentions: what to keep; by default what the model's config says. Without either
            the dictionary stays empty.
    """
    flags = {
        name: kwargs.get(name, getattr(model.config, name)) for name in ("output_hidden_states", "output_attentions")
    }
    asked = {name: flag for name, flag in flags.items() if flag}
    outputs: dict[str, ModelOutput] = {}
    hooks = []
    for name, encoder in encoders(model).items() if asked else ():

        def keep(_module: nn.Module, _args: tuple, output: ModelOutput, name: str = name) -> None:
            outputs[name] = joined(outputs[name], output) if name in outputs else output

        hooks.append(
            encoder.register_forward_pre_hook(lambda _, args, kwargs: (args, kwargs | asked), with_kwargs=True)
        )
        hooks.append(encoder.register_forward_hook(keep))
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def joined(first: ModelOutput, second: ModelOutput) -> ModelOutput:
    """The states of two passes of an encoder, row after row."""
    pairs = {kind: (first.get(kind), second.get(kind)) for kind in ("hidden_states", "attentions")}
    states = {kind: tuple(map(torch.cat, zip(*pair, strict=True))) for kind, pair in pairs.items() if all(pair)}
    return type(second)(**states)


def recorded_states(outputs: dict[str, ModelOutput], name: str, prefix: str = "") -> dict[str, tuple | None]:
    """One encoder's `hidden_states` and `attentions`, each None if it did not run or was not asked for them."""
    return {prefix + kind: outputs.get(name, {}).get(kind) for kind in ("hidden_states", "attentions")}


def encoders(model: nn.Module) -> dict[str, nn.Module]:
    """Those that a [`FavorModel`] has."""
    found = {"vision": model.vision_tower, "audio": model.audio_tower}
    if model.visual_qformer is not None:
        found["qformer"] = model.visual_qformer.qformer
    return found


__all__ = ["record_encoders", "recorded_states"]
