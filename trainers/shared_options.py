# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Options that all of FAVOR's training configurations have, beside TRL's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.integrations import get_available_reporting_integrations

CONNECTOR_DTYPES = ("float32", "bfloat16")
REPORTERS = ("tensorboard", "wandb", "trackio", "mlflow", "swanlab")  # of `report_to`: their packages' names, too
MUON_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")  # that Muon may stand beside


@dataclass
class SharedOptions:
    """What is trained, in which dtype, and by which optimizer; see [`FavorSFTConfig`]."""

    train_only: list[str] | None = field(
        default=None, metadata={"help": "Names of the modules that alone are trained, e.g. connector."}
    )
    connector_dtype: str = field(
        default="float32", metadata={"help": "float32 or bfloat16: of the connector's weights."}
    )
    muon_learning_rate: float | None = field(
        default=None, metadata={"help": "Train the weight matrices inside the layers by Muon, at this rate."}
    )

    connector_learning_rate: float | None = field(
        default=None, metadata={"help": "Of the connector; all else has learning_rate. 0: it stays as it is."}
    )

    def choose_defaults(self: Any) -> None:
        """Before TRL looks at its arguments: what they are where there is no accelerator."""
        if not torch.accelerator.is_available():
            self.use_cpu = True  # else two processes on a CPU would train alone, each by itself
            self.bf16 = bool(self.bf16)  # TRL's default is True, which a CPU refuses
        if self.activation_checkpointing is None:  # TRL's default, True, still has the name that transformers 6 drops
            self.activation_checkpointing = self.gradient_checkpointing

    def refuse(self, refused: Mapping[str, tuple[Any, str]], training: str = "FAVOR training") -> None:
        """Raises `ValueError` for the first option whose value is set.

        Args:
            refused: name -> whether it is set, and why it is not possible.
            training: what it is not possible in.
        """
        for name, (value, reason) in refused.items():
            if value:
                raise ValueError(
                    f"{name}={getattr(self, name)} is not possible in {training}: {reason}; leave it out."
                )

    def check_choices(self, choices: Mapping[str, tuple]) -> None:
        """Raises `ValueError` for a value that an option of ours does not have.

        Args:
            choices: name -> its values.
        """
        for name, known in {"connector_dtype": CONNECTOR_DTYPES, **choices}.items():
            if getattr(self, name) not in known:
                values = ", ".join(str(value) for value in known if value is not None)
                raise ValueError(f"{name} must be one of {values}, but it is {getattr(self, name)!r}.")

    def check_reporters(self: Any) -> None:
        """Raises `ValueError` for a tool in `report_to` that is not installed."""
        asked = [self.report_to] if isinstance(self.report_to, str) else list(self.report_to or ())
        missing = [name for name in REPORTERS if name in asked and name not in get_available_reporting_integrations()]
        if missing:
            raise ValueError(
                f"report_to names {', '.join(missing)}, which is not installed: pip install {' '.join(missing)}, or "
                "set report_to to none."
            )

    def check_rates(self: Any) -> None:
        """Raises `ValueError` for rates that are none, or do not go together, and for an optimizer without Muon."""
        own, rate = self.connector_learning_rate, self.muon_learning_rate
        if own is not None and (isinstance(own, bool) or not isinstance(own, (int, float)) or not 0 <= own < math.inf):
            raise ValueError(f"connector_learning_rate must be a number, 0 or more, but it is {own!r}.")
        if own is not None and rate is not None:
            raise ValueError(
                f"connector_learning_rate={own} is AdamW's, but with muon_learning_rate={rate} Muon trains the "
                "connector's matrices: give one of them."
            )
        if rate is None:
            return
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise ValueError(
                f"muon_learning_rate must be a number above 0, but it is {rate!r}; leave it out to train without Muon."
            )
        if self.optim not in MUON_OPTIMIZERS:
            raise ValueError(
                f"muon_learning_rate={rate} is not possible with optim={self.optim.value!r}: Muon trains weight "
                f"matrices alone, beside AdamW. Set optim to {' or '.join(MUON_OPTIMIZERS)}, or leave Muon out."
            )
