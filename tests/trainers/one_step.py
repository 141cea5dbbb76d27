# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the tests of equal gradients share: a trainer that keeps the gradients of its optimisation steps."""

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest


class KeepGradients(TrainerCallback):
    """Copies every gradient before the optimiser uses it."""

    def __init__(self, trainer: FavorSFTTrainer):
        self.trainer = trainer

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        named = self.trainer.accelerator.unwrap_model(self.trainer.model).named_parameters()
        self.trainer.gradients = {n: p.grad.clone() for n, p in named if p.requires_grad and p.grad is not None}


def start(folder: Path) -> tuple[Any, Any]:
    """The model that all start from, without dropout, and its processor."""
    model = FavorForConditionalGeneration.from_pretrained(folder)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.lm_head.weight.data *= 0.05  # the random model is sure of its wrong answers; gradients then are of order 1
    for config in (model.config.connector_config, model.model.connector.config):
        config.attention_probs_dropout_prob = 0.0
    return model, FavorProcessor.from_pretrained(folder)


def one_step(model: Any, processor: Any, manifest: str, output_dir: Path, trainer_class=FavorSFTTrainer, **options):
    """A trainer after its steps (one by default), with the last step's `gradients`."""
    values = {
        "max_steps": 1,
        "optim": "sgd",
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "weight_decay": 0.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "train_sampling_strategy": "sequential",
        # A sum over an item's windows and pairs is some forty times their mean here.
        "diversity_loss_weight": 0.02 if options.get("diversity_loss_reduction") == "sum" else 0.7,
        "use_cpu": True,
        "activation_checkpointing": False,
        **options,
    }
    trainer = trainer_class(
        model=copy.deepcopy(model),
        args=FavorSFTConfig(output_dir=str(output_dir), **values),
        processing_class=processor,
        train_dataset=load_manifest(manifest),
    )
    trainer.add_callback(KeepGradients(trainer))
    trainer.train()
    return trainer
