# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The shipped recipe, made small, trains from nothing to a folder that answers; mistakes in a recipe are named."""

import json
from pathlib import Path

import pytest
import yaml

from favor.cli import main
from modeling_favor import FavorForConditionalGeneration
from processing import FavorProcessor
from trainers.recipe import read_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "favor-tiny.yaml"


def test_the_recipe_of_favor_tiny_runs(training_dir, tmp_path, capsys):
    changes = {
        "output_dir": tmp_path / "run",
        "train_data": training_dir / "train.jsonl",
        "tower_pretraining.scenes": training_dir / "train_scenes.jsonl",
        "tower_pretraining.visual_steps": 3,
        "tower_pretraining.audio_steps": 3,
        "tower_pretraining.visual_batch_size": 8,
        "tower_pretraining.audio_batch_size": 4,
        "sft.logging_steps": 1,
        "stages": "[{sft: {max_steps: 2}}, {family_shares: {timeline: 0.5}, sft: {max_steps: 1}}]",
    }
    arguments = [part for key, value in changes.items() for part in (f"--{key}", str(value))]
    assert main(["sft", str(RECIPE), *arguments]) == 0
    report = json.loads((tmp_path / "run" / "tower_pretraining.json").read_text())
    assert set(report) == {"colour", "shape", "screen_word", "sound"}
    model = FavorForConditionalGeneration.from_pretrained(tmp_path / "run")
    processor = FavorProcessor.from_pretrained(tmp_path / "run")
    chat = [
        {
            "role": "user",
            "content": [
                {"type": "video", "path": str(next((training_dir / "media").glob("*.mp4")))},
                {"type": "text", "text": "Which sound is heard first?"},
            ],
        }
    ]
    inputs = processor.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    answer = model.generate(**inputs, max_new_tokens=3)
    assert answer.shape[1] > inputs["input_ids"].shape[1]
    assert not set(answer[0, inputs["input_ids"].shape[1] :].tolist()) & {processor.video_token_id}


def write(path: Path, **changes) -> Path:
    recipe = {"model": "org/favor", "output_dir": "out", "train_data": "train.jsonl", **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modle": "x"}, "unknown modle"),
        ({"sft": {"max_step": 3}}, "unknown sft options max_step"),
        ({"stages": [{"sft": {"max_step": 3}}]}, "unknown sft options max_step"),
        ({"stages": [{"stf": {}}]}, "unknown stf in stages"),
        ({"stages": {"sft": {}}}, "`stages` must be a list"),
        ({"stages": [None]}, "`stages` must be a list"),
        ({"sft": 3}, "`sft` must be a mapping"),
        ({"lora": {"r": 8}}, "unknown lora options r"),
        ({"model": None}, "either `model`"),
        ({"from_scratch": {}}, "either `model`"),
        ({"train_data": None}, "`train_data` is missing"),
    ],
)
def test_mistakes_are_named(changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        read_recipe(write(tmp_path / "recipe.yaml", **changes))


def test_overrides_reach_nested_keys(tmp_path):
    recipe = read_recipe(write(tmp_path / "recipe.yaml"), {"sft.max_steps": "7", "seed": "3", "lora.rank": "4"})
    assert (recipe["sft"]["max_steps"], recipe["seed"], recipe["lora"]["rank"]) == (7, 3, 4)


def test_an_override_into_a_list_is_refused(tmp_path):
    recipe = write(tmp_path / "recipe.yaml", stages=[{"sft": {"max_steps": 1}}])
    for key in ("stages.0.sft.max_steps", "stages.max_steps", "output_dir.x.y"):
        with pytest.raises(ValueError, match="no mapping"):
            read_recipe(recipe, {key: "5"})
