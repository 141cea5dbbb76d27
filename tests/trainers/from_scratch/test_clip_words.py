# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips told in words: the language model reads a word where a query token will be, and a recipe's stage does so."""

import copy
import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from favor.trainers.from_scratch.clip_words import tell_in_words, word_tokens, words_of_samples
from favor.trainers.recipe import parse_recipe, read_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.sample_tokens import IGNORED_LABEL


def test_a_word_stands_where_a_query_token_will(encoded, training_dir):
    model, processor, dataset, rows, collator = encoded
    scenes = training_dir / "train_scenes.jsonl"
    told, _ = tell_in_words(processor, dataset, scenes, model.config.connector_config)
    said = words_of_samples(scenes, dataset, model.config.connector_config)
    for row, in_words, words in zip(rows, told, said, strict=True):
        assert in_words["labels"] == row["labels"]
        assert in_words["length"] == row["length"] == len(in_words["input_ids"])
        pairs = list(zip(row["input_ids"], in_words["input_ids"], strict=True))
        assert all(token == other for token, other in pairs if token != processor.video_token_id)
        read = [other for token, other in pairs if token == processor.video_token_id]
        fillers = ["nothing"] * (len(read) - len(words))
        assert read == word_tokens(processor.tokenizer, [*words, *fillers]).tolist()


def test_a_model_reads_words_as_queries_that_say_them(encoded, training_dir):
    model, processor, dataset, rows, collator = encoded
    told, batch = tell_in_words(processor, dataset, training_dir / "train_scenes.jsonl", model.config.connector_config)
    words = batch([told[0], told[1]])
    assert words.keys() == {"input_ids", "attention_mask", "labels"}
    assert (words["labels"] != IGNORED_LABEL).any(1).all()
    queries = collator([rows[0], rows[1]])
    assert collator.connector_inputs([rows[0]])  # there is something to see
    embeddings = model.get_input_embeddings()(words["input_ids"])
    model.eval()
    with torch.no_grad():
        model.model.connector.register_forward_hook(lambda *_: pytest.fail("the connector ran"))
        read = model(**words).logits
        expected = model(inputs_embeds=embeddings, attention_mask=queries["attention_mask"]).logits
    torch.testing.assert_close(read, expected)


def test_a_stage_in_words_trains_before_the_connector_does(training_dir, settings_with_enough_queries, tmp_path):
    scenes = str(training_dir / "train_scenes.jsonl")
    pretraining = {"steps": 2, "batch_size": 8, "learning_rate": 1e-2, "diversity_loss_weight": 0.1}
    recipe = {
        "output_dir": str(tmp_path / "run"),
        "train_data": str(training_dir / "train.jsonl"),
        "eval_data": str(training_dir / "train.jsonl"),
        "from_scratch": settings_with_enough_queries,
        "connector_pretraining": {"scenes": scenes, **pretraining},
        "cache_encoder_states": True,
        "sft": {
            **{"max_steps": 20, "report_to": "none", "learning_rate": 3e-3, "save_steps": 10, "logging_steps": 1},
            **{"eval_strategy": "steps", "eval_steps": 10, "load_best_model_at_end": True},  # for media alone
        },
        "stages": [
            {"words_for_media": scenes, "sft": {"train_only": ["language_model", "lm_head"]}},
            {"sft": {"max_steps": 1}},
        ],
    }
    run_recipe(parse_recipe(recipe))
    log = json.loads((tmp_path / "run" / "stage-1" / "trainer_state.json").read_text())["log_history"]
    losses = [line["loss"] for line in log if "loss" in line]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert not any("eval_loss" in line for line in log)  # of media that the connector cannot tell yet
    first = load_file(tmp_path / "run" / "stage-1" / "finished" / "model.safetensors")
    taught = load_file(tmp_path / "run" / "pretrained_connector.safetensors")
    assert any(not torch.equal(first[f"model.{name}"], value) for name, value in taught.items())
    recipe["connector_pretraining"]["steps"] = 10**9  # a resumed run must not begin them
    recipe["stages"][0]["sft"]["max_steps"] = 10**9
    run_recipe(parse_recipe(recipe | {"resume": True}))


def test_a_stage_in_words_needs_no_media(training_dir, settings_with_enough_queries, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train.jsonl", "train_scenes.jsonl"):
        shutil.copy(training_dir / name, data)
    in_words = {"train_data": str(data / "train.jsonl"), "words_for_media": str(data / "train_scenes.jsonl")}
    recipe = {
        "output_dir": str(tmp_path / "run"),
        "train_data": str(training_dir / "train.jsonl"),
        "from_scratch": settings_with_enough_queries,
        "sft": {"max_steps": 1, "report_to": "none", "save_strategy": "no"},
        "stages": [in_words],
    }
    run_recipe(parse_recipe(recipe))
    record = json.loads((tmp_path / "run" / "training_record.json").read_text())
    assert record["data"]["samples"] == len(read_lines(data / "train.jsonl"))
    del recipe["stages"][0]["words_for_media"]
    with pytest.raises(ValueError, match="does not exist beside the manifest"):
        run_recipe(parse_recipe(recipe))


def read_lines(path):
    return path.read_text().splitlines()


def test_words_for_media_name_a_file(tmp_path):
    recipe = {"model": "anything", "output_dir": "out", "train_data": "train.jsonl"}
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**recipe, "stages": [{"words_for_media": True}]}))
    with pytest.raises(ValueError, match=r"`stages\.0\.words_for_media` must be a text, but it is True"):
        read_recipe(file)


def test_words_that_do_not_fit_are_named(encoded, training_dir, tmp_path):
    model, processor, dataset, *_ = encoded
    config = copy.deepcopy(model.config.connector_config)
    config.num_query_tokens = 7
    with pytest.raises(ValueError, match="4 words per half second, but the connector has 7 queries"):
        words_of_samples(training_dir / "train_scenes.jsonl", dataset, config)
    with pytest.raises(ValueError, match="'antidisestablishment' is more than one token"):
        word_tokens(processor.tokenizer, ["red", "antidisestablishment"])
    lines = (training_dir / "train_scenes.jsonl").read_text().splitlines()
    few = tmp_path / "few_scenes.jsonl"
    few.write_text(lines[0] + "\n")
    with pytest.raises(ValueError, match="has no words of"):
        words_of_samples(few, dataset, model.config.connector_config)
    few.write_text(json.dumps({**json.loads(lines[0]), "half_second_words": None}) + "\n")
    with pytest.raises(ValueError, match="render the data anew"):
        words_of_samples(few, dataset, model.config.connector_config)


def test_an_answer_begins_with_the_token_that_its_word_is_elsewhere(encoded):
    _, processor, *_ = encoded
    tokenizer = processor.tokenizer
    chat = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "red"}]
    tokens = tokenizer.apply_chat_template(
        chat, chat_template=processor.chat_template, return_dict=True, return_assistant_tokens_mask=True
    )
    answer = [token for token, mine in zip(tokens["input_ids"], tokens["assistant_masks"], strict=True) if mine]
    assert answer == [*word_tokens(tokenizer, ["red"]).tolist(), tokenizer.eos_token_id]
    assert tokenizer.decode(answer, skip_special_tokens=True).strip() == "red"
    prompt = tokenizer.apply_chat_template(
        chat[:1], chat_template=processor.chat_template, return_dict=True, add_generation_prompt=True
    )
    assert tokens["input_ids"][: len(prompt["input_ids"])] == prompt["input_ids"]
