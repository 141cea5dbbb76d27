# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Arguments of `FavorGRPOTrainer`: TRL's, and FAVOR's own."""

from dataclasses import dataclass, field

from trl import GRPOConfig

from .shared_options import SharedOptions


@dataclass
class FavorGRPOConfig(SharedOptions, GRPOConfig):
    """[`trl.GRPOConfig`] for rewards of answers about video, image and sound.

    The encoders are frozen. Options of TRL that cannot be honoured are refused.

    Parameters that control the loss:
        diversity_loss_weight (`float`, *optional*): refused, but for 0. A step's windows are not known before its
            answers are drawn, so that no mean over them would be the same however the step is split; train the
            connector with [`FavorSFTTrainer`] or [`FavorDPOTrainer`], or keep it frozen by `train_only` or a LoRA.

    Parameters that control what is trained:
        train_only, connector_dtype, muon_learning_rate, connector_learning_rate: see [`FavorSFTConfig`].

    Parameters that control the logs:
        logged_answers (`int`, defaults to 4): so many answers with their rewards go to `samples.jsonl` in
            `output_dir` each time that losses are logged.
    """

    diversity_loss_weight: float | None = field(
        default=None, metadata={"help": "Refused, but for 0: GRPO has no diversity loss."}
    )
    logged_answers: int = field(
        default=4, metadata={"help": "Answers that go to samples.jsonl each time that losses are logged."}
    )

    # What the paper keeps frozen stays so (section 4.2).
    freeze_encoders = True
    diversity_loss_reduction = None

    def __post_init__(self):
        self.choose_defaults()
        super().__post_init__()
        self.refuse(
            {
                "diversity_loss_weight": (
                    self.diversity_loss_weight,
                    "a step's windows are not known before its answers are drawn; freeze the connector, or train it "
                    "with FavorSFTTrainer or FavorDPOTrainer",
                ),
                "use_vllm": (self.use_vllm, "TRL hands vLLM token ids and pictures, but no video and no sound"),
                "use_transformers_continuous_batching": (
                    self.use_transformers_continuous_batching,
                    "it generates from token ids alone, without the media",
                ),
                "remove_unused_columns": (self.remove_unused_columns, "it would drop the media columns"),
                "sync_ref_model": (self.sync_ref_model, "the reference is the model that training began with"),
                "label_smoothing_factor": (self.label_smoothing_factor, "there are no labels"),
                "use_liger_kernel": (self.use_liger_kernel, "it has no kernels for FAVOR's layers"),
                "log_completions_hub_repo": (
                    self.log_completions_hub_repo,
                    "samples.jsonl in output_dir holds the answers; upload it yourself",
                ),
            },
            "FAVOR's reward training",
        )
        self.check_choices({})
        self.check_rates()
        self.check_reporters()
        self.check_generation_ends()
        if self.logged_answers < 0:
            raise ValueError(f"logged_answers is a number of answers, 0 or more, but it is {self.logged_answers}.")

    def check_generation_ends(self) -> None:
        """Raises `ValueError` for checkpoints between two generations, which could not be resumed as they were."""
        if self.save_strategy != "steps" or self.save_steps < 1:
            return
        answers_used = self.steps_per_generation * self.num_iterations
        if int(self.save_steps) * self.gradient_accumulation_steps % answers_used:
            raise ValueError(
                f"save_steps={self.save_steps:g} would save while answers are in use: {self.steps_per_generation} "
                f"micro-batches of them x {self.num_iterations} iterations, of {self.gradient_accumulation_steps} a "
                f"step. Set save_steps to a multiple of {answers_used // self.gradient_accumulation_steps or 1}, or "
                "steps_per_generation to gradient_accumulation_steps and num_iterations to 1."
            )
