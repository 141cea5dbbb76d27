# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Other compositions, trained and handed over: Phi + SigLIP + Whisper + projector by the recipes of arXiv 2407.15046,
and Qwen3 + SigLIP + Whisper + causal Q-Former."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from favor.hub_upload import export_model
from favor.modeling_favor import FavorForConditionalGeneration, VideoTextToTextPipeline
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTTrainer
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe import parse_recipe, read_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.recipe_sections import ScratchModel
from tests.conftest import REPOSITORY, tiny_settings
from tests.hub_upload.clean_environment import make_environment

RECIPES = REPOSITORY / "recipes"
REMOTE_ANSWERS = REPOSITORY / "tests" / "hub_upload" / "remote_code_answers.py"
QUESTION = "Which sound is heard first?"
TEXTS = ["What colour is the shape while the bell sounds?", QUESTION, "red green blue beep"]
SIGLIP = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
LANGUAGE_MODEL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}
QUICK = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 1,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_strategy": "no",
    "bf16": False,
}


def save_untrained(folder: Path, text: dict, connector: dict | None = None, **config) -> Path:
    """A random model with SigLIP, Whisper and no visual Q-Former, as small as can be, with its processor."""
    settings = tiny_settings()
    values = settings["config"] | {
        "vision_config": SIGLIP,
        "qformer_config": None,
        "num_visual_query_tokens": 16,
        "text_config": LANGUAGE_MODEL | text,
        **config,
    }
    if connector is not None:
        values["connector_config"] = connector
    model, processor = build_from_scratch(ScratchModel(**settings | {"config": values}), TEXTS, seed=0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_manifests(training_dir: Path, folder: Path) -> dict[str, str]:
    """The shared training clips sorted by kind, as the stages want them: `audio`, `visual`, and `video` with sound."""
    lines = [json.loads(line) for line in (training_dir / "train.jsonl").read_text().splitlines()]
    manifests: dict[str, str] = {}
    for kind in ("audio", "video"):
        rows = [{**line, kind: str(training_dir / line[kind])} for line in lines if line.get(kind)]
        manifests[kind] = str(folder / f"{kind}.jsonl")
        Path(manifests[kind]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    muted = [{**json.loads(line), "audio": None} for line in Path(manifests["video"]).read_text().splitlines()]
    manifests["visual"] = str(folder / "visual.jsonl")
    Path(manifests["visual"]).write_text("".join(json.dumps(row) + "\n" for row in muted))
    return manifests


def quick(recipe: str, tmp: Path, **changes) -> dict:
    """A published recipe with its structure as it is, and sizes and paths for a test."""
    values = dict(read_recipe(RECIPES / recipe).given) | changes | {"output_dir": str(tmp / Path(recipe).stem)}
    values["sft"] = {key: value for key, value in values["sft"].items() if key != "max_steps"} | QUICK
    return values


@pytest.fixture(scope="module")
def second_system(training_dir, tmp_path_factory) -> dict:
    """Both stages, run: the states and the logs of each."""
    folder = tmp_path_factory.mktemp("second-system")
    manifests = write_manifests(training_dir, folder)
    start = save_untrained(
        folder / "start",
        {"model_type": "phi"},
        {"model_type": "favor_projector", "audio_pool_size": 2, "initializer_range": 0.3},
        lm_head_bias=True,
    )
    first = quick("av-grounding-stage1.yaml", folder, model=str(start), train_data=manifests["audio"])
    for stage, kind in zip(first["stages"], ("audio", "visual"), strict=True):
        stage.update(train_data=manifests[kind], sft={"train_only": stage["sft"]["train_only"], "max_steps": 2})
    with logged_steps() as first_steps:
        trained = run_recipe(parse_recipe(first))
    second = quick("av-grounding-stage2.yaml", folder, model=str(trained), train_data=manifests["video"])
    second["sft"]["max_steps"] = 2
    with logged_steps() as second_steps:
        instructed = run_recipe(parse_recipe(second))
    steps = [*first_steps, *second_steps]
    return {"start": start, "stage1": trained, "stage2": instructed, "steps": steps, "manifests": manifests}


@contextmanager
def logged_steps() -> Iterator[list[dict]]:
    """Collects what the trainers log meanwhile, one entry per step."""
    steps: list[dict] = []
    train = FavorSFTTrainer.train

    def keep(trainer, *args, **kwargs):
        result = train(trainer, *args, **kwargs)
        steps.extend(entry for entry in trainer.state.log_history if "loss" in entry)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FavorSFTTrainer, "train", keep)
        yield steps


def states(folder: Path) -> dict[str, torch.Tensor]:
    return FavorForConditionalGeneration.from_pretrained(folder).state_dict()


def changed(before: Path, after: Path) -> set[str]:
    old, new = states(before), states(after)
    assert set(old) == set(new)
    return {name for name in old if not torch.equal(old[name], new[name])}


def test_the_first_stage_changes_the_projections_and_nothing_else(second_system):
    names = changed(second_system["start"], second_system["stage1"])
    every = {
        f"model.connector.{part}_projection.{layer}.{name}"
        for part in ("audio", "visual")
        for layer in (0, 2)
        for name in ("weight", "bias")
    }
    assert names == every


def test_the_second_stage_trains_projections_and_the_language_models_attention(second_system):
    names = changed(second_system["stage1"], second_system["stage2"])
    assert {name for name in names if name.startswith("model.connector.")} == {
        name for name in states(second_system["start"]) if name.startswith("model.connector.")
    }
    rest = {name for name in names if not name.startswith("model.connector.")}
    attention = "model.language_model.layers.{}.self_attn.{}.weight"
    assert rest == {attention.format(i, p) for i in range(2) for p in ("q_proj", "k_proj", "v_proj", "dense")}


def test_losses_are_finite_and_are_cross_entropy_alone(second_system):
    assert len(second_system["steps"]) == 6
    assert all(0 < step["loss"] < 100 and "diversity_loss" not in step for step in second_system["steps"])


def remote_and_own_answers(folder: Path, media_dir: Path, tmp_path: Path) -> tuple[list[str], list[str]]:
    """What an exported model answers in a clean environment, by its own code, and here by the package's."""
    model, processor = FavorForConditionalGeneration.from_pretrained(folder), FavorProcessor.from_pretrained(folder)
    exported = export_model(model, tmp_path / "exported", processor=processor)
    python = make_environment(tmp_path / "venv")
    (tmp_path / "work").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-P", REMOTE_ANSWERS, exported, media_dir, QUESTION],
        cwd=tmp_path / "work",
        env=environment | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pipe = VideoTextToTextPipeline(model=model.eval(), processor=processor, device="cpu")
    clip = {"video": str(media_dir / "clip.mp4")}
    asked = [
        clip,
        clip | {"load_audio_from_video": False},
        {"image": str(media_dir / "photo.png")},
        {"audio": str(media_dir / "sound.wav")},
        clip,
    ]
    ours = [pipe(text=QUESTION, **media)[0]["generated_text"] for media in asked]
    return json.loads(done.stdout)["answers"], ours


def test_the_second_system_answers_the_same_as_remote_code(second_system, media_dir, tmp_path):
    remote, ours = remote_and_own_answers(second_system["stage2"], media_dir, tmp_path)
    assert remote == ours
    assert len(set(ours)) > 1, "answers must depend on the media"


def test_the_vision_only_baseline_is_a_config_value(second_system, media_dir, tmp_path):
    recipe = quick(
        "av-grounding-vision-only.yaml",
        tmp_path,
        model=str(second_system["stage1"]),
        train_data=second_system["manifests"]["video"],
    )
    recipe["sft"]["max_steps"] = 1
    folder = run_recipe(parse_recipe(recipe))
    model, processor = FavorForConditionalGeneration.from_pretrained(folder), FavorProcessor.from_pretrained(folder)
    assert model.config.connector_config.modalities == processor.modalities == "visual"
    clip, other = str(media_dir / "clip.mp4"), str(media_dir / "sound.wav")
    heard, dubbed = (
        processor(text=text, return_tensors="pt", **media)
        for text, media in (
            (f"<video> {QUESTION}", {"videos": clip}),
            (f"<video><audio> {QUESTION}", {"videos": clip, "audio": other}),
        )
    )
    muted = processor(text=f"<video> {QUESTION}", videos=clip, load_audio_from_video=False, return_tensors="pt")
    assert "input_features" in heard and "input_features" not in muted
    assert processor.media_options == {"num_frames": 100}
    assert torch.equal(heard["input_ids"], muted["input_ids"]) and torch.equal(heard["input_ids"], dubbed["input_ids"])
    assert (muted["input_ids"] == processor.video_token_id).sum() == 100 + 16  # frames, and 4 x 4 patches
    with torch.no_grad():
        expected = model(**muted).logits
        assert torch.equal(model(**heard).logits, expected) and torch.equal(model(**dubbed).logits, expected)
    pipe = VideoTextToTextPipeline(model=model.eval(), processor=processor, device="cpu")
    deaf = pipe(audio=other, text=QUESTION, num_beams=2)[0]
    assert deaf["generated_text"] and deaf["media"]["audio_seconds"] == deaf["media"]["query_tokens"] == 0
    whole = FavorProcessor.from_pretrained(second_system["stage1"])
    tokens = whole(text=f"<video> {QUESTION}", videos=clip, return_tensors="pt")["input_ids"]
    assert (tokens == processor.video_token_id).sum() == 30 + 6 + 16  # 3 s at 20 Hz, two to a token; 3 s at 2 Hz


def test_qwen3_with_siglip_trains_and_answers_the_same_as_remote_code(training_dir, media_dir, tmp_path):
    start = save_untrained(
        tmp_path / "start", {"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 8}, tie_word_embeddings=True
    )
    manifests = write_manifests(training_dir, tmp_path)
    values = {
        "model": str(start),
        "output_dir": str(tmp_path / "trained"),
        "train_data": manifests["video"],
        "lora": {"rank": 4, "alpha": 4, "merge": True},
        "sft": QUICK | {"max_steps": 1, "report_to": "none"},
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    with logged_steps() as steps:
        folder = run_recipe(read_recipe(recipe))
    assert len(steps) == 1 and 0 < steps[0]["loss"] < 100 and 0 < steps[0]["diversity_loss"] < 1
    names = changed(start, folder)
    attention = {f"model.language_model.layers.{i}.self_attn.{p}_proj.weight" for i in range(2) for p in "qkvo"}
    assert {name for name in names if not name.startswith("model.connector.")} == attention
    assert len(names) > len(attention) + 20
    remote, ours = remote_and_own_answers(folder, media_dir, tmp_path)
    assert remote == ours
