# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Arguments of `FavorSFTTrainer`: TRL's, and FAVOR's own."""

from dataclasses import dataclass, field

import torch
from trl import SFTConfig


@dataclass
class FavorSFTConfig(SFTConfig):
    """
    [`trl.SFTConfig`] with FAVOR's loss and freezing. Options that would silently break the audio-visual loss are
    refused.

    Parameters that control the loss:
        diversity_loss_weight (`float`, *optional*): lambda of eq. 5; by default the model config's (0.01).

    Parameters that control what is trained:
        freeze_encoders (`bool`, defaults to `True`): vision tower, visual Q-Former and audio tower stay as they are,
            in eval mode and under
            no_grad (paper, section 4.2).

    Parameters that control the data:
        sort_steps_by_length (`bool`, defaults to `False`): sort the samples of each optimisation step by their
            `length` column (tokens), so that its micro-batches (`gradient_accumulation_steps`) are padded less. The
            cross-entropy's gradient stays the same.
    """

    diversity_loss_weight: float | None = field(
        default=None, metadata={"help": "Weight of the diversity loss (eq. 5); default: the model config's."}
    )
    freeze_encoders: bool = field(
        default=True, metadata={"help": "Keep the vision tower, visual Q-Former and audio tower frozen."}
    )
    sort_steps_by_length: bool = field(
        default=False, metadata={"help": "Sort each optimisation step's samples by `length`: less padding."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: media columns are no argument of the model."}
    )
    max_length: int | None = field(
        default=None, metadata={"help": "Must stay None: cutting a sequence would cut media placeholders."}
    )

    def __post_init__(self):
        if self.bf16 is None and not torch.cuda.is_available():
            self.bf16 = False  # TRL's default is True, which a CPU refuses
        super().__post_init__()
        self.dataset_kwargs = {**(self.dataset_kwargs or {}), "skip_prepare_dataset": True}
        refused = {
            "packing": (self.packing, "samples hold media and cannot be packed"),
            "padding_free": (self.padding_free, "samples hold media and cannot be joined"),
            "remove_unused_columns": (self.remove_unused_columns, "it would drop the media columns"),
            "label_smoothing_factor": (
                self.label_smoothing_factor,
                "it runs a second forward that loses the diversity loss",
            ),
            "max_length": (self.max_length, "it would cut media placeholders"),
        }
        for name, (value, reason) in refused.items():
            if value:
                raise ValueError(f"{name}={value} is not possible in FAVOR training: {reason}; leave it out.")
