# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How much each micro-batch's diversity loss counts in an optimisation step, and how its weight changes over steps."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch

from favor.modeling_favor import FavorConfig

from .favor_data_collator import Batch

MediaInput: TypeAlias = Literal["pixel_values_videos", "input_features", "encoder_states"]
# One row per item, in whichever is there.
MEDIA_ROWS: tuple[MediaInput, ...] = ("pixel_values_videos", "input_features", "encoder_states")


def diversity_units(batch: Batch, config: FavorConfig) -> torch.Tensor:
    """What the diversity loss of a batch is a mean over: windows (reduction "mean") or items ("sum"); a scalar.

    Told from the collated batch, before its forward: a window is `num_query_tokens` placeholders.
    """
    placeholders = (batch["input_ids"] == config.video_token_id).sum()
    if config.connector_config.diversity_loss_reduction == "mean":
        return placeholders // config.connector_config.num_query_tokens
    rows = next((batch[name] for name in MEDIA_ROWS if batch.get(name) is not None), None)
    if isinstance(rows, Mapping):
        rows = next(iter(rows.values()))
    return torch.zeros_like(placeholders) if rows is None else torch.full_like(placeholders, len(rows))


def scheduled_weight(weight: float, schedule: str, steps: int | None, step: int) -> float:
    """The weight of the diversity loss at an optimisation step, the first of which is 0."""
    if schedule == "constant" or not steps:
        return weight
    done = min(1.0, step / steps)
    return weight * (done if schedule == "linear_warmup" else 1.0 - done)
