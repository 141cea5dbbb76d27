# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rows through an encoder a bounded number at a time."""

from collections.abc import Callable

import torch
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

PICTURES_A_PASS, CHUNKS_A_PASS = 64, 16  # through an encoder: its memory does not grow with the video


def in_passes(encode: Callable[..., torch.Tensor], size: int, *inputs: torch.Tensor) -> torch.Tensor:
    """`encode(*inputs)` over at most `size` rows at a time, joined; rows must not depend on each other.

    With DeepSpeed ZeRO-3 all at once: it waits until every process has called a module equally often.
    """
    if is_deepspeed_zero3_enabled():
        return encode(*inputs)
    rows = zip(*(tensor.split(size) for tensor in inputs), strict=True)
    return torch.cat([encode(*some) for some in rows])


__all__ = ["CHUNKS_A_PASS", "PICTURES_A_PASS", "in_passes"]
