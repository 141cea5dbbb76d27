# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The shipped recipe, made small, trains from nothing to a folder that answers; mistakes in a recipe are named."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub.errors import StrictDataclassError

from favor.cli import main
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer
from favor.trainers.recipe import parse_recipe, read_recipe
from favor.trainers.recipe_model import load_model
from favor.trainers.recipe_run import keep_recipe, run_recipe
from favor.trainers.recipe_sections import CacheSettings, Stage
from favor.trainers.source_spec import SourceSpec
from favor.worlds.video_file import write_picture
from tests.conftest import frames

RECIPE = Path(__file__).parents[2] / "recipes" / "favor-tiny.yaml"
SCRATCH = {"config": {}, "vocab_size": 9, "qformer_vocab_size": 9, "feature_extractor": {}, "max_new_tokens": 1}


def test_the_recipe_of_favor_tiny_runs(training_dir, tmp_path, capsys):
    changes = {
        "output_dir": tmp_path / "run",
        "train_data": training_dir / "train.jsonl",
        "tower_pretraining.scenes": training_dir / "train_scenes.jsonl",
        "tower_pretraining.visual_labels": "[colour, shape, screen_word]",
        "tower_pretraining.augmentation.colour_labels": "[colour]",
        "tower_pretraining.visual_steps": 3,
        "tower_pretraining.audio_steps": 3,
        "tower_pretraining.visual_batch_size": 8,
        "tower_pretraining.audio_batch_size": 4,
        "connector_pretraining.scenes": training_dir / "train_scenes.jsonl",
        "connector_pretraining.steps": 3,
        "sft.logging_steps": 1,
        "stages.5.family_shares": "{}",
        "stages.5.sft.max_steps": 1,
    }
    for number in range(5):  # of words in place of media
        changes |= {
            f"stages.{number}.train_data": training_dir / "train.jsonl",
            f"stages.{number}.words_for_media": training_dir / "train_scenes.jsonl",
            f"stages.{number}.family_shares": "{}" if number else "{timeline: 0.5}",
            f"stages.{number}.sft.max_steps": 1 if number else 2,
        }
    arguments = [part for key, value in changes.items() for part in (f"--{key}", str(value))]
    assert main(["sft", str(RECIPE), *arguments]) == 0
    for part, learnt in (("towers", {"colour", "shape", "screen_word", "sound"}), ("connector", {"words"})):
        assert set(json.loads((tmp_path / "run" / f"pretrained_{part}.json").read_text())) == learnt
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


@pytest.mark.parametrize("path", sorted(RECIPE.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_says_what_it_takes(path):
    recipe = read_recipe(path)
    for stage in recipe.stages or [Stage()]:
        FavorSFTConfig(output_dir="unused", **{**recipe.sft, **stage.sft, "bf16": False})
    head = path.read_text().partition("\nseed:")[0].lower()
    assert "time" in head and ("memory" in head or "docs/favor-tiny.md" in head or "stage 1" in head)
    assert any(word in head for word in ("computed", "measured"))


def write_paper_data(recipe: dict, training_dir: Path, folder: Path) -> None:
    """A manifest for every source of a paper recipe, of a few clips of the right kind."""
    lines = [json.loads(line) for line in (training_dir / "train.jsonl").read_text().splitlines()]
    media = {kind: [str(training_dir / line[kind]) for line in lines if line.get(kind)] for kind in ("video", "audio")}
    photo, sound = str(training_dir.parent / "photo.png"), media["audio"][0]
    write_picture(Path(photo), frames(1.0)[0])
    turns = lines[0]["messages"]
    kinds = {"librispeech": {"audio": sound}, "audiocaps": {"audio": sound}}
    kinds |= dict.fromkeys(("llava", "ocrvqa", "textcaps"), {"image": photo})
    kinds |= {"spokencoco": {"image": photo, "audio": sound}}
    for source in recipe["train_data"]["sources"]:
        source["path"] = str(folder / f"{source['name']}.jsonl")
        source.pop("subset", None)
        row = {"messages": turns, **kinds.get(source["name"], {"video": media["video"][0]})}
        other = {**row, "messages": lines[1]["messages"]}
        if source["name"] == "spokencoco":
            other["audio"] = media["video"][1]
        Path(source["path"]).write_text(json.dumps(row) + "\n" + json.dumps(other) + "\n")


def test_the_papers_recipe_runs_on_a_tiny_model(training_dir, tiny_model_dir, tmp_path):
    """Structure, mixture and transforms as published; sizes, model and data for a test."""
    recipe = dict(read_recipe(RECIPE.parent / "favor-13b.yaml").given)
    small = read_recipe(RECIPE.parent / "favor-7b.yaml").given
    assert {k: v for k, v in recipe.items() if k not in ("model", "output_dir")} == {
        k: v for k, v in small.items() if k not in ("model", "output_dir")
    }
    write_paper_data(recipe, training_dir, tmp_path)
    recipe |= {"model": str(tiny_model_dir), "output_dir": str(tmp_path / "out")}
    recipe["sft"] |= {"bf16": False, "per_device_train_batch_size": 6, "gradient_accumulation_steps": 2}
    recipe["sft"] |= {"max_steps": 2, "save_steps": 2, "logging_steps": 1, "dataloader_num_workers": 0}
    recipe["sft"].pop("dataloader_prefetch_factor")
    folder = run_recipe(parse_recipe(recipe), "favor-13b.yaml")
    FavorForConditionalGeneration.from_pretrained(folder)
    record = json.loads((folder / "training_record.json").read_text())
    assert record["data"]["samples an epoch"] == 24 and len(record["data"]["sources"]) == 12
    assert record["lora"]["rank"] == 32 and "skipped samples" not in record


def write(path: Path, **changes) -> Path:
    recipe = {"model": "org/favor", "output_dir": "out", "train_data": "train.jsonl", **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modle": "x"}, "unknown modle"),
        ({"sft": {"max_step": 3}}, "unknown sft options max_step"),
        ({"stages": [{}, {"sft": {"max_step": 3}}]}, r"unknown stages\.1\.sft options max_step; see FavorSFTConfig"),
        (
            {"stages": [{"stf": {}}]},
            r"unknown stages\.0 options stf; it may have align_connector, answers_for_media, eval_data, family",
        ),
        ({"stages": {"sft": {}}}, "`stages` must be a list, but it is {'sft': {}}"),
        ({"stages": [None]}, r"`stages\.0` must be a mapping, but it is None"),
        ({"sft": 3}, "`sft` must be a mapping, but it is 3"),
        ({"sft": {"seed": 3}}, "unknown sft options seed"),
        ({"sft": {"bf16": "maybe"}}, "sft.bf16 must be true or false, but it is 'maybe'"),
        ({"sft": {"gradient_checkpointing": 1}}, "sft.gradient_checkpointing must be true or false, but it is 1"),
        ({"sft": {"learning_rate": "fast"}}, "sft.learning_rate must be a number, but it is 'fast'"),
        ({"sft": {"max_steps": 2.5}}, "sft.max_steps must be a whole number, but it is 2.5"),
        (
            {"stages": [{"sft": {"max_steps": True}}]},
            r"stages\.0\.sft\.max_steps must be a whole number, but it is True",
        ),
        ({"seed": "one"}, "`seed` must be a whole number, but it is 'one'"),
        ({"seed": True}, "`seed` must be a whole number, but it is True"),
        ({"output_dir": ["out"]}, r"`output_dir` must be a text, but it is \['out'\]"),
        ({"lora": {"r": 8}}, "unknown lora options r; it may have alpha, connector, dropout, merge, rank"),
        ({"lora": {"dropout": "none"}}, r"`lora\.dropout` must be a number, but it is 'none'"),
        ({"lora": True}, "`lora` must be a mapping, but it is True"),
        ({"cache_encoder_states": "yes"}, "`cache_encoder_states` is true or a mapping with cache_dir, dtype"),
        ({"cache_encoder_states": {"dir": "x"}}, "unknown cache_encoder_states options dir; it may have cache_dir"),
        ({"cache_encoder_states": {"identify_files_by": "name"}}, "must be stat or content, but it is 'name'"),
        ({"train_data": {"sources": [{"pth": "x"}]}}, r"unknown train_data\.sources\.0 options pth; it may have col"),
        ({"eval_data": []}, "eval_data: no sources"),
        ({"stages": [{"train_data": [{"path": "x", "weight": 1, "samples": 2}]}]}, "give `weight` or `samples`"),
        ({"model": None}, "either `model`"),
        ({"from_scratch": SCRATCH}, "either `model`"),
        ({"train_data": None}, "`train_data` is missing; a recipe has output_dir, train_data and may have attn"),
        ({"model": None, "from_scratch": {}}, "`from_scratch` lacks config, feature_extractor, max_new_tokens, vocab"),
        ({"model": None, "from_scratch": SCRATCH | {"qformer_vocab_size": None}}, "`qformer_vocab_size` is missing"),
        ({"model": None, "from_scratch": SCRATCH, "config": {"frame_rate": 1.0}}, "from_scratch has a config of its"),
        ({"config": 3}, "`config` must be a mapping"),
        ({"fresh_parts": "connector"}, "`fresh_parts` must be a list, but it is 'connector'"),
        ({"fresh_parts": ["audio_tower"]}, "connector, language_model"),
        ({"model": None, "from_scratch": SCRATCH, "fresh_parts": ["connector"]}, "parts of a `model`"),
    ],
)
def test_mistakes_are_named_by_file_and_place(changes, said, tmp_path):
    with pytest.raises(ValueError, match=rf"recipe\.yaml: .*{said}"):
        read_recipe(write(tmp_path / "recipe.yaml", **changes))


@pytest.mark.parametrize("text, number", [("1e-4", 1e-4), ("2E+1", 20.0), ("-.5e3", -500.0), ("3.e1", 30.0)])
def test_numbers_with_an_exponent_are_numbers(text, number, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"model: m\noutput_dir: 1e4x\ntrain_data: e5\nsft: {{learning_rate: {text}}}\n")
    recipe = read_recipe(path, {"sft.weight_decay": text})
    assert recipe.sft == {"learning_rate": number, "weight_decay": number}
    assert (recipe.output_dir, recipe.train_data) == ("1e4x", "e5")


def test_overrides_reach_nested_keys(tmp_path):
    recipe = read_recipe(write(tmp_path / "recipe.yaml"), {"sft.max_steps": "7", "seed": "3", "lora.rank": "4"})
    assert read_recipe(tmp_path / "recipe.yaml", {"sft.save_strategy": "no"}).sft == {"save_strategy": "no"}
    assert (recipe.sft["max_steps"], recipe.seed, recipe.lora.rank) == (7, 3, 4)
    assert recipe.lora.alpha == 32 and recipe.given["lora"] == {"rank": 4}  # what is kept is what was given


def test_a_models_config_is_changed_as_a_recipe_says_and_the_processor_follows(tiny_model_dir):
    connector = {"window_frames": 2, "causal_attention": "none"}
    model, processor = load_model(str(tiny_model_dir), {"frame_rate": 1.0, "connector_config": connector})
    config = model.config
    assert (config.connector_config.window_frames, config.connector_config.causal_attention) == (2, "none")
    assert (
        config.connector_config.audio_vectors_per_frame == model.model.connector.config.audio_vectors_per_frame == 20
    )
    assert (processor.frame_rate, processor.window_frames) == (1.0, 2)
    assert model.model.connector.causal_qformer.layers[0].causal_attention is None
    unchanged, _ = load_model(str(tiny_model_dir))
    assert unchanged.config.connector_config.window_frames == 4


def test_fresh_parts_begin_from_weights_that_the_seed_draws_and_may_have_another_shape(tiny_model_dir):
    trained, _ = load_model(str(tiny_model_dir))
    connector = {"connector_config": {"window_frames": 2, "num_query_tokens": 3}}
    model, processor = load_model(str(tiny_model_dir), connector, ["connector", "language_model"], seed=1)
    again, _ = load_model(str(tiny_model_dir), connector, ["connector", "language_model"], seed=1)
    other, _ = load_model(str(tiny_model_dir), connector, ["connector"], seed=2)
    before, weights, same, different = (m.state_dict() for m in (trained, model, again, other))
    assert weights["model.connector.causal_qformer.query_tokens"].shape[-2] == processor.num_query_tokens == 3
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    drawn = {
        name for name in weights if weights[name].shape != before[name].shape or (weights[name] != before[name]).any()
    }
    assert {name.split(".")[1] for name in drawn if name.startswith("model.")} == {"connector", "language_model"}
    redrawn = {name for name in weights if (weights[name] != different[name]).any()}
    assert any("connector" in name for name in redrawn)
    assert all(torch.equal(different[name], before[name]) for name in before if "connector" not in name)


def test_a_change_that_trained_weights_do_not_fit_is_named(tiny_model_dir):
    changes = {"text_config": {"intermediate_size": 24}}
    with pytest.raises(ValueError, match="language_model.* has another shape than the changed config says"):
        load_model(str(tiny_model_dir), changes, ["connector"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"framerate": 1.0}, "config of the model has no 'framerate'; it has audio_config, .*frame_rate"),
        (
            {"connector_config": {"audio_pool_size": 2}},
            "config.connector_config of the model has no 'audio_pool_size'",
        ),
        ({"connector_config": "projector"}, "config.connector_config must be a mapping"),
        ({"frame_rate": 3.0}, "not a whole multiple"),
        ({"connector_config": {"modalities": "sound"}}, "modalities"),
    ],
)
def test_changes_that_a_config_cannot_have_are_named(changes, said, tiny_model_dir):
    with pytest.raises((ValueError, StrictDataclassError), match=said):
        load_model(str(tiny_model_dir), changes)


def test_later_stages_go_on_with_a_lora_and_after_train_only_train_everything_again(
    training_dir, tiny_model_dir, tmp_path, monkeypatch
):
    trained = []
    train = FavorSFTTrainer.train

    def keep(trainer, **kwargs):
        trained.append({name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad})
        return train(trainer, **kwargs)

    monkeypatch.setattr(FavorSFTTrainer, "train", keep)
    options = {"per_device_train_batch_size": 2, "max_steps": 1, "save_strategy": "no", "report_to": "none"}
    recipe = {"model": str(tiny_model_dir), "train_data": str(training_dir / "train.jsonl"), "sft": options}
    stages = [{"sft": {"train_only": ["connector.audio_projection"]}}, {}]
    run_recipe(parse_recipe(recipe | {"output_dir": str(tmp_path / "frozen"), "stages": stages}))
    only, everything = trained
    assert only == {f"model.connector.audio_projection.{name}" for name in ("weight", "bias")}
    encoders = ("model.vision_tower", "model.visual_qformer", "model.audio_tower")
    names = {name for name, _ in FavorForConditionalGeneration.from_pretrained(tiny_model_dir).named_parameters()}
    assert everything == {name for name in names if not name.startswith(encoders)}
    trained.clear()
    with_lora = {"output_dir": str(tmp_path / "lora"), "stages": [{}, {}], "lora": {"rank": 2, "merge": False}}
    run_recipe(parse_recipe(recipe | with_lora))
    assert trained[0] == trained[1] and any("lora_A" in name for name in trained[0])
    assert (tmp_path / "lora" / "adapter_model.safetensors").is_file()


def test_an_override_names_an_entry_of_a_list_by_its_place(tmp_path):
    stages = [{"sft": {"max_steps": 1}}, {"sft": {"max_steps": 2}}]
    recipe = write(tmp_path / "recipe.yaml", stages=stages, train_data=[{"path": "a"}, {"path": "b", "weight": 1}])
    changed = read_recipe(
        recipe,
        {"stages.1.sft.max_steps": "5", "train_data.0.weight": "0.5", "stages.0": "{sft: {max_steps: 9}}"},
    )
    assert [stage.sft["max_steps"] for stage in changed.stages] == [9, 5]
    assert changed.train_data.sources[0] == SourceSpec(path="a", weight=0.5)
    assert changed.given["train_data"][0] == {"path": "a", "weight": 0.5}
    for key, said in (("stages.2.sft", "2 entries"), ("stages.sft", "2 entries"), ("output_dir.x.y", "no mapping")):
        with pytest.raises(ValueError, match=said):
            read_recipe(recipe, {key: "5"})


def test_short_forms_say_the_same_as_long_ones(tmp_path):
    cached = read_recipe(write(tmp_path / "recipe.yaml", cache_encoder_states=True, resume=True))
    assert cached.cache_encoder_states == CacheSettings() and cached.resume == "auto"
    uncached = read_recipe(write(tmp_path / "recipe.yaml", cache_encoder_states=False, resume=False))
    assert uncached.cache_encoder_states is None and uncached.resume is None
    of_one, of_list = (
        read_recipe(write(tmp_path / "recipe.yaml", train_data=data))
        for data in ({"sources": [{"path": "a"}]}, [{"path": "a"}])
    )
    assert of_one == of_list and of_one.given != of_list.given


def test_a_recipe_is_kept_as_it_was_given_and_can_be_read_again(tmp_path, caplog):
    """A run is resumed by its own recipe.yaml."""
    args = FavorSFTConfig(output_dir=str(tmp_path / "out"), report_to="none")
    for path in sorted(RECIPE.parent.glob("*.yaml")):
        section = read_recipe(path).method
        recipe = read_recipe(path, {"output_dir": str(tmp_path / path.stem), f"{section}.save_strategy": "no"})
        keep_recipe(recipe, tmp_path / path.stem, args)
        kept = tmp_path / path.stem / "recipe.yaml"
        assert list(yaml.safe_load(kept.read_text()).items()) == list(recipe.given.items())
        again = read_recipe(kept, {"resume": "true"})
        assert dataclasses.replace(again, resume=None) == recipe
        keep_recipe(again, tmp_path / path.stem, args)
        assert not kept.with_name("recipe.yaml.bak").exists()
    keep_recipe(read_recipe(kept, {"resume": "true", "seed": "8"}), kept.parent, args)
    assert kept.with_name("recipe.yaml.bak").exists() and yaml.safe_load(kept.read_text())["seed"] == 8


def test_another_length_of_sound_chunks_computes_positions_anew(tiny_model_dir):
    whole, _ = load_model(str(tiny_model_dir))
    model, processor = load_model(str(tiny_model_dir), {"audio_config": {"max_source_positions": 40}})
    assert processor.feature_extractor.chunk_length == 2 and processor.feature_extractor.nb_max_frames == 80
    for name, weight in model.model.audio_tower.state_dict().items():
        torch.testing.assert_close(weight, whole.model.audio_tower.state_dict()[name][: len(weight)])
    sound = torch.sin(torch.arange(5 * 16000) * 0.2).numpy()
    inputs = processor.media_inputs([processor.load_item(next(iter(processor.chat_items(chat_of(sound)))))])[0]
    assert inputs["input_features"].shape[1] == 3 and inputs["input_features"].shape[-1] == 80
    with pytest.raises(
        ValueError, match=r"max_source_positions \d+: .* last 2.5 s, but a chunk has whole seconds: 2 or 3"
    ):
        load_model(str(tiny_model_dir), {"audio_config": {"max_source_positions": 50}})


def chat_of(sound: np.ndarray) -> list[dict]:
    content = [{"type": "audio", "audio": sound}, {"type": "text", "text": "What?"}]
    return [{"role": "user", "content": content}]


def test_attention_is_computed_as_the_recipe_says(tiny_model_dir):
    model, _ = load_model(str(tiny_model_dir), fresh_parts=["connector"], attn_implementation="eager")
    for part in (model.model.connector.causal_qformer, model.model.language_model, model.model.audio_tower):
        assert part.config._attn_implementation == "eager"
    with pytest.raises(ValueError, match="`attn_implementation` is of a `model`"):
        parse_recipe({"output_dir": "o", "train_data": "d", "from_scratch": SCRATCH, "attn_implementation": "eager"})
