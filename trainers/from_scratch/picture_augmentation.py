# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Shifts pictures and mixes their colours at random, so that a tower learns shapes apart from colours and places."""

import torch
from torch import nn

SHARPNESS = 3.0  # of the mixtures: an output channel is mostly one of the input channels


def shift(pictures: torch.Tensor, largest: int, generator: torch.Generator) -> torch.Tensor:
    """(B, H, W, 3) uint8 pictures, each moved by up to `largest` pixels either way; what comes in repeats the edge."""
    if not largest:
        return pictures
    count, height, width, _ = pictures.shape
    padded = nn.functional.pad(pictures.permute(0, 3, 1, 2).float(), [largest] * 4, mode="replicate")
    down, right = torch.randint(2 * largest + 1, (2, count), generator=generator)
    rows = (torch.arange(height)[None] + down[:, None])[:, None, :, None]
    columns = (torch.arange(width)[None] + right[:, None])[:, None, None, :]
    moved = padded[torch.arange(count)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, columns]
    return moved.permute(0, 2, 3, 1).to(pictures.dtype)


def recolour(pictures: torch.Tensor, share: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mixes the channels of a random `share` of the (B, H, W, 3) uint8 pictures, each in its own way; greys stay greys.

    Returns the pictures, and (B,) bool: which were recoloured.
    """
    chosen = torch.rand(len(pictures), generator=generator) < share
    mixtures = torch.softmax(SHARPNESS * torch.randn(int(chosen.sum()), 3, 3, generator=generator), dim=-1)
    recoloured = torch.einsum("bhwc,bdc->bhwd", pictures[chosen].float(), mixtures)
    pictures = pictures.clone()
    pictures[chosen] = recoloured.round().to(pictures.dtype)
    return pictures, chosen
