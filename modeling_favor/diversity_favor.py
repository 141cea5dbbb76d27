# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The diversity loss (eq. 4): of windows, of the samples of a batch, and of a step that is split into batches."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import nn

IGNORED_LABEL = -100


def window_diversity(states: torch.Tensor, reduction: str) -> torch.Tensor:
    """Cosine similarity of different queries of a window, (windows, N, d) to (windows,).

    `"mean"`: over pairs (released code). `"sum"`: of all pairs (eq. 4).
    """
    num_queries = states.shape[1]
    if num_queries < 2:
        return states.new_zeros(len(states), dtype=torch.float32)
    unit = nn.functional.normalize(states.float(), dim=-1)
    similarity = unit @ unit.transpose(1, 2)  # (windows, N, N)
    off_diagonal = similarity.sum((1, 2)) - similarity.diagonal(dim1=1, dim2=2).sum(-1)  # (windows,)
    return off_diagonal if reduction == "sum" else off_diagonal / (num_queries * (num_queries - 1))


def batch_diversity(values: torch.Tensor, num_items: int, reduction: str) -> torch.Tensor:
    """[`window_diversity`] of all windows, (windows,), to a scalar.

    `"mean"`: over windows. `"sum"`: summed over the windows of an item, mean over the items.
    """
    if not len(values):
        return values.new_zeros(())
    return values.sum() / num_items if reduction == "sum" else values.mean()


def diversity_loss(
    states: torch.Tensor, item_of_window: torch.Tensor, num_items: int, reduction: str = "mean"
) -> torch.Tensor:
    """[`batch_diversity`] of query states (windows, N, d), whichever items (windows,) they belong to."""
    return batch_diversity(window_diversity(states, reduction), num_items, reduction)


def sample_diversity(
    values: torch.Tensor, windows_of_items: Sequence[int], placeholders: torch.Tensor, reduction: str
) -> torch.Tensor | None:
    """[`batch_diversity`] of each sample's own items: (batch,), 0 of samples without media.

    Args:
        values: (windows,) of all items, in their order.
        windows_of_items: how many windows each item has.
        placeholders: (batch, length), True where a media embedding goes; an item's placeholders are one for each of
            its tokens, which are equally many for every window.
        reduction (`str`): as above.

    None if these are not the windows that the placeholders stand for.
    """
    in_rows = placeholders.sum(1)  # (batch,)
    windows = sum(windows_of_items)
    if not windows or windows != len(values):
        return None
    per_window = int(in_rows.sum()) // windows
    ends_of_rows = (in_rows // max(per_window, 1)).cumsum(0)  # (batch,) in windows
    ends_of_items = torch.tensor(list(accumulate(windows_of_items)), device=ends_of_rows.device)
    rows = torch.searchsorted(ends_of_rows, ends_of_items).clamp(max=len(in_rows) - 1)  # (items,)
    counts = torch.tensor(windows_of_items, device=rows.device)
    rows_of_windows = rows.repeat_interleave(counts).to(values.device)
    sums = values.new_zeros(len(in_rows)).index_add(0, rows_of_windows, values)
    held = torch.bincount(rows[counts > 0].to(values.device) if reduction == "sum" else rows_of_windows)
    held = nn.functional.pad(held, (0, len(in_rows) - len(held)))
    return sums / held.clamp(min=1)


def share_of_step(
    samples: torch.Tensor, targets: torch.Tensor, num_items_in_batch: torch.Tensor | int
) -> torch.Tensor:
    """A batch's part of the diversity loss of a whole step: a scalar.

    A step may be split into batches in any way, of which each knows only the number of answer tokens of all: so each
    sample counts by its share of them, as in the cross-entropy.

    Args:
        samples: (batch,) [`sample_diversity`].
        targets: (batch, length) labels, shifted already.
        num_items_in_batch: answer tokens of the step.
    """
    tokens = (targets != IGNORED_LABEL).sum(1).to(samples.device)  # (batch,)
    whole = torch.as_tensor(num_items_in_batch, device=samples.device)
    return (samples * tokens).sum() / whole


__all__ = ["batch_diversity", "diversity_loss", "sample_diversity", "share_of_step", "window_diversity"]
