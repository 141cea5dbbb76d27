# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns a connector's outputs into mixtures of the language model's own embeddings of words.

A small language model copies words that stand exactly on its embeddings, and stumbles over what lies beside them. This
is not in the paper; AlignVLM (arXiv 2502.01341) has such a connector over the whole vocabulary.
"""

import torch
from torch import nn
from transformers import initialization as init

NOWHERE = -6e4  # score of a place without an embedding; -inf could not be kept in every dtype, nor be shipped


class FavorWordMixture(nn.Module):
    """
    Each output becomes the mean of some embeddings, weighted by how near they are to it.

    The weights are a softmax over `-sharpness` times the squared distances. Embeddings are no parameters: an alignment
    (`align_connector` of a recipe) fills them in.

    Args:
        size: P, embeddings that there is room for.
        width: L, of the language model.
    """

    embeddings: torch.Tensor  # (P, L)
    offsets: torch.Tensor  # (P,) -sharpness * |embedding|^2, and `NOWHERE` where no embedding is
    sharpness: torch.Tensor  # (1,)

    def __init__(self, size: int, width: int):
        super().__init__()
        self.register_buffer("embeddings", torch.empty(size, width))
        self.register_buffer("offsets", torch.empty(size))
        self.register_buffer("sharpness", torch.empty(1))

    @torch.no_grad()
    def start(self, std: float) -> None:
        """Random embeddings, as long as no alignment has filled them in."""
        init.normal_(self.embeddings, std=std)
        init.constant_(self.sharpness, 1.0)
        init.copy_(self.offsets, -self.embeddings.float().square().sum(-1))

    @torch.no_grad()
    def fill(self, embeddings: torch.Tensor, sharpness: float) -> None:
        """
        Takes over embeddings of the language model.

        Args:
            embeddings: (at most P, L).
            sharpness: of the softmax, above 0.

        Raises `ValueError` for more embeddings than there is room for.
        """
        count, room = len(embeddings), len(self.embeddings)
        if count > room:
            raise ValueError(
                f"connector_config.mixture_size is {room}, but {count} embeddings are to be mixed: raise it."
            )
        self.embeddings.zero_()
        self.offsets.fill_(NOWHERE)
        self.sharpness.fill_(sharpness)
        self.embeddings[:count] = embeddings.to(self.embeddings)
        self.offsets[:count] = -sharpness * self.embeddings[:count].float().square().sum(-1).to(self.offsets)

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """(..., L) to (..., L) in the same dtype; computed in float32, as distances are small differences."""
        with torch.autocast(outputs.device.type, enabled=False):
            embeddings = self.embeddings.float()
            # |output|^2 is the same for all embeddings, and a softmax does not see it.
            scores = 2 * self.sharpness.float() * (outputs.float() @ embeddings.T) + self.offsets.float()
            return (scores.softmax(-1) @ embeddings).to(outputs.dtype)


__all__ = ["FavorWordMixture"]
