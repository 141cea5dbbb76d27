# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""States that spell what is said: against CTC on the letters by themselves, and learnt."""

import pytest
import torch
from torch import nn

from favor.trainers.spelt_states import LETTERS_A_QUERY, SYMBOLS, SpeltStates

WIDTH = 384  # wide enough for all symbols of a query at once


def test_the_loss_is_ctc_on_the_letters_of_real_states():
    spelt = SpeltStates(WIDTH, torch.device("cpu"))
    torch.manual_seed(1)
    states, lengths, texts = torch.randn(2, 6, WIDTH), torch.tensor([6, 4]), ["A cat, 2!", "dog"]
    losses = spelt.losses(states, lengths, texts)
    for row, letters in enumerate(["a cat 2", "dog"]):
        logits = states[row, : lengths[row]] @ spelt.weight.flatten(1)
        log_probs = logits.unflatten(1, (LETTERS_A_QUERY, -1)).flatten(0, 1).log_softmax(-1)
        target = torch.tensor([1 + SYMBOLS.index(letter) for letter in letters])
        alone = nn.functional.ctc_loss(
            log_probs, target, torch.tensor(len(log_probs)), torch.tensor(len(target)), reduction="sum"
        )
        assert losses[row].item() == pytest.approx(alone.item() / len(letters), rel=1e-5)


def test_a_text_that_the_states_cannot_hold_has_no_loss():
    spelt = SpeltStates(WIDTH, torch.device("cpu"))
    assert spelt.losses(torch.randn(1, 1, WIDTH), torch.tensor([1]), ["caterpillar"]).tolist() == [0.0]


def test_answers_in_another_script_teach_no_silence():
    spelt = SpeltStates(WIDTH, torch.device("cpu"))
    states, lengths = torch.randn(3, 4, WIDTH, requires_grad=True), torch.tensor([4, 4, 4])
    losses = spelt.losses(states, lengths, ["кошка", "cat", "猫"])
    assert losses[1] > 0 and losses[[0, 2]].tolist() == [0.0, 0.0]
    losses.sum().backward()
    assert states.grad[1].any() and not states.grad[[0, 2]].any()
    assert spelt.losses(states, lengths, ["кошка", "!", ""]).tolist() == [0.0, 0.0, 0.0]


def test_states_can_learn_to_spell():
    spelt, norm = SpeltStates(WIDTH, torch.device("cpu")), nn.LayerNorm(WIDTH)
    torch.manual_seed(2)
    states, lengths, texts = nn.Parameter(torch.randn(3, 8, WIDTH)), torch.tensor([8, 8, 5]), ["rooster", "hen", "a 5"]
    optimizer = torch.optim.Adam([states], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = spelt.losses(norm(states), lengths, texts).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
