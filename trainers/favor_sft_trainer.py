# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's SFTTrainer with FAVOR's diversity loss (eq. 5), data collator and frozen encoders."""

from torch import nn
from trl import SFTTrainer

from .favor_data_collator import FavorDataCollator
from .favor_sft_config import FavorSFTConfig
from .step_length_sampler import StepLengthSampler

# q, k, v and o of the language model only: bare names would also match the towers (paper: 0.4 % of the LLM's
# parameters).
LORA_TARGET_MODULES = r"model\.language_model\.layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|o_proj)"


class FavorSFTTrainer(SFTTrainer):
    """
    Supervised fine-tuning of FAVOR: L = L_CE + lambda * L_div (eq. 5), encoders frozen, the connector and, by
    `peft_config`, LoRA trained.

    Args:
        model: a `FavorForConditionalGeneration`.
        args: a [`FavorSFTConfig`].
        processing_class: its `FavorProcessor`.
        data_collator: a [`FavorDataCollator`] by default.
        Other arguments: see [`trl.SFTTrainer`].

    Logs `diversity_loss` beside the cross-entropy.
    """

    _tag_names = ["trl", "sft", "favor"]
    _name = "FAVOR-SFT"

    def __init__(self, model, args=None, data_collator=None, processing_class=None, **kwargs):
        if isinstance(model, str):
            raise ValueError(f"model={model!r}: load the model yourself with from_pretrained and give the object.")
        if args is None:
            args = FavorSFTConfig()
        if data_collator is None:
            data_collator = FavorDataCollator(processing_class)
        if args.freeze_encoders:
            for encoder in encoders(model):
                encoder.requires_grad_(False)
        self.diversity_loss_weight = args.diversity_loss_weight
        if self.diversity_loss_weight is None:
            self.diversity_loss_weight = model.config.diversity_loss_weight
        super().__init__(
            model=model, args=args, data_collator=data_collator, processing_class=processing_class, **kwargs
        )
        self._diversity_loss = None
        backbone = self.unwrapped_favor().model
        backbone.register_forward_hook(self.keep_diversity_loss)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """TRL's cross-entropy plus the weighted diversity loss.

        Scaled so that gradient accumulation leaves the mean unchanged.
        """
        mode = "train" if self.model.training else "eval"
        self._diversity_loss = None
        result = super().compute_loss(
            model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
        )
        loss, outputs = result if return_outputs else (result, None)
        diversity_loss, self._diversity_loss = self._diversity_loss, None
        if diversity_loss is None:  # a batch of text alone; every process must reach the gather
            diversity_loss = loss.new_zeros(())
        steps = self.current_gradient_accumulation_steps if num_items_in_batch is not None else 1
        loss = loss + self.diversity_loss_weight * diversity_loss / steps
        self._metrics[mode]["diversity_loss"].append(self.accelerator.gather(diversity_loss.detach()).mean().item())
        return (loss, outputs) if return_outputs else loss

    def keep_diversity_loss(self, module: nn.Module, inputs: tuple, outputs) -> None:
        """Forward hook: TRL's fused loss drops the backbone's extra outputs."""
        self._diversity_loss = outputs.diversity_loss

    def unwrapped_favor(self) -> nn.Module:
        """The `FavorForConditionalGeneration` under PEFT and Accelerate's wrappers."""
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if not self.args.sort_steps_by_length:
            return super()._get_train_sampler(train_dataset)
        if "length" not in dataset.column_names:
            raise ValueError(
                "sort_steps_by_length=True needs a `length` column in the dataset: tokens of each sample."
            )
        step_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return StepLengthSampler(list(dataset["length"]), step_size, self.args.seed)

    def _set_signature_columns_if_needed(self):
        if self._signature_columns is None:
            self._signature_columns = ["messages", "video", "image", "audio", "use_own_audio", "input_ids", "labels"]


def encoders(model: nn.Module) -> list[nn.Module]:
    """The parts that FAVOR freezes: vision tower, visual Q-Former, audio tower."""
    parts = (model.model.vision_tower, model.model.visual_qformer, model.model.audio_tower)
    return [part for part in parts if part is not None]


def lora_config(rank: int = 32, alpha: int = 32, dropout: float = 0.1):
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


__all__ = ["LORA_TARGET_MODULES", "FavorSFTTrainer", "encoders", "lora_config"]
