# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which parts of a FAVOR model are trained, and which are frozen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn
from transformers import Trainer

from favor.modeling_favor import FavorForConditionalGeneration

if TYPE_CHECKING:
    from peft import PeftModel

TrainedModel: TypeAlias = "FavorForConditionalGeneration | PeftModel"


def favor_of(model: TrainedModel) -> FavorForConditionalGeneration:
    """The `FavorForConditionalGeneration` in a PEFT model, or `model` itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def encoders(model: TrainedModel) -> list[nn.Module]:
    """The parts that FAVOR freezes: vision tower, visual Q-Former, audio tower."""
    backbone = favor_of(model).model
    parts = (backbone.vision_tower, backbone.visual_qformer, backbone.audio_tower)
    return [part for part in parts if part is not None]


def set_connector_dtype(model: TrainedModel, dtype: torch.dtype) -> None:
    """Keeps and trains the connector in a dtype of its own; PEFT copies it as it is then."""
    favor_of(model).model.connector.to(dtype)


def check_connector_rate(trainer: Trainer) -> None:
    """Raises `ValueError` where a trainer with `connector_learning_rate` would not heed it."""
    check_own_rate(trainer, "connector_learning_rate", "whose parameters are others than the model's", ("optimizer",))


def check_own_rate(trainer: Trainer, option: str, why_not_sharded: str, own: Sequence[str]) -> None:
    """Raises `ValueError` where an option of some weights' own learning rate is set and cannot be honoured.

    Args:
        option: its name among the trainer's arguments; None there leaves it out.
        why_not_sharded: what stands against it with FSDP and DeepSpeed.
        own: attributes of the trainer that hold an optimizer of the user's which the option would not reach, or None.
    """
    rate = getattr(trainer.args, option)
    if rate is None:
        return
    asked = f"{option}={rate} is not possible"
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        wrapper = "FSDP" if trainer.is_fsdp_enabled else "DeepSpeed"
        raise ValueError(
            f"{asked} with {wrapper}, {why_not_sharded}. Use recipes/accelerate/ddp.yaml, or leave the option out."
        )
    if any(getattr(trainer, name) is not None for name in own):
        raise ValueError(
            f"{asked} with an optimizer of your own, which would be used instead: leave either of the two out."
        )


def set_connector_rate(optimizer: torch.optim.Optimizer, model: FavorForConditionalGeneration, rate: float) -> None:
    """Gives the connector groups of its own in an optimizer that has not stepped yet, with their own learning rate.

    Raises `ValueError` if it trains no weight of the connector.
    """
    own = {id(parameter) for parameter in model.model.connector.parameters()}
    groups = []
    for group in optimizer.param_groups:
        taken = [parameter for parameter in group["params"] if id(parameter) in own]
        if taken:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
            groups.append({**group, "params": taken, "lr": rate})
    if not groups:
        raise ValueError(f"connector_learning_rate={rate}: nothing of the connector is trained. Leave it out.")
    for group in groups:
        optimizer.add_param_group(group)


def train_only(model: FavorForConditionalGeneration, names: list[str], freeze_encoders: bool) -> None:
    """Freezes every parameter but those of the named modules, and makes these trainable.

    Args:
        model: a `FavorForConditionalGeneration`.
        names: of modules, in full or below `model.`, for example `"connector.audio_projection"`.
        freeze_encoders: whether encoders must not be among them.

    Raises `ValueError` for a name that no module with parameters has, and for an encoder that must stay frozen.
    """
    modules = {name: module for name, module in model.named_modules() if any(True for _ in module.parameters())}
    chosen = []
    for name in names:
        module = modules.get(f"model.{name}", modules.get(name)) if name else None
        if module is None:
            children = [*model.model.named_children(), *model.named_children()]
            parts = [part for part, child in children if child is not model.model and child in modules.values()]
            parts += [f"connector.{part}" for part, _ in model.model.connector.named_children()]
            raise ValueError(
                f"train_only names {name!r}, which is no module with weights; there are {', '.join(parts)}, and what "
                "is below these."
            )
        chosen.append(module)
    model.requires_grad_(False)
    for module in chosen:
        module.requires_grad_(True)
    trained = [encoder for encoder in encoders(model) if any(p.requires_grad for p in encoder.parameters())]
    if trained and freeze_encoders:
        raise ValueError(
            f"train_only={names} holds an encoder ({type(trained[0]).__name__}), but freeze_encoders=True keeps "
            "encoders frozen: set freeze_encoders=False."
        )
