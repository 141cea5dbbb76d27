# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Towers of a small model are taught by AdamW, or by Muon beside it; a recipe's mistaken settings are named."""

import pytest
import torch
import yaml
from torch import nn

from favor.trainers.from_scratch.tower_pretraining import classify, fit, random_batches
from favor.trainers.recipe import read_recipe
from tests.conftest import tiny_settings

SETTINGS = {
    "scenes": "scenes.jsonl",
    "visual_labels": ["colour"],
    "visual_steps": 1,
    "audio_steps": 1,
    "visual_batch_size": 1,
    "audio_batch_size": 1,
    "learning_rate": 1e-3,
}


def quadrant_problem():
    """A network that tells in which quadrant a point is, and the loss of its rows."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh()).double()
    head = nn.Linear(16, 4).double()
    points = torch.rand(256, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    quadrant = (points > 0).long() @ torch.tensor([1, 2])
    return layers, head, lambda rows: classify({"quadrant": (head(layers(points[rows])), quadrant[rows])})


@pytest.mark.parametrize("rates", [{"learning_rate": 3e-2}, {"learning_rate": 1e-2, "muon_learning_rate": 2e-2}])
def test_layers_and_heads_learn(rates):
    layers, head, loss_of = quadrant_problem()
    layers[0].bias.requires_grad_(False)
    before = [value.clone() for part in (layers, head) for value in part.parameters()]
    batches = random_batches(256, 64, torch.Generator().manual_seed(0))
    accuracies = fit("points", layers, head, loss_of, batches, 150, **rates)
    assert accuracies["quadrant"] > 0.95
    after = [value for part in (layers, head) for value in part.parameters()]
    same = [torch.equal(*pair) for pair in zip(before, after, strict=True)]
    assert same == [False, True, *[False] * 4]  # what is frozen stays, all else learns


def test_muon_trains_the_layers_weights_and_only_these():
    """Its first step has one size in all directions of a matrix; AdamW's has one size in all entries."""
    layers, head, loss_of = quadrant_problem()
    before = layers[2].weight.detach().clone(), head.weight.detach().clone()
    batches = random_batches(256, 256, torch.Generator().manual_seed(0))
    fit("points", layers, head, loss_of, batches, 1, learning_rate=1e-2, muon_learning_rate=1e-1)
    by_muon, by_adamw = layers[2].weight - before[0], head.weight - before[1]
    entries = by_adamw.abs()
    torch.testing.assert_close(entries, entries.mean().expand_as(entries), rtol=0.05, atol=0)
    scales = torch.linalg.svdvals(by_muon)[:3]  # four classes give a gradient of rank three
    assert scales.min() > 0.5 * scales.max()
    assert by_muon.abs().min() < 0.5 * by_muon.abs().max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"muon_learning_rat": 1e-2}, "unknown tower_pretraining options muon_learning_rat; it has audio_batch_size"),
        ({"visual_steps": None}, "lacks visual_steps"),
        (dict.fromkeys(SETTINGS), "lacks audio_batch_size"),
    ],
)
def test_a_recipe_whose_towers_cannot_be_taught(change, message, tmp_path):
    recipe = {"from_scratch": tiny_settings(), "output_dir": "out", "train_data": "train.jsonl"}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe | {"tower_pretraining": {**SETTINGS, "muon_learning_rate": 1e-2}}))
    read_recipe(path)
    towers = {key: value for key, value in (SETTINGS | change).items() if value is not None}
    path.write_text(yaml.safe_dump(recipe | {"tower_pretraining": towers}))
    with pytest.raises(ValueError, match=message):
        read_recipe(path)
