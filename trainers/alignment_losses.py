# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a connector's outputs say wrongly of its items' answers, and how far they are off what they are to say.

Axes: B items, T outputs, W windows, N queries, L the language model's width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from favor.modeling_favor.connector_streams_favor import length_mask

from .answer_pieces import outputs_needed
from .embedding_alignment import EmbeddedPieces, in_any_order, in_order


@dataclass
class StreamLosses:
    """
    The losses of items whose windows say what is heard and what is seen in queries of their own, each (B,).

    Attributes:
        heard, seen: what is said wrongly, by the answer's pieces; of blanks alone, by outputs.
        off: how far outputs are off.
    """

    heard: torch.Tensor
    seen: torch.Tensor
    off: torch.Tensor


def alignment_losses(
    outputs: torch.Tensor,
    lengths: torch.Tensor,
    targets: Sequence[Sequence[int]],
    still: torch.Tensor,
    pieces: EmbeddedPieces,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each item's outputs say wrongly, by its answer's pieces, and how far they are off, both (B,).

    Args:
        outputs: (B, T, L) float32.
        lengths: (B,) outputs of each item.
        targets: of each item, the places of its answer's pieces; none is 0, the blank.
        still: (B,) which items are learnt as a bag of words.
        pieces: the embeddings, the blank's first.

    Raises `ValueError` for an answer that takes more outputs than its item has.
    """
    for target, count in zip(targets, lengths.tolist(), strict=True):
        check_length(target, count)
    said, off = outputs.new_zeros(len(targets)), outputs.new_zeros(len(targets))
    for rule, chosen in ((in_any_order, still), (partial(in_order, blank=0), ~still)):
        if chosen.any():
            own = [target for target, mine in zip(targets, chosen.tolist(), strict=True) if mine]
            losses, distances = _losses_by(rule, outputs[chosen], lengths[chosen], own, pieces)
            said, off = said.masked_scatter(chosen, losses), off.masked_scatter(chosen, distances)
    return said, off


def stream_losses(
    windows: torch.Tensor,
    counts: torch.Tensor,
    targets: Sequence[Sequence[int]],
    shown: Sequence[Sequence[int] | None],
    seen_queries: int,
    pieces: EmbeddedPieces,
) -> StreamLosses:
    """The losses of items, each stream's by its own queries. All is said in order, and blanks where nothing is.

    Args:
        windows: (B, W, N, L) float32 outputs.
        counts: (B,) windows of each item.
        targets: as of [`alignment_losses`].
        shown: see [`PairedStreams`]. What an item's pictures show in each entry's equal part of its windows; an item
            that shows itself is heard nowhere, any other says its own answer in the queries of what is heard.
        seen_queries: of a window, its last, for what is seen.
        pieces: the embeddings, the blank's first.

    Raises `ValueError` for an answer that takes more outputs than there are for it.
    """
    silent = [names is not None and item in names for item, names in enumerate(shown)]
    heard = [[] if silent[item] else target for item, target in enumerate(targets)]
    outputs = heard_queries(windows, seen_queries)
    lengths = counts * outputs.shape[2]
    heard_said, off = _ordered_losses(outputs.flatten(1, 2), lengths, heard, pieces)
    rows, names, owners = [], [], []
    for item, entries in enumerate(shown):
        if entries is None:  # nothing tells what is seen
            continue
        parts = windows[item, : int(counts[item]), -seen_queries:].chunk(max(1, len(entries)))
        rows += [part.flatten(0, 1) for part in parts]
        names += [targets[entry] for entry in entries] or [[]]
        owners += [item] * len(parts)
    if not rows:
        return StreamLosses(heard_said, torch.zeros_like(heard_said), off)
    lengths = torch.tensor([len(row) for row in rows], device=windows.device)
    said, seen_off = _ordered_losses(nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths, names, pieces)
    owner = torch.tensor(owners, device=windows.device)
    parts_of = torch.bincount(owner, minlength=len(targets)).clamp(min=1)[owner]
    share = seen_queries / windows.shape[2]
    return StreamLosses(
        heard_said,
        torch.zeros_like(heard_said).index_add(0, owner, said / parts_of),
        (off * (1 - share)).index_add(0, owner, seen_off * share / parts_of),
    )


def heard_queries(windows: torch.Tensor, seen_queries: int) -> torch.Tensor:
    """(B, W, N, ...) to those of a window's queries that say what is heard: all but the last `seen_queries`."""
    return windows[:, :, : windows.shape[2] - seen_queries]


def check_count(targets: Sequence[Sequence[int]], outputs: torch.Tensor) -> None:
    """Raises `ValueError` unless each sample has one item."""
    if len(targets) != len(outputs):
        raise ValueError(
            f"align_connector reads one item a sample, but {len(targets)} samples have {len(outputs)} items."
        )


def check_length(target: Sequence[int], outputs: int, where: str = "a sample") -> None:
    """Raises `ValueError` for an answer that the connector has too few outputs to say, or none of its pieces."""
    if not outputs:
        raise ValueError(f"{where}: it has no media, so there is nothing that the connector could say.")
    if not target:
        raise ValueError(f"{where}: its answer has no piece that a connector could say.")
    if outputs_needed(target) > outputs:
        raise ValueError(
            f"{where}: its answer takes {outputs_needed(target)} outputs of the connector, but its media have "
            f"{outputs}: leave it out of this stage, or set more connector_config.num_query_tokens, or another "
            "number of seen_queries."
        )


def _ordered_losses(
    outputs: torch.Tensor, lengths: torch.Tensor, targets: Sequence[Sequence[int]], pieces: EmbeddedPieces
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two losses of rows that say their targets in order, or blanks alone where there is none, both (B,)."""
    for target, count in zip(targets, lengths.tolist(), strict=True):
        if target:
            check_length(target, count)
    said, off = _losses_by(partial(in_order, blank=0), outputs, lengths, targets, pieces)
    # CTC's loss of blanks alone is a sum over outputs; that of pieces is a mean over pieces.
    silent = torch.tensor([not target for target in targets], device=said.device)
    return torch.where(silent, said / lengths.clamp(min=1), said), off


def _losses_by(
    rule: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    outputs: torch.Tensor,
    lengths: torch.Tensor,
    targets: Sequence[Sequence[int]],
    pieces: EmbeddedPieces,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two losses of items that are learnt by one rule, both (B,). Rows of padding are not computed."""
    outputs = outputs[:, : int(lengths.max())]
    real = length_mask(lengths, outputs.shape[1])  # (B, T)
    scores = pieces.scores(pieces.distances(outputs[real])).log_softmax(-1)  # (real outputs, P)
    log_probs = scores.new_zeros(*real.shape, scores.shape[-1]).masked_scatter(real[..., None], scores)
    rows = [torch.tensor(target, dtype=torch.long) for target in targets]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(lengths.device)
    target_lengths = torch.tensor([len(target) for target in targets], device=lengths.device)
    said, shares = rule(log_probs, lengths, padded, target_lengths)
    off = said.new_zeros(real.shape).masked_scatter(real, pieces.off(outputs[real], shares[real]))
    return said, off.sum(1) / lengths.clamp(min=1)


__all__ = ["StreamLosses", "alignment_losses", "check_count", "check_length", "heard_queries", "stream_losses"]
