# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Connector pre-training: queries learn their words, nothing else changes, and a recipe keeps what was learnt."""

import copy
import json

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from favor.modeling_favor import FavorForConditionalGeneration
from favor.trainers.from_scratch.clip_words import word_tokens, words_of_samples
from favor.trainers.from_scratch.connector_pretraining import pretrain_connector, word_weights
from favor.trainers.from_scratch.tower_pretraining import NOT_LABELLED
from favor.trainers.recipe import parse_recipe, read_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.recipe_sections import ConnectorPretraining

SETTINGS = {"steps": 200, "batch_size": 8, "learning_rate": 1e-2, "diversity_loss_weight": 0.1}


def test_each_query_learns_its_word_and_nothing_else_is_trained(encoded, training_dir):
    model, processor, dataset, rows, collator = encoded
    scenes = training_dir / "train_scenes.jsonl"
    settings = ConnectorPretraining(scenes=str(scenes), **SETTINGS)
    before = copy.deepcopy(model.state_dict())
    report = pretrain_connector(model, processor, dataset, rows, collator, settings, seed=0)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("model.connector.") for name in changed)
    words = words_of_samples(scenes, dataset, model.config.connector_config)
    vocabulary = sorted({word for said in words for word in said})
    embeddings = model.get_input_embeddings().weight[word_tokens(processor.tokenizer, vocabulary)]
    right, off = [], []
    model.eval()
    for place, said in enumerate(words):
        with torch.no_grad():
            output = model.model.connector(**collator.connector_inputs([rows[place]]))
        distances = torch.cdist(output.embeddings[0], embeddings).square()
        nearest = distances.argmin(-1).tolist()
        off += distances.min(-1).values.tolist()
        right += [vocabulary[found] == word for found, word in zip(nearest, said, strict=False)]
    assert sum(right) / len(right) > 0.9  # of a handful of clips, by heart
    assert report["words"] > 0.8
    between = torch.pdist(embeddings).square().mean().item()
    assert sum(off) / len(off) < 0.2 * between  # near the word, not just nearest to it


@given(st.lists(st.lists(st.integers(-1, 3), min_size=5, max_size=5), min_size=1, max_size=4))
def test_each_clip_and_each_of_its_words_weighs_the_same(rows):
    target = torch.tensor(rows)
    target[target == -1] = NOT_LABELLED
    weights = word_weights(target)
    assert not weights[target == NOT_LABELLED].any()
    told = [row for row, words in enumerate(target) if (words != NOT_LABELLED).any()]
    for row in told:
        words = set(target[row].tolist()) - {NOT_LABELLED}
        for word in words:
            assert weights[row][target[row] == word].sum().item() == pytest.approx(1 / len(words) / len(told))
    assert weights.sum().item() == pytest.approx(1.0 if told else 0.0)


def test_the_recipe_teaches_the_connector_once(training_dir, settings_with_enough_queries, tmp_path):
    recipe = {
        "output_dir": str(tmp_path / "run"),
        "train_data": str(training_dir / "train.jsonl"),
        "from_scratch": settings_with_enough_queries,
        "connector_pretraining": {"scenes": str(training_dir / "train_scenes.jsonl"), **SETTINGS, "steps": 2},
        "cache_encoder_states": True,
        "sft": {"max_steps": 1, "report_to": "none", "save_strategy": "no", "learning_rate": 0.0},
    }
    taught = load_file(run_recipe(parse_recipe(recipe)) / "pretrained_connector.safetensors")
    model = FavorForConditionalGeneration.from_pretrained(tmp_path / "run")
    connector = {name: value for name, value in model.model.state_dict().items() if name.startswith("connector.")}
    assert set(taught) == set(connector)
    for name, value in taught.items():
        torch.testing.assert_close(connector[name], value, rtol=0, atol=0)
    assert json.loads((tmp_path / "run" / "pretrained_connector.json").read_text()).keys() == {"words"}
    recipe["connector_pretraining"]["steps"] = 10**9  # a resumed run must not begin them
    run_recipe(parse_recipe(recipe | {"resume": True}))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"connector_pretraining": {"steps": 3}}, "lacks batch_size, diversity_loss_weight, learning_rate, scenes"),
        (
            {"connector_pretraining": {"scenes": "scenes.jsonl", **SETTINGS, "rate": 1}},
            "unknown connector_pretraining options rate; it has batch_size,",
        ),
        ({"cache_encoder_states": False}, "set `cache_encoder_states`"),
    ],
)
def test_a_recipe_that_cannot_be_followed(change, message, tmp_path):
    recipe = {
        "model": "anything",
        "output_dir": "out",
        "train_data": "train.jsonl",
        "cache_encoder_states": True,
        "connector_pretraining": {"scenes": "scenes.jsonl", **SETTINGS},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    read_recipe(tmp_path / "recipe.yaml")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe | change))
    with pytest.raises(ValueError, match=message):
        read_recipe(tmp_path / "recipe.yaml")
