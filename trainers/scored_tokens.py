# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Lets the language head score answer tokens alone on processors without Triton, too, as TRL does with it.

TRL scores every position elsewhere, for devices that compile a program for each shape. A CPU does not, and there the
head takes more than half of a small model's step: SmolLM2 has 49,152 tokens, and most positions are media and prompt.
"""

import torch
from trl.trainer import utils as trl_utils

_SWITCH = "_use_triton"  # asked by TRL's fused head, which positions to score; its kernels ask their own module


def score_answers_alone() -> None:
    """Sets TRL so, in this process. A TRL that has no such switch is left as it is: its losses are the same."""
    before = getattr(trl_utils, _SWITCH, None)
    if before is None or getattr(before, "scores_answers_alone", False):
        return

    def compact(device: torch.device) -> bool:
        return device.type == "cpu" or before(device)

    compact.scores_answers_alone = True  # type: ignore[attr-defined]
    setattr(trl_utils, _SWITCH, compact)
