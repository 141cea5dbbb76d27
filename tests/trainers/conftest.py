# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A handful of rendered clips with questions, to train on."""

import copy
import json

import pytest
import torch

from favor.trainers import load_manifest
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe_sections import ScratchModel
from tests.conftest import tiny_settings

WORDS_A_HALF_SECOND = 4


@pytest.fixture(scope="session")
def training_dir(tmp_path_factory):
    """`train.jsonl`, `train_scenes.jsonl` and media of eight clips, a still and a sound among them. Read only."""
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.mini.dataset import write_split

    folder = tmp_path_factory.mktemp("training")
    write_split(folder, "train", count=8, seed=3, workers=1, progress=False, prompts=AVEB_PROMPTS)
    return folder


@pytest.fixture
def model_and_processor(tiny_parts):
    """A copy of the tiny random model that a test may train, and its processor."""
    model, processor = tiny_parts
    torch.manual_seed(0)
    return copy.deepcopy(model), processor


@pytest.fixture
def settings_with_enough_queries():
    """A recipe's `from_scratch` section for a model with a query for each word, and a tokenizer of whole words."""
    settings = copy.deepcopy(tiny_settings())
    connector = settings["config"]["connector_config"]
    connector["initializer_range"] = 0.1  # to be trained
    connector["num_query_tokens"] = WORDS_A_HALF_SECOND * connector["window_frames"]
    return settings | {"vocab_size": 600}


@pytest.fixture
def encoded(training_dir, settings_with_enough_queries):
    """A random model whose tokenizer knows the words, and the eight clips in its encoders' states."""
    scenes = [json.loads(line) for line in (training_dir / "train_scenes.jsonl").read_text().splitlines()]
    said = [" ".join(row) for scene in scenes for row in scene["half_second_words"]]
    model, processor = build_from_scratch(
        ScratchModel(**settings_with_enough_queries), [*said, "red nothing nothing"] * 20, seed=0
    )
    dataset = load_manifest(training_dir / "train.jsonl")
    rows, collator = encode_dataset(model, processor, dataset, workers=0, progress=False)
    return model, processor, dataset, rows, collator
