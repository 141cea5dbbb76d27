# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Arguments of `FavorDPOTrainer`: TRL's, and FAVOR's own."""

from dataclasses import dataclass, field

from trl import DPOConfig

from .shared_options import SharedOptions


@dataclass
class FavorDPOConfig(SharedOptions, DPOConfig):
    """[`trl.DPOConfig`] for preferences over video, image and sound.

    The encoders are frozen. Options of TRL that cannot be honoured are refused.

    Parameters that control the loss:
        diversity_loss_weight (`float`, *optional*): lambda of eq. 5, added to the preference loss while the connector
            is trained; by default the model config's (0.01). With a frozen connector it would change nothing, and is
            refused.

    Parameters that control what is trained:
        train_only, connector_dtype, muon_learning_rate, connector_learning_rate: see [`FavorSFTConfig`].

    Parameters that control the data:
        max_length (`int`, *optional*): the collator cuts the ends of answers beyond so many tokens; media are never
            cut.
    """

    diversity_loss_weight: float | None = field(
        default=None, metadata={"help": "Weight of the diversity loss (eq. 5); default: the model config's."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: media columns are no argument of the model."}
    )
    max_length: int | None = field(
        default=None, metadata={"help": "The collator cuts text, never media, beyond so many tokens."}
    )

    # What the paper keeps frozen stays so (section 4.2), and the connector's own reduction holds.
    freeze_encoders = True
    diversity_loss_reduction = None

    def __post_init__(self):
        self.choose_defaults()
        super().__post_init__()
        self.refuse(
            {
                "padding_free": (self.padding_free, "samples hold media and cannot be joined"),
                "remove_unused_columns": (self.remove_unused_columns, "it would drop the media columns"),
                "truncation_mode": (
                    self.truncation_mode != "keep_start",
                    "it would cut the media, which stand at the start",
                ),
                "precompute_ref_log_probs": (
                    self.precompute_ref_log_probs,
                    "it encodes all media once more before training; with a LoRA the reference takes no memory",
                ),
                "pad_to_multiple_of": (self.pad_to_multiple_of is not None, "the collator pads to the longest row"),
                "label_smoothing_factor": (
                    self.label_smoothing_factor,
                    "it is that of labels, which preferences have not; label_smoothing is that of DPO",
                ),
                "use_liger_kernel": (self.use_liger_kernel, "it has no kernels for FAVOR's layers"),
            },
            "FAVOR's preference training",
        )
        self.check_choices({})
        self.check_rates()
        self.check_reporters()
