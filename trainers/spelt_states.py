# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A second loss of a connector that learns to say words: its queries' states also spell them, letter by letter.

Words are many and each is rarely heard; letters are few and heard in every utterance. A state that spells what
is said tells new words apart. The letters are read through fixed random weights: there is nothing more to train, save
or throw away.
"""

from collections.abc import Sequence

import torch
from torch import nn

from .answer_pieces import LETTERS

SYMBOLS = " " + LETTERS
LETTERS_A_QUERY = 3  # speech has up to 20 letters a second
GAIN = 1.0  # states come from a layer norm: at 1, logits begin with a spread of about 1


class SpeltStates:
    """
    The letters that queries' states say, by CTC.

    Args:
        hidden_size: of the states.
        device: of the states.
    """

    def __init__(self, hidden_size: int, device: torch.device):
        chosen = torch.Generator().manual_seed(0)
        shape = hidden_size, LETTERS_A_QUERY, len(SYMBOLS) + 1
        self.weight = (torch.randn(shape, generator=chosen) * GAIN / hidden_size**0.5).to(device)
        self.place_of = {symbol: place for place, symbol in enumerate(SYMBOLS, start=1)}

    def losses(self, states: torch.Tensor, lengths: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        """
        CTC's loss of each item by its letters, (B,).

        It is 0, and teaches nothing, for a text that has more letters than its states can say, or none of `SYMBOLS`.

        Args:
            states: (B, T, hidden_size) float32, of the queries of all of an item's windows.
            lengths: (B,) int64, real states of each item.
            texts: what is said.
        """
        logits = torch.einsum("btd,dsp->btsp", states, self.weight).flatten(1, 2)  # (B, T * letters a query, symbols)
        rows = [torch.tensor(self.places(text), dtype=torch.long) for text in texts]
        target_lengths = torch.tensor([len(row) for row in rows], device=states.device)
        losses = nn.functional.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1),
            nn.utils.rnn.pad_sequence(rows, batch_first=True).to(states.device),
            lengths * LETTERS_A_QUERY,
            target_lengths,
            reduction="none",
            zero_infinity=True,
        )
        # Without a letter to say CTC would teach silence: an answer in another script is not silent.
        return (losses / target_lengths.clamp(min=1)).masked_fill(target_lengths == 0, 0.0)

    def places(self, text: str) -> list[int]:
        """The symbols of a text; what is neither letter, digit nor space is left out."""
        return [self.place_of[symbol] for symbol in text.lower() if symbol in self.place_of]
