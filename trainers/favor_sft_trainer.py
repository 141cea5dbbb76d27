# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's SFTTrainer with FAVOR's diversity loss (eq. 5), data collator and frozen encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import TrainerCallback
from transformers.trainer_utils import rotate_checkpoints
from transformers.utils import logging
from trl import SFTTrainer

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.connectors_favor import connector_kind
from favor.modeling_favor.outputs_favor import FavorModelOutputWithPast

from .bad_samples import BAD_SAMPLES
from .complete_checkpoints import last_complete, mark_complete, unmark
from .data_mixture import MixtureEpochs, mixture_of, sample_lengths
from .diversity_weight import diversity_units, scheduled_weight
from .eval_answers import evaluate_answers
from .favor_data_collator import Batch, FavorDataCollator
from .favor_sft_config import FavorSFTConfig
from .muon import add_muon, check_muon
from .recipe_sections import LoraSettings
from .step_length_sampler import StepLengthSampler
from .trained_modules import TrainedModel, encoders, favor_of, set_connector_dtype, train_only
from .training_checks import check_datasets, check_encoders_frozen, check_launch, check_peft_config, check_same_streams
from .training_record import run_record, stage_record, write_record

if TYPE_CHECKING:
    from peft import LoraConfig, PeftConfig

logger = logging.get_logger(__name__)

# q, k, v and o of the language model only: bare names would also match the towers (paper: 0.4 % of the LLM's
# parameters). In Llama, Qwen, Gemma and most others they have these names; o is `dense` in Phi, GPT-NeoX, Falcon and
# Bloom, `out_proj` in OPT, GPT-J and MPT, `c_proj` in GPT-2; q, k and v are one matrix in Phi-3 and many older ones.
LORA_TARGET_MODULES = (
    r"model\.language_model\.(decoder\.)?(layers|h|blocks)\.\d+\.(self_attn|self_attention|attention|attn)\."
    r"(q_proj|k_proj|v_proj|qkv_proj|query_key_value|Wqkv|c_attn|o_proj|dense|out_proj|c_proj)"
)
DATA_COLUMNS = ["messages", "video", "image", "audio", "use_own_audio", "input_ids", "labels"]


class FavorSFTTrainer(SFTTrainer):
    """Supervised fine-tuning of FAVOR by L = L_CE + lambda * L_div (eq. 5).

    The encoders are frozen; the connector is trained and, by `peft_config`, a LoRA.

    Args:
        model: a `FavorForConditionalGeneration`.
        args: a [`FavorSFTConfig`].
        processing_class: its `FavorProcessor`.
        data_collator: a [`FavorDataCollator`] by default.
        Other arguments: see [`trl.SFTTrainer`].

    The loss of an optimisation step is the mean cross-entropy of its answer tokens plus the weighted mean diversity of
    its windows (reduction "sum": items), however the step is split into micro-batches and processes. Logs
    `cross_entropy` and `diversity_loss` beside their sum, unless the connector has no diversity loss.
    """

    _tag_names = ["trl", "sft", "favor"]
    _name = "FAVOR-SFT"

    def __init__(self, model, args=None, data_collator=None, processing_class=None, **kwargs):
        if isinstance(model, str):
            raise ValueError(f"model={model!r}: load the model yourself with from_pretrained and give the object.")
        if kwargs.get("compute_loss_func") is not None:
            raise ValueError(
                "compute_loss_func is not possible in FAVOR training: it runs a second forward that loses the "
                "diversity loss. Subclass FavorSFTTrainer and change compute_loss."
            )
        args = FavorSFTConfig() if args is None else args
        check_launch(args)
        train_dataset = kwargs.get("train_dataset")
        self.expects_media = check_datasets(train_dataset, args.allow_text_only)
        check_datasets(kwargs.get("eval_dataset"), args.allow_text_only)
        if data_collator is None:
            spares = train_dataset if hasattr(train_dataset, "__len__") else None
            data_collator = FavorDataCollator(
                processing_class,
                max_length=args.max_length,
                on_bad_sample=args.on_bad_sample,
                bad_sample_log=Path(args.output_dir) / BAD_SAMPLES if args.on_bad_sample == "skip" else None,
                spares=spares,
            )
        if processing_class is not None:
            model.config.check_frame_rate(processing_class)
        prepare_model(model, args, kwargs.get("peft_config"))
        self.diversity_loss_weight = args.diversity_loss_weight
        if self.diversity_loss_weight is None:
            self.diversity_loss_weight = model.config.diversity_loss_weight
        self.has_diversity_loss = connector_kind(model.config.connector_config).has_diversity_loss
        self._diversity_loss = self._step_units = None
        super().__init__(
            model=model, args=args, data_collator=data_collator, processing_class=processing_class, **kwargs
        )
        if args.freeze_encoders:
            check_encoders_frozen(self.model)
        self.check_eval_answers()
        check_muon(self)
        mixture = mixture_of(train_dataset)
        if mixture is not None:
            self.add_callback(MixtureEpochs(mixture))
        backbone = self.unwrapped_favor().model
        # Hooks on the backbone, since TRL's fused loss calls it itself, past our own forward.
        backbone.register_forward_hook(self.keep_diversity_loss)
        backbone.language_model.register_forward_pre_hook(self.touch_media_weights, with_kwargs=True)

    def create_optimizer(self, model=None):
        """As inherited; with `muon_learning_rate`, AdamW leaves the weight matrices inside the layers to Muon."""
        is_new, rate = self.optimizer is None, self.args.muon_learning_rate
        super().create_optimizer(model)
        if is_new and rate is not None:
            self.optimizer = add_muon(
                self.optimizer, self.model if model is None else model, rate, self.args.weight_decay
            )
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """TRL's cross-entropy, and this micro-batch's part of the whole step's weighted diversity loss."""
        training = self.model.training
        self._diversity_loss = None
        if self.is_zero3:
            check_same_streams(self.accelerator, inputs)
        units = diversity_units(inputs, self.model.config) if self.has_diversity_loss else None
        result = super().compute_loss(
            model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
        )
        if units is None:
            return result
        loss, outputs = result if return_outputs else (result, None)
        mode = "train" if training else "eval"
        diversity, self._diversity_loss = self._diversity_loss, None
        if diversity is None:  # a batch of text alone; every process must reach the gathers
            diversity = loss.new_zeros(())
        micro_batches = self.current_gradient_accumulation_steps if training else 1
        # In training the step was counted ahead, in `get_batch_samples`; an evaluation batch stands for itself.
        step_units = self._step_units if training else self.accelerator.gather(units).sum()
        part = diversity * units / step_units.clamp(min=1)  # of the step's mean
        # Gradients are averaged over processes, and over micro-batches unless the labels were counted.
        averaged = self.accelerator.num_processes * (1 if num_items_in_batch is not None else micro_batches)
        cross_entropy = loss.detach() * (micro_batches if num_items_in_batch is not None else 1)
        loss = loss + self.current_diversity_weight() * averaged * part
        if training or step_units > 0:
            # TRL logs the mean over micro-batches: times their number it is the step's own value.
            logged = self.accelerator.gather(part.detach()).sum() * micro_batches
            self._metrics[mode]["diversity_loss"].append(logged.item())
        self._metrics[mode]["cross_entropy"].append(self.accelerator.gather(cross_entropy).mean().item())
        return (loss, outputs) if return_outputs else loss

    @property
    def is_zero3(self) -> bool:
        """Whether DeepSpeed shards the weights module by module."""
        return self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """As inherited; also counts the step's windows (or items), over all micro-batches and processes."""
        batches, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.has_diversity_loss:
            units = torch.zeros((), dtype=torch.long, device=device)
            for batch in batches:
                units += diversity_units(batch, self.model.config).to(device)
            self._step_units = self.accelerator.gather(units).sum()
        self.check_media_arrive(batches)
        return batches, num_items_in_batch

    def check_media_arrive(self, batches: list[Batch]) -> None:
        """Raises `ValueError` if samples have media, but their first batches do not."""
        if self.expects_media and batches:
            self.expects_media = False
            token = self.model.config.video_token_id
            if not any((batch["input_ids"] == token).any() for batch in batches):
                raise ValueError(
                    f"The samples have media, but the batches that {type(self.data_collator).__name__} makes of them "
                    f"hold no placeholder (token {token}): training would be on text alone. Use a FavorDataCollator."
                )

    def keep_diversity_loss(self, module: nn.Module, inputs: tuple, outputs: FavorModelOutputWithPast) -> None:
        """Forward hook: TRL's fused loss drops the backbone's extra outputs."""
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

    def current_diversity_weight(self) -> float:
        """By the schedule; in evaluation the full weight, so that losses can be compared."""
        if not self.model.training:
            return self.diversity_loss_weight
        schedule, steps = self.args.diversity_loss_schedule, self.args.diversity_loss_schedule_steps
        return scheduled_weight(self.diversity_loss_weight, schedule, steps, self.state.global_step)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self.model.training and self.has_diversity_loss and self.args.diversity_loss_schedule != "constant":
            logs["diversity_loss_weight"] = self.current_diversity_weight()
        super().log(logs, start_time)

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
        result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        if getattr(self.data_collator, "skipped_samples", 0) and self.args.should_log:
            logger.warning(self.data_collator.log.summary())
        return result

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """As inherited; with `eval_answers`, samples are answered, too (see [`evaluate_answers`]).

        Of several data sets by name each is: the inherited method calls this one for each, by its name or with it.
        """
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, str):
            dataset = self.eval_dataset[dataset]
        if self.args.eval_answers and not isinstance(dataset, dict):
            found = evaluate_answers(self, dataset, metric_key_prefix)
            self.log(dict(found))
            metrics.update(found)
        return metrics

    def check_eval_answers(self) -> None:
        """Raises `ValueError` where no answers can be generated during training."""
        if self.args.eval_answers and (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            raise ValueError(
                "eval_answers is not possible with FSDP or DeepSpeed: processes that generate answers of different "
                "lengths would wait for each other's weights for ever. Score a checkpoint with `favor eval`."
            )

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

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if not self.args.sort_steps_by_length:
            return super()._get_train_sampler(train_dataset)
        # Samples of an optimisation step, over all micro-batches and processes.
        step_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        lengths, group_steps = sample_lengths(dataset, self.processing_class), int(self.args.sort_steps_by_length)
        sampler = StepLengthSampler(lengths, step_size, self.args.seed, group_steps)
        self.add_callback(SamplerEpochs(sampler))
        return sampler

    def _set_signature_columns_if_needed(self):
        if self._signature_columns is None:
            self._signature_columns = list(DATA_COLUMNS)


class SamplerEpochs(TrainerCallback):
    """Tells a sampler the epoch: Accelerate does not reach it through several processes or a resumed epoch."""

    def __init__(self, sampler: StepLengthSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self.sampler.set_epoch(int(state.epoch or 0))


def prepare_model(model: TrainedModel, args: FavorSFTConfig, peft_config: "PeftConfig | None") -> None:
    """Freezes, casts and configures as `args` say, before a LoRA is put around the model."""
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


def lora_config(
    rank: int = LoraSettings.rank, alpha: int = LoraSettings.alpha, dropout: float = LoraSettings.dropout
) -> "LoraConfig":
    """The paper's LoRA: rank 32 on the LLM's attention projections; the connector is trained in full."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=LORA_TARGET_MODULES,
        modules_to_save=["connector"],
        task_type="CAUSAL_LM",
    )


__all__ = ["LORA_TARGET_MODULES", "FavorSFTTrainer", "lora_config"]
