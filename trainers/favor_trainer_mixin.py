# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What FAVOR's trainers share, whichever of TRL's they extend: diversity loss, Muon, whole checkpoints, resuming."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import rotate_checkpoints
from transformers.utils import logging

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.connectors_favor import connector_kind
from favor.modeling_favor.outputs_favor import FavorModelOutputWithPast

from .answer_log import forget_answers_after
from .complete_checkpoints import last_complete, mark_complete, unmark
from .diversity_weight import diversity_units
from .muon import add_muon
from .scored_tokens import score_answers_alone
from .trained_modules import TrainedModel, encoders, favor_of, set_connector_dtype, set_connector_rate, train_only
from .training_checks import check_peft_config
from .training_record import run_record, stage_record, write_record

if TYPE_CHECKING:
    from peft import PeftConfig

logger = logging.get_logger(__name__)


class FavorTrainerMixin:
    """Stands before a trainer of TRL among a class's bases; the class calls `start_diversity` and `hook_backbone`."""

    # Attributes of transformers' Trainer, and TRL's.
    accelerator: Any
    args: Any
    model: Any
    state: Any
    train_dataset: Any
    data_collator: Any
    current_gradient_accumulation_steps: int
    is_deepspeed_enabled: bool
    is_fsdp_enabled: bool
    _metrics: Any

    def start_diversity(self, model: TrainedModel, weight: float | None) -> None:
        """Before TRL's `__init__`: whether there is a diversity loss, and with which weight (None: the config's)."""
        config = favor_of(model).config
        self.diversity_loss_weight = config.diversity_loss_weight if weight is None else weight
        self.has_diversity_loss = connector_kind(config.connector_config).has_diversity_loss
        self._diversity_loss: torch.Tensor | None = None
        self._step_units: Any = None  # counted before each step

    def hook_backbone(self) -> None:
        """After it: hooks on the backbone, since TRL's fused loss calls it itself, past our own forward."""
        backbone = self.unwrapped_favor().model
        backbone.register_forward_hook(self.keep_diversity_loss)
        backbone.language_model.register_forward_pre_hook(self.touch_media_weights, with_kwargs=True)

    def create_optimizer(self, model=None):
        """As inherited; the connector may have a rate of its own, or weight matrices inside the layers Muon."""
        is_new, rate = self.optimizer is None, self.args.muon_learning_rate
        super().create_optimizer(model)
        if is_new and self.args.connector_learning_rate is not None:
            set_connector_rate(self.optimizer, self.unwrapped_favor(), self.args.connector_learning_rate)
        if is_new and rate is not None:
            self.optimizer = add_muon(
                self.optimizer, self.model if model is None else model, rate, self.args.weight_decay
            )
        return self.optimizer

    def with_diversity(self, loss: torch.Tensor, units: torch.Tensor, divided: bool) -> torch.Tensor:
        """A micro-batch's loss with its part of the whole step's weighted diversity loss.

        Args:
            loss: a scalar.
            units: see [`diversity_units`]; of this micro-batch.
            divided: whether the loss has the step's normaliser already, so that nobody divides it by the number of
                micro-batches.
        """
        training = self.model.training
        mode = "train" if training else "eval"
        diversity, self._diversity_loss = self._diversity_loss, None
        if diversity is None:  # a batch of text alone; every process must reach the gathers
            diversity = loss.new_zeros(())
        micro_batches = self.current_gradient_accumulation_steps if training else 1
        # In training the step was counted ahead, in `get_batch_samples`; an evaluation batch stands for itself.
        step_units = self._step_units if training else self.accelerator.gather(units).sum()
        part = diversity * units / step_units.clamp(min=1)  # of the step's mean
        # Gradients are averaged over processes, and over micro-batches unless the labels were counted.
        averaged = self.accelerator.num_processes * (1 if divided else micro_batches)
        if training or step_units > 0:
            # TRL logs the mean over micro-batches: times their number it is the step's own value.
            logged = self.accelerator.gather(part.detach()).sum() * micro_batches
            self._metrics[mode]["diversity_loss"].append(logged.item())
        return loss + self.current_diversity_weight() * averaged * part

    def current_diversity_weight(self) -> float:
        """Of the diversity loss, at this step."""
        return self.diversity_loss_weight

    @property
    def is_zero3(self) -> bool:
        """Whether DeepSpeed shards the weights module by module."""
        return self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3

    def check_whole_encoders(self) -> None:
        """Raises `ValueError` where the encoders' weights are sharded, and only a whole forward gathers them."""
        if self.is_fsdp_enabled or self.is_zero3:
            raise ValueError(
                "With FSDP or ZeRO-3 the encoders cannot run by themselves, once for several answers: keep their "
                "states (encode_prompts, or cache_encoder_states: true in a recipe), or use ddp.yaml."
            )

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """As inherited; also counts the step's windows (or items), over all micro-batches and processes."""
        batches, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.has_diversity_loss:
            units = torch.zeros((), dtype=torch.long, device=device)
            for batch in batches:
                units += diversity_units(batch, self.model.config).to(device)
            self._step_units = self.accelerator.gather(units).sum()
        return batches, num_items_in_batch

    def keep_diversity_loss(self, module: nn.Module, inputs: tuple, outputs: FavorModelOutputWithPast) -> None:
        """Forward hook: TRL's fused loss drops the backbone's extra outputs. A reference's forward comes later."""
        if self._diversity_loss is None:
            self._diversity_loss = outputs.diversity_loss

    def touch_media_weights(
        self, module: nn.Module, inputs: tuple, arguments: dict[str, torch.Tensor]
    ) -> tuple[tuple, dict[str, torch.Tensor]]:
        """Hook before the language model's forward: the embeddings depend on all trained weights, by nothing.

        A process whose batch is text alone would have no gradient for the connector, and with FSDP would wait for ever
        for the others to average those that it has.
        """
        several = self.accelerator.num_processes > 1 and not self.is_zero3  # which refuses text beside media anyway
        if several and module.training and torch.is_grad_enabled():
            backbone = self.unwrapped_favor().model
            parts = [backbone.connector, *encoders(self.unwrapped_favor())]
            trained = [p.sum() for part in parts for p in part.parameters() if p.requires_grad]
            if trained:
                embeddings = arguments["inputs_embeds"]
                arguments["inputs_embeds"] = embeddings + 0.0 * sum(trained).to(embeddings)
        return inputs, arguments

    def train(self, resume_from_checkpoint=None, **kwargs):
        """As inherited; `True` or "auto" resumes at the last checkpoint that was written to the end, if there is one.

        Samples that the collator skipped are reported at the end.
        """
        if resume_from_checkpoint is True or resume_from_checkpoint == "auto":
            resume_from_checkpoint, passed_over = last_complete(Path(self.args.output_dir))
            for message in passed_over:
                logger.warning(message)
            if resume_from_checkpoint is not None:
                logger.warning(f"Training goes on at {resume_from_checkpoint}.")
                resume_from_checkpoint = str(resume_from_checkpoint)
        if self.args.should_save:
            forget_answers_after(Path(self.args.output_dir), first_step(resume_from_checkpoint))
        result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        if getattr(self.data_collator, "skipped_samples", 0) and self.args.should_log:
            logger.warning(self.data_collator.log.summary())
        return result

    def create_model_card(self, *args, **kwargs) -> None:
        """Writes the facts of the run; TRL's card is that of a text model. `favor push` writes a card from them."""
        if self.args.should_save:
            write_record(self.args.output_dir, run_record(None, None, [stage_record(self)]))

    def _save_checkpoint(self, model, trial):
        """As inherited; old checkpoints go only when the new one is complete."""
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            unmark(folder)
        self.accelerator.wait_for_everyone()
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            mark_complete(folder)
            best = self.state.best_model_checkpoint
            rotate_checkpoints(str(folder.parent), save_total_limit=limit, best_model_checkpoint=best, use_mtime=True)

    def unwrapped_favor(self) -> FavorForConditionalGeneration:
        """The `FavorForConditionalGeneration` under PEFT and Accelerate's wrappers."""
        return favor_of(self.accelerator.unwrap_model(self.model))


def first_step(checkpoint: str | None) -> int:
    """How many steps were made where training begins."""
    state = None if checkpoint is None else Path(checkpoint) / TRAINER_STATE_NAME
    return TrainerState.load_from_json(str(state)).global_step if state is not None and state.is_file() else 0


def prepare_model(model: TrainedModel, args: Any, peft_config: "PeftConfig | None") -> None:
    """Freezes, casts and configures as `args` say, before a LoRA is put around the model."""
    score_answers_alone()
    check_peft_config(model, peft_config)
    set_connector_dtype(model, getattr(torch, args.connector_dtype))
    if args.freeze_encoders:
        for encoder in encoders(model):
            encoder.requires_grad_(False)
    if args.diversity_loss_reduction is not None:
        connector = favor_of(model).model.connector
        for config in (favor_of(model).config.connector_config, connector.config):
            config.diversity_loss_reduction = args.diversity_loss_reduction
    if args.train_only is not None:
        if peft_config is not None or hasattr(model, "get_base_model"):
            raise ValueError(
                "train_only and LoRA contradict each other: LoRA freezes the model and trains its adapter and the "
                "peft_config's modules_to_save (the connector). Name modules there, or train them in another run."
            )
        train_only(model, args.train_only, args.freeze_encoders)


__all__ = ["FavorTrainerMixin", "prepare_model"]
