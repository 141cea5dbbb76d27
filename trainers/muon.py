# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Muon for the weight matrices inside the layers, beside AdamW for all other parameters, as one optimizer."""

from collections.abc import Callable

import torch
from torch import nn
from torch.optim.optimizer import StateDict
from transformers import Trainer

from .trained_modules import check_own_rate

MOMENTUM = 0.95


class MuonAndAdamW(torch.optim.Optimizer):
    """
    `torch.optim.Muon` and `torch.optim.AdamW` as one optimizer: one step, one schedule, one state in a checkpoint.

    Args:
        muon: with the groups that it trains, before its first step.
        adamw: with all others.

    `param_groups` are AdamW's, then Muon's, and the very dicts that these two read: a schedule that scales each
    group's `lr` from its `initial_lr` reaches both. `defaults` are AdamW's, and so is the first group's `lr`, which a
    trainer logs.
    """

    def __init__(self, muon: torch.optim.Optimizer, adamw: torch.optim.Optimizer):
        super().__init__([*adamw.param_groups, *muon.param_groups], {})
        self.muon, self.adamw = muon, adamw
        self.defaults = adamw.defaults  # only now, else Muon's groups would get AdamW's options
        self.share()

    def share(self) -> None:
        """Gives the two optimizers this one's groups and states."""
        others = len(self.adamw.param_groups)
        self.adamw.param_groups, self.muon.param_groups = self.param_groups[:others], self.param_groups[others:]
        self.adamw.state = self.muon.state = self.state

    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """A step of both; returns what `closure` returns, which is called once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.muon.step()
        self.adamw.step()
        return loss

    def load_state_dict(self, state_dict: StateDict) -> None:
        """As inherited; raises `ValueError` for the state of a run without Muon."""
        found, expected = len(state_dict["param_groups"]), len(self.param_groups)
        if found != expected:
            raise ValueError(
                f"The optimizer's state has {found} groups of parameters, but with muon_learning_rate there are "
                f"{expected}: it is of a run without Muon. Resume without muon_learning_rate, or begin anew."
            )
        super().load_state_dict(state_dict)
        self.share()  # loading replaces the groups and states

    def add_param_group(self, param_group: dict[str, object]) -> None:
        """Only while it is built: neither of the two optimizers would train a later group."""
        if hasattr(self, "muon"):
            raise ValueError(
                "muon_learning_rate: a group of parameters cannot be added to Muon and AdamW later, because neither "
                "would train it. Make the parameters trainable before training starts."
            )
        super().add_param_group(param_group)


def weight_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The trainable 2-D weights inside the layers of a FAVOR model, with a LoRA around it or not.

    These are the 2-D parameters called `weight` of all modules but embeddings and `lm_head`, among them a LoRA's A and
    B. Position tables and query tokens are embeddings, or parameters of another name.
    """
    tables = {
        id(parameter)  # by identity: a head may share its weight with an embedding
        for name, module in model.named_modules()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) or "lm_head" in name.split(".")
        for parameter in module.parameters(recurse=False)
    }
    return [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and parameter.ndim == 2
        and name.rpartition(".")[2] == "weight"
        and id(parameter) not in tables
    ]


def add_muon(
    adamw: torch.optim.Optimizer, model: nn.Module, learning_rate: float, weight_decay: float
) -> MuonAndAdamW:
    """Takes the model's weight matrices from an AdamW that has not stepped yet, and gives them to Muon.

    Raises `ValueError` if there are none.
    """
    matrices = weight_matrices(model)
    if not matrices:
        raise ValueError(
            f"muon_learning_rate={learning_rate}: none of the trained parameters is a weight matrix inside a layer, "
            "so that Muon would train nothing. Leave it out."
        )
    taken = {id(parameter) for parameter in matrices}
    for group in adamw.param_groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in taken]
    muon = torch.optim.Muon(
        matrices, lr=learning_rate, weight_decay=weight_decay, momentum=MOMENTUM, adjust_lr_fn="original"
    )
    return MuonAndAdamW(muon, adamw)


def check_muon(trainer: Trainer) -> None:
    """Raises `ValueError` where a trainer with `muon_learning_rate` could not use Muon."""
    why = "which splits or flattens the whole weight matrices that Muon needs"
    check_own_rate(trainer, "muon_learning_rate", why, ("optimizer", "optimizer_cls_and_kwargs"))
