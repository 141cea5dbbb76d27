# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Leaves channels of the encoders out of an item's states, so that a connector does not learn its few items by heart.

Kept states are the same in every epoch, as augmentations of files would not be: a connector soon tells its recordings
and pictures apart by a few of their channels, and then knows no other ones.
"""

from collections.abc import Mapping

import torch

STREAMS = ("visual", "audio")


def drop_channels(
    states: Mapping[str, torch.Tensor], share: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """
    The states without some of their channels, the same ones throughout an item's stream, and the others scaled up.

    Args:
        states: the connector's arguments: `visual` (B, T, p, d), `audio` (B, S, A), and what else it takes.
        share: of the channels, from 0 to below 1.
        generator: which, on the CPU.
    """
    dropped = dict(states)
    for name in STREAMS:
        if name in states:
            stream = states[name]
            kept = torch.rand(len(stream), stream.shape[-1], generator=generator) >= share
            scales = (kept / (1 - share)).to(stream)  # (B, channels)
            dropped[name] = stream * scales.view(len(stream), *[1] * (stream.dim() - 2), -1)
    return dropped


__all__ = ["drop_channels"]
