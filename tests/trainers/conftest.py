# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A handful of rendered clips with questions, to train on."""

import copy

import pytest
import torch


@pytest.fixture(scope="session")
def training_dir(tmp_path_factory):
    """`train.jsonl`, `train_scenes.jsonl` and media of eight clips, a still and a sound among them. Read only."""
    from evaluation.aveb_mini.dataset import write_split

    folder = tmp_path_factory.mktemp("training")
    write_split(folder, "train", count=8, seed=3, workers=1, progress=False)
    return folder


@pytest.fixture
def model_and_processor(tiny_parts):
    """A copy of the tiny random model that a test may train, and its processor."""
    model, processor = tiny_parts
    torch.manual_seed(0)
    return copy.deepcopy(model), processor
