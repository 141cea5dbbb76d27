# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Augmented pictures: what a shift and a mixture of colours keep, and that mistaken settings are named."""

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from favor.trainers.from_scratch.picture_augmentation import recolour, shift
from favor.trainers.recipe import read_recipe
from tests.conftest import tiny_settings


def random_pictures(seed: int, count: int = 6) -> torch.Tensor:
    return torch.randint(256, (count, 8, 10, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@given(st.integers(0, 100), st.integers(0, 3))
def test_a_shifted_picture_is_the_picture_a_few_pixels_off(seed, largest):
    pictures = random_pictures(seed)
    moved = shift(pictures, largest, torch.Generator().manual_seed(seed))
    assert moved.shape == pictures.shape and moved.dtype == torch.uint8
    for before, after in zip(pictures, moved, strict=True):
        offsets = []
        for down in range(-largest, largest + 1):
            for right in range(-largest, largest + 1):
                rows = (torch.arange(8) + down).clamp(0, 7)
                columns = (torch.arange(10) + right).clamp(0, 9)
                if torch.equal(before[rows][:, columns], after):
                    offsets.append((down, right))
        assert offsets


def test_every_shift_occurs():
    pictures = random_pictures(0, 1).expand(400, -1, -1, -1)
    moved = shift(pictures, 1, torch.Generator().manual_seed(0))
    assert len({tuple(picture.flatten().tolist()) for picture in moved}) == 9


@given(st.integers(0, 100), st.sampled_from([0.0, 0.4, 1.0]))
def test_a_recoloured_picture_has_its_greys_and_its_outlines(seed, share):
    pictures = random_pictures(seed)
    pictures[:, :4] = pictures[:, :4, :, :1]  # grey
    shown, mixed = recolour(pictures, share, torch.Generator().manual_seed(seed))
    assert torch.equal(shown[~mixed], pictures[~mixed])
    assert mixed.all() if share == 1 else share or not mixed.any()
    assert (shown[:, :4].int() - pictures[:, :4].int()).abs().max() <= 1
    for before, after in zip(pictures[mixed].float(), shown[mixed].float(), strict=True):
        # One linear map of colours for the whole picture: what had one colour has one colour.
        solved = torch.linalg.lstsq(before.reshape(-1, 3), after.reshape(-1, 3)).solution
        assert (before.reshape(-1, 3) @ solved - after.reshape(-1, 3)).abs().max() < 1
        assert solved.min() > -0.02 and (solved.sum(0) - 1).abs().max() < 0.02


def test_the_given_pictures_stay_as_they_are():
    pictures = random_pictures(1)
    before = pictures.clone()
    recolour(shift(pictures, 0, torch.Generator()), 1.0, torch.Generator())
    assert torch.equal(pictures, before)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"shfit": 3}, "unknown tower_pretraining.augmentation options shfit; it may have"),
        ({"recoloured": 0.5}, r"tower_pretraining\.augmentation: `recoloured` needs `colour_labels`"),
        (
            {"recoloured": 0.5, "colour_labels": ["color"]},
            "tower_pretraining: `colour_labels` of `augmentation` has color",
        ),
    ],
)
def test_mistaken_settings_are_named_before_anything_is_loaded(entries, message, tmp_path):
    numbers = dict.fromkeys(("visual_steps", "audio_steps", "visual_batch_size", "audio_batch_size"), 1)
    towers = {"scenes": "no.jsonl", "learning_rate": 1e-3, **numbers}
    towers |= {"visual_labels": ["colour", "shape"], "augmentation": entries}
    recipe = {
        "from_scratch": tiny_settings(),
        "output_dir": "out",
        "train_data": "no.jsonl",
        "tower_pretraining": towers,
    }
    (tmp_path / "mistaken.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(ValueError, match=rf"mistaken\.yaml: {message}"):
        read_recipe(tmp_path / "mistaken.yaml")
