# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Arguments of `FavorSFTTrainer`: TRL's, and FAVOR's own."""

from dataclasses import dataclass, field
from typing import Literal

from trl import SFTConfig

from .shared_options import SharedOptions

SCHEDULES = ("constant", "linear_warmup", "linear_decay")


@dataclass
class FavorSFTConfig(SharedOptions, SFTConfig):
    """[`trl.SFTConfig`] with FAVOR's loss and freezing.

    Options that would silently break the audio-visual loss are refused.

    Parameters that control the loss:
        diversity_loss_weight (`float`, *optional*): lambda of eq. 5; by default the model config's (0.01).
        diversity_loss_reduction (`str`, *optional*): "mean" over pairs and windows, or "sum" over those of an item;
            by default the connector config's.
        diversity_loss_schedule (`str`, defaults to `"constant"`): "linear_warmup" from 0 to the weight, or
            "linear_decay" from the weight to 0, over the first `diversity_loss_schedule_steps` steps.
        diversity_loss_schedule_steps (`int`, *optional*): needed by the two linear schedules.

    Parameters that control what is trained:
        freeze_encoders (`bool`, defaults to `True`): vision tower, visual Q-Former and audio tower stay as they are,
            in eval mode and under no_grad (paper, section 4.2).
        train_only (`list[str]`, *optional*): modules that alone are trained, all else is frozen: names below
            `FavorForConditionalGeneration.model`, such as `"connector.audio_projection"`, or full ones, such as
            `"lm_head"`. Not with a `peft_config`, which says itself what is trained.
        connector_dtype (`str`, defaults to `"float32"`): "float32" or "bfloat16", in which the connector is kept and
            trained, whatever the language model's dtype.

    Parameters that control the optimizer:
        muon_learning_rate (`float`, *optional*): the weight matrices inside the layers are trained by
            `torch.optim.Muon` at this rate (momentum 0.95, `weight_decay`; an update is scaled by sqrt(max(1, rows /
            columns))), all else, that is embeddings, position tables, query tokens, `lm_head`, biases and norms, by
            AdamW at `learning_rate`. One schedule scales both rates; `learning_rate` in the logs is AdamW's. With a
            LoRA, Muon trains its A and B, each as a matrix of its own, and the matrices of `modules_to_save` (the
            connector). Needs `optim="adamw_torch"` or `"adamw_torch_fused"`; not with FSDP or DeepSpeed.
        connector_learning_rate (`float`, *optional*): of the connector; all else, and by default the connector, too,
            has `learning_rate`. An aligned connector beside a fresh LoRA wants less; 0 leaves it as it is. Not with
            Muon, FSDP or DeepSpeed.

    Parameters that control the data:
        max_length (`int`, *optional*): the collator cuts text beyond so many tokens; media are never cut.
        on_bad_sample (`str`, defaults to `"raise"`): "skip" leaves samples out that cannot be used, and reports them.
        allow_text_only (`bool`, defaults to `False`): train on data of which no sample has media.
        sort_steps_by_length (`int`, defaults to 0): over so many optimisation steps samples are sorted by their
            `length` column (tokens). 1 (or `True`): within each step, so that its micro-batches
            (`gradient_accumulation_steps`) are padded less and its gradient stays the same. More: steps hold samples
            of similar length and come in random order, the same for any number of processes.

    Parameters that control the evaluation:
        eval_answers (`int`, defaults to 0): so many samples of the evaluation data are answered at each evaluation;
            answers go to `samples.jsonl` in `output_dir`, and `eval_exact_match` to the logs, where
            `metric_for_best_model="exact_match"` finds it.
        eval_max_new_tokens (`int`, *optional*): of an answer; by default the model's generation config's.
    """

    diversity_loss_weight: float | None = field(
        default=None, metadata={"help": "Weight of the diversity loss (eq. 5); default: the model config's."}
    )
    diversity_loss_reduction: str | None = field(
        default=None, metadata={"help": "mean or sum (eq. 4); default: the connector config's."}
    )
    diversity_loss_schedule: str = field(
        default="constant", metadata={"help": f"How the weight changes over the steps: {', '.join(SCHEDULES)}."}
    )
    diversity_loss_schedule_steps: int | None = field(
        default=None, metadata={"help": "Steps over which a linear schedule changes the weight."}
    )
    freeze_encoders: bool = field(
        default=True, metadata={"help": "Keep the vision tower, visual Q-Former and audio tower frozen."}
    )
    sort_steps_by_length: int = field(
        default=0, metadata={"help": "Sort samples by `length` within so many optimisation steps: less padding."}
    )
    on_bad_sample: Literal["raise", "skip"] = field(
        default="raise", metadata={"help": "raise, or skip: leave samples out that cannot be used, and report them."}
    )
    allow_text_only: bool = field(default=False, metadata={"help": "Train on data of which no sample has media."})
    eval_answers: int = field(
        default=0, metadata={"help": "Samples of the evaluation data that are answered at each evaluation."}
    )
    eval_max_new_tokens: int | None = field(
        default=None, metadata={"help": "Length of these answers; default: the model's generation config's."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: media columns are no argument of the model."}
    )
    max_length: int | None = field(
        default=None, metadata={"help": "The collator cuts text, never media, beyond so many tokens."}
    )

    def __post_init__(self):
        self.choose_defaults()
        super().__post_init__()
        self.dataset_kwargs = {**(self.dataset_kwargs or {}), "skip_prepare_dataset": True}
        self.refuse(
            {
                "packing": (self.packing, "samples hold media and cannot be packed"),
                "padding_free": (self.padding_free, "samples hold media and cannot be joined"),
                "remove_unused_columns": (self.remove_unused_columns, "it would drop the media columns"),
                "label_smoothing_factor": (
                    self.label_smoothing_factor,
                    "it runs a second forward that loses the diversity loss",
                ),
                "use_liger_kernel": (self.use_liger_kernel, "its loss never sees the diversity loss"),
                "completion_only_loss": (
                    self.completion_only_loss is False,
                    "the collator leaves everything but the answers out of the loss",
                ),
            }
        )
        self.check_choices(
            {
                "diversity_loss_schedule": SCHEDULES,
                "diversity_loss_reduction": (None, "mean", "sum"),
                "on_bad_sample": ("raise", "skip"),
            }
        )
        self.check_steps()
        self.check_rates()
        self.check_reporters()

    def check_steps(self) -> None:
        """Raises `ValueError` for numbers of steps that are none."""
        if not isinstance(self.sort_steps_by_length, int) or self.sort_steps_by_length < 0:
            raise ValueError(
                f"sort_steps_by_length is a number of steps, 0 or more, but it is {self.sort_steps_by_length!r}."
            )
        if self.diversity_loss_schedule != "constant" and not (self.diversity_loss_schedule_steps or 0) > 0:
            raise ValueError(
                f"diversity_loss_schedule={self.diversity_loss_schedule!r} needs diversity_loss_schedule_steps, the "
                f"steps over which the weight changes, but it is {self.diversity_loss_schedule_steps}."
            )
