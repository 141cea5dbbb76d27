# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""CTC, bag of words and distance against sums over all that outputs can say, written out."""

import itertools
import math

import pytest
import torch

from favor.trainers.embedding_alignment import LOGIT_GAP, EmbeddedPieces, in_any_order, in_order


def collapsed(path: tuple[int, ...]) -> list[int]:
    """What a path of pieces says: repetitions once, then without the blank, 0."""
    kept = [piece for before, piece in zip((None, *path), path, strict=False) if piece != before]
    return [piece for piece in kept if piece]


def by_hand(log_probs: torch.Tensor, length: int, target: list[int]) -> tuple[float, torch.Tensor]:
    """The negative logarithm of the sum over all paths that say the target, and the shares of pieces in them."""
    outputs, count = log_probs.shape
    shares, total = torch.zeros(outputs, count, dtype=torch.float64), 0.0
    for path in itertools.product(range(count), repeat=length):
        if collapsed(path) == target:
            probability = math.exp(sum(float(log_probs[place, piece]) for place, piece in enumerate(path)))
            total += probability
            for place, piece in enumerate(path):
                shares[place, piece] += probability
    return -math.log(total), shares / total


@pytest.fixture
def log_probs() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(3, 5, 4).double().log_softmax(-1)


def test_ctc_sums_over_all_alignments(log_probs):
    targets = [[1, 2], [3, 3], [2]]
    lengths = torch.tensor([5, 4, 2])
    padded = torch.tensor([[1, 2], [3, 3], [2, 0]])
    losses, shares = in_order(log_probs, lengths, padded, torch.tensor([2, 2, 1]), blank=0)
    for row, target in enumerate(targets):
        length = int(lengths[row])
        loss, share = by_hand(log_probs[row], length, target)
        assert losses[row].item() == pytest.approx(loss / len(target), rel=1e-6)
        torch.testing.assert_close(shares[row, :length], share[:length], rtol=1e-6, atol=1e-9)


def test_a_bag_of_words_wants_each_piece_from_some_output(log_probs):
    lengths = torch.tensor([5, 3, 1])
    padded = torch.tensor([[1, 2], [3, 3], [2, 0]])
    losses, shares = in_any_order(log_probs, lengths, padded, torch.tensor([2, 2, 1]))
    for row, target in enumerate([[1, 2], [3, 3], [2]]):
        probabilities = log_probs[row, : lengths[row]].exp()
        expected = -sum(math.log(float(probabilities[:, piece].mean())) for piece in target) / len(target)
        assert losses[row].item() == pytest.approx(expected, rel=1e-6)
        named = sorted({*target})
        # Of an output's shares none is another piece's, and those of two pieces are as their probabilities.
        kept = shares[row, : lengths[row]]
        assert kept.sum(-1).tolist() == pytest.approx([1.0] * int(lengths[row]))
        assert kept[:, [piece for piece in range(4) if piece not in named]].eq(0).all()
    pair = shares[0, :, 1] / shares[0, :, 2]
    torch.testing.assert_close(pair, (log_probs[0, :, 1] - log_probs[0, :, 2]).exp())


def test_distances_are_in_units_of_that_between_two_pieces():
    torch.manual_seed(0)
    embeddings = torch.randn(6, 3)
    pieces = EmbeddedPieces(embeddings.requires_grad_(True))
    between = [(a - b).square().sum().item() for a, b in itertools.permutations(embeddings.detach(), 2)]
    assert pieces.unit.item() == pytest.approx(sum(between) / len(between), rel=1e-5)
    outputs = torch.randn(4, 3, requires_grad=True)
    by_hand = torch.tensor([[(o - e).square().sum().item() for e in embeddings] for o in outputs]) / pieces.unit
    torch.testing.assert_close(pieces.distances(outputs), by_hand, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pieces.scores(by_hand), -LOGIT_GAP * by_hand)
    shares = torch.rand(4, 6, requires_grad=True)
    off = pieces.off(outputs, shares)
    mean = shares @ embeddings
    torch.testing.assert_close(off, (outputs - mean).square().sum(-1) / pieces.unit)
    off.sum().backward()
    # The target stands still: only the outputs move.
    assert outputs.grad is not None and shares.grad is None and embeddings.grad is None


def test_descending_the_losses_brings_outputs_onto_the_embeddings():
    """By the scores alone they come near, but not onto: what is at right angles to all pieces is left."""
    torch.manual_seed(1)
    pieces = EmbeddedPieces(torch.cat([torch.randn(5, 4), torch.zeros(5, 4)], dim=1))  # of 8 axes, 4 are words'

    def distance(weight: float) -> float:
        outputs = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
        optimizer = torch.optim.Adam([outputs], lr=0.05)
        for _ in range(300):
            log_probs = pieces.scores(pieces.distances(outputs[0])).log_softmax(-1)[None]
            losses, shares = in_order(
                log_probs, torch.tensor([6]), torch.tensor([[1, 2, 3]]), torch.tensor([3]), blank=0
            )
            loss = losses.mean() + weight * pieces.off(outputs, shares).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        said = pieces.distances(outputs[0].detach())
        assert collapsed(tuple(said.argmin(-1).tolist())) == [1, 2, 3]
        return said.min(-1).values.max().item()

    assert distance(4.0) < 0.01 < 0.1 < distance(0.0)
