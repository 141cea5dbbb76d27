# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's SFTTrainer with FAVOR's diversity loss (eq. 5), data collator and frozen encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerCallback
from transformers.utils import logging
from trl import SFTTrainer

from favor.processing.media_names_favor import MEDIA_KINDS

from .bad_samples import BAD_SAMPLES
from .data_mixture import MixtureEpochs, mixture_of, sample_lengths
from .diversity_weight import diversity_units, scheduled_weight
from .eval_answers import evaluate_answers
from .favor_data_collator import Batch, FavorDataCollator
from .favor_sft_config import FavorSFTConfig
from .favor_trainer_mixin import FavorTrainerMixin, prepare_model
from .media_features import undecoded
from .muon import check_muon
from .recipe_sections import LoraSettings
from .sample_columns import INTERNAL_KEYS, MEDIA_LISTS, PROMPTED
from .step_length_sampler import StepLengthSampler
from .trained_modules import check_connector_rate
from .training_checks import check_datasets, check_encoders_frozen, check_launch, check_same_streams

if TYPE_CHECKING:
    from peft import LoraConfig

logger = logging.get_logger(__name__)

# q, k, v and o of the language model only: bare names would also match the towers (paper: 0.4 % of the LLM's
# parameters). In Llama, Qwen, Gemma and most others they have these names; o is `dense` in Phi, GPT-NeoX, Falcon and
# Bloom, `out_proj` in OPT, GPT-J and MPT, `c_proj` in GPT-2; q, k and v are one matrix in Phi-3 and many older ones.
LORA_TARGET_MODULES = (
    r"model\.language_model\.(decoder\.)?(layers|h|blocks)\.\d+\.(self_attn|self_attention|attention|attn)\."
    r"(q_proj|k_proj|v_proj|qkv_proj|query_key_value|Wqkv|c_attn|o_proj|dense|out_proj|c_proj)"
)
DATA_COLUMNS = ["messages", *PROMPTED, *MEDIA_KINDS, *MEDIA_LISTS, *INTERNAL_KEYS, "origin"]


class FavorSFTTrainer(FavorTrainerMixin, SFTTrainer):
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
        for name in ("train_dataset", "eval_dataset"):
            kwargs[name] = undecoded(kwargs.get(name))
        train_dataset = kwargs["train_dataset"]
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
        self.start_diversity(model, args.diversity_loss_weight)
        super().__init__(
            model=model, args=args, data_collator=data_collator, processing_class=processing_class, **kwargs
        )
        if args.freeze_encoders:
            check_encoders_frozen(self.model)
        self.check_eval_answers()
        check_muon(self)
        check_connector_rate(self)
        mixture = mixture_of(train_dataset)
        if mixture is not None:
            self.add_callback(MixtureEpochs(mixture))
        self.hook_backbone()

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
        micro_batches = self.current_gradient_accumulation_steps if training else 1
        cross_entropy = loss.detach() * (micro_batches if num_items_in_batch is not None else 1)
        loss = self.with_diversity(loss, units, divided=num_items_in_batch is not None)
        gathered = self.accelerator.gather(cross_entropy).mean()
        self._metrics["train" if training else "eval"]["cross_entropy"].append(gathered.item())
        return (loss, outputs) if return_outputs else loss

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """As inherited; also sees that the media are there."""
        batches, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
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

    def say(self, prompt: Batch, max_new_tokens: int | None) -> str:
        """The answer to a collated sample that is cut before it; greedy, so that no random number is drawn."""
        length = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        tokens = self.unwrapped_favor().generate(**prompt, do_sample=False, num_beams=1, use_cache=True, **length)
        said = tokens[0, prompt["input_ids"].shape[1] :]
        return self.processing_class.tokenizer.decode(said, skip_special_tokens=True).strip()

    def check_eval_answers(self) -> None:
        """Raises `ValueError` where no answers can be generated during training."""
        if self.args.eval_answers and (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            raise ValueError(
                "eval_answers is not possible with FSDP or DeepSpeed: processes that generate answers of different "
                "lengths would wait for each other's weights for ever. Score a checkpoint with `favor eval`."
            )

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


def lora_config(
    rank: int = LoraSettings.rank,
    alpha: int = LoraSettings.alpha,
    dropout: float = LoraSettings.dropout,
    connector: bool = LoraSettings.connector,
) -> "LoraConfig":
    """The paper's LoRA: rank 32 on the LLM's attention projections; the connector is trained in full, or frozen."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=LORA_TARGET_MODULES,
        modules_to_save=["connector"] if connector else None,
        task_type="CAUSAL_LM",
    )


__all__ = ["LORA_TARGET_MODULES", "FavorSFTTrainer", "lora_config"]
