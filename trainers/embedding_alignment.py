# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Losses that bring a connector's outputs onto the language model's own embeddings of words.

A language model reads only what lies on its embeddings. Scores alone do not bring an output there: they leave free
whatever is at right angles to all words, and the language model reads that, too. So the score of a word is made of the
distance to its embedding, and the distance to the right word is a loss of its own.

Axes: B items, T outputs, P pieces of the vocabulary, L the language model's width.
"""

import torch
from torch import nn

LOGIT_GAP = 20.0  # between a piece's own embedding and that of another, on average
OFF_WEIGHT = 4.0  # of the squared distance to the piece, in units of that between two pieces


class EmbeddedPieces:
    """The pieces that a connector may say, by the embeddings that the language model has for them.

    Distances are squared, and in units of the mean between two different pieces.

    Args:
        embeddings: (P, L), of which no gradient is taken; at least two.
    """

    def __init__(self, embeddings: torch.Tensor):
        self.embeddings = embeddings.detach()
        distances = torch.cdist(self.embeddings, self.embeddings).square()
        self.unit = distances[~torch.eye(len(distances), dtype=torch.bool, device=distances.device)].mean()

    @property
    def sharpness(self) -> float:
        """What a squared distance is multiplied by in the scores, in the embeddings' own unit."""
        return LOGIT_GAP / float(self.unit)

    def distances(self, outputs: torch.Tensor) -> torch.Tensor:
        """(rows, L) outputs to (rows, P), the distance to each piece."""
        return torch.cdist(outputs, self.embeddings).square() / self.unit

    def scores(self, distances: torch.Tensor) -> torch.Tensor:
        """Logits, the higher the nearer."""
        return -LOGIT_GAP * distances

    def off(self, outputs: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """(..., L) outputs to (...), the distance to the mean of the pieces by `shares` (..., P), a constant."""
        return (outputs - shares.detach() @ self.embeddings).square().sum(-1) / self.unit


def in_order(
    log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, target_lengths: torch.Tensor, blank: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """CTC: the outputs say the targets in their order, with blanks between.

    Args:
        log_probs: (B, T, P).
        lengths, target_lengths: (B,) int64.
        targets: (B, longest) int64, none of them the blank.

    Returns the loss of each item by its target's length (B,), and what each output is to say, (B, T, P): the shares of
    the pieces there, over all alignments with the targets.
    """
    known = log_probs.detach().requires_grad_(True)
    with torch.enable_grad():
        total = nn.functional.ctc_loss(
            known.transpose(0, 1), targets, lengths, target_lengths, blank, "sum", zero_infinity=True
        )
        # By the outputs before their softmax the gradient is what is said less what is to be said.
        (excess,) = torch.autograd.grad(total, known)
    losses = nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, target_lengths, blank, "none", zero_infinity=True
    )
    return losses / target_lengths.clamp(min=1), known.detach().exp() - excess


def in_any_order(
    log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, target_lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A bag of words: each of an item's pieces is said by some of its outputs, and nothing else by any.

    Args: as of [`in_order`]; a piece that is named twice counts twice.

    Returns the loss of each item by its target's length (B,), and the shares of its pieces in each output, (B, T, P).
    """
    said = log_probs.gather(2, targets[:, None].expand(-1, log_probs.shape[1], -1))  # (B, T, longest)
    real = torch.arange(log_probs.shape[1], device=lengths.device) < lengths[:, None]  # (B, T)
    named = torch.arange(targets.shape[1], device=lengths.device) < target_lengths[:, None]  # (B, longest)
    whole = said.masked_fill(~real[..., None], -torch.inf).logsumexp(1) - lengths.clamp(min=1).log()[:, None]
    losses = -whole.masked_fill(~named, 0).sum(1) / target_lengths.clamp(min=1)
    weights = said.detach().masked_fill(~named[:, None], -torch.inf).softmax(-1)
    shares = torch.zeros_like(log_probs).scatter_add(2, targets[:, None].expand_as(weights), weights.nan_to_num())
    return losses, shares


__all__ = ["EmbeddedPieces", "in_any_order", "in_order"]
