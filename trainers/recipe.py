# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs a training recipe: one YAML file from data to a saved model."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

from processing import FavorProcessor

from .decoded_clips import DecodedClip, decode_clips
from .encoder_cache import encode_dataset
from .favor_data_collator import FavorDataCollator
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer, lora_config
from .manifest import keep_shares, load_manifest
from .scratch_model import build_from_scratch
from .tower_pretraining import label_scenes, pretrain_towers

SECTIONS = {
    "seed",
    "model",
    "output_dir",
    "train_data",
    "from_scratch",
    "tower_pretraining",
    "cache_encoder_states",
    "lora",
    "sft",
    "stages",
}
STAGE_SECTIONS = {"sft", "family_shares", "train_data"}
MAPPINGS = {"from_scratch", "tower_pretraining", "lora", "sft", "family_shares"}
LORA_OPTIONS = {"rank", "alpha", "dropout"}


def read_recipe(path: str | Path, overrides: dict[str, str] | None = None) -> dict[str, Any]:
    """A recipe with overrides such as `{"sft.max_steps": "100"}` applied.

    Raises `ValueError` for a key that no recipe has: a mistyped option must not be ignored.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe.")
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(recipe, dict):
        raise ValueError(f"{path}: a recipe is a mapping with the sections {', '.join(sorted(SECTIONS))}.")
    for key, value in (overrides or {}).items():
        *parents, last = key.split(".")
        section = recipe
        for parent in parents:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise ValueError(
                f"--{key} names an entry of something that is no mapping in {path}; override it as a whole."
            )
        section[last] = yaml.safe_load(value)
    unknown = set(recipe) - SECTIONS
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(sorted(unknown))}; a recipe has {', '.join(sorted(SECTIONS))}.")
    if ("model" in recipe) == ("from_scratch" in recipe):
        raise ValueError(f"{path}: give either `model` (a folder or Hub id) or `from_scratch`.")
    check_sections(recipe, path)
    for needed in ("output_dir", "train_data"):
        if needed not in recipe:
            raise ValueError(f"{path}: `{needed}` is missing.")
    return recipe


def check_sections(recipe: dict[str, Any], path: Path) -> None:
    """Raises `ValueError` for a section of another form, and for an option that its section does not have."""
    stages = recipe.get("stages") or []
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise ValueError(f"{path}: `stages` must be a list of mappings with {', '.join(sorted(STAGE_SECTIONS))}.")
    for section in (recipe, *stages):
        for name in MAPPINGS & set(section):
            if section[name] is not None and not isinstance(section[name], dict):
                raise ValueError(f"{path}: `{name}` must be a mapping, but it is {section[name]!r}.")
    unknown = set(recipe.get("lora") or {}) - LORA_OPTIONS
    if unknown:
        raise ValueError(f"{path}: unknown lora options {', '.join(sorted(unknown))}; it has rank, alpha and dropout.")
    options = {field.name for field in dataclasses.fields(FavorSFTConfig)} - {"output_dir", "seed"}
    for section in (recipe, *stages):
        unknown = set(section.get("sft") or {}) - options
        if unknown:
            raise ValueError(f"{path}: unknown sft options {', '.join(sorted(unknown))}; see FavorSFTConfig.")
    unknown = {key for stage in stages for key in stage} - STAGE_SECTIONS
    if unknown:
        raise ValueError(
            f"{path}: unknown {', '.join(sorted(unknown))} in stages; a stage has {', '.join(sorted(STAGE_SECTIONS))}."
        )


def run_recipe(recipe: dict[str, Any]) -> Path:
    """Trains as the recipe says and returns the folder of the saved model and processor."""
    seed, output_dir = recipe.get("seed", 0), Path(recipe["output_dir"])
    dataset = load_manifest(recipe["train_data"])
    if "from_scratch" in recipe:
        model, processor = start_from_scratch(recipe, dataset, seed)
    else:
        model, processor = load_model(recipe["model"])
    clips: dict[tuple, DecodedClip] = {}
    if recipe.get("tower_pretraining") or recipe.get("cache_encoder_states"):
        clips = decode_clips(dataset, processor)
    if recipe.get("tower_pretraining"):
        report = train_towers(model, processor, dataset, clips, recipe["tower_pretraining"], seed)
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / "tower_pretraining.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    peft_config = lora_config(**recipe["lora"]) if recipe.get("lora") is not None else None
    for stage in recipe.get("stages") or [{}]:
        rows = load_manifest(stage["train_data"]) if "train_data" in stage else dataset
        rows = keep_shares(rows, stage.get("family_shares") or {}, seed)
        collator: Any = FavorDataCollator(processor)
        if recipe.get("cache_encoder_states"):
            clips |= decode_clips(rows, processor, known=clips)
            rows, collator = encode_dataset(model, processor, rows, clips)
        options = {**(recipe.get("sft") or {}), **(stage.get("sft") or {})}
        trainer = FavorSFTTrainer(
            model=model,
            args=FavorSFTConfig(output_dir=str(output_dir), seed=seed, **options),
            processing_class=processor,
            data_collator=collator,
            train_dataset=rows,
            peft_config=peft_config,
        )
        trainer.train()
        model, peft_config = trainer.model, None  # the next stage goes on with the same adapter
    trainer.save_model(str(output_dir))
    processor.save_pretrained(output_dir)
    return output_dir


def start_from_scratch(recipe: dict[str, Any], dataset: Any, seed: int) -> tuple[Any, FavorProcessor]:
    """Random weights, and tokenisers that learn from the training text."""
    texts = (turn["content"] for messages in dataset["messages"] for turn in messages)
    return build_from_scratch(recipe["from_scratch"], texts, seed)


def train_towers(
    model: Any, processor: FavorProcessor, dataset: Any, clips: dict[tuple, DecodedClip], settings: dict, seed: int
) -> dict[str, float]:
    """Towers that have learnt to tell single pictures and sounds; returns their training accuracies."""
    turns = (turn for messages in dataset["messages"] for turn in messages)
    questions = sorted({turn["content"] for turn in turns if turn["role"] == "user"})
    return pretrain_towers(model, processor, label_scenes(settings["scenes"], clips), questions, settings, seed)


def load_model(name_or_path: str) -> tuple[Any, FavorProcessor]:
    """A trained model and its processor, from a folder or the Hub."""
    from modeling_favor import FavorForConditionalGeneration

    model = FavorForConditionalGeneration.from_pretrained(name_or_path)
    return model, FavorProcessor.from_pretrained(name_or_path)
