# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a training recipe, one YAML file from data to a saved model, and finds its mistakes before anything runs."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from .favor_sft_config import FavorSFTConfig
from .from_scratch.connector_pretraining import NEEDED as CONNECTOR_NEEDS
from .from_scratch.connector_pretraining import OPTIONAL as CONNECTOR_MAY_HAVE
from .from_scratch.picture_augmentation import check_augmentation
from .from_scratch.tower_pretraining import NEEDED as TOWERS_NEED
from .from_scratch.tower_pretraining import OPTIONAL as TOWERS_MAY_HAVE
from .recipe_model import FRESH_PARTS

SECTIONS = {
    "seed",
    "model",
    "config",
    "fresh_parts",
    "media_options",
    "output_dir",
    "resume",
    "train_data",
    "eval_data",
    "from_scratch",
    "tower_pretraining",
    "connector_pretraining",
    "cache_encoder_states",
    "lora",
    "sft",
    "stages",
}
STAGE_SECTIONS = {"sft", "family_shares", "train_data", "words_for_media"}
MAPPINGS = {
    "config",
    "media_options",
    "from_scratch",
    "tower_pretraining",
    "connector_pretraining",
    "lora",
    "sft",
    "family_shares",
}
STRATEGIES = {"save_strategy", "eval_strategy", "logging_strategy"}
LORA_OPTIONS = {"rank", "alpha", "dropout", "merge"}
CACHE_OPTIONS = {"cache_dir", "dtype", "identify_files_by", "workers"}


class RecipeLoader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 says; PyYAML alone takes it for text."""


RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_recipe(path: str | Path, overrides: dict[str, str] | None = None) -> dict[str, Any]:
    """A recipe with overrides such as `{"sft.max_steps": "100"}` applied.

    Raises `ValueError` for a key that no recipe has: a mistyped option must not be ignored.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe.")
    recipe = yaml.load(path.read_text(encoding="utf-8"), RecipeLoader)
    if not isinstance(recipe, dict):
        raise ValueError(f"{path}: a recipe is a mapping with the sections {', '.join(sorted(SECTIONS))}.")
    for key, value in (overrides or {}).items():
        override(recipe, key, yaml.load(value, RecipeLoader), path)
    unknown = set(recipe) - SECTIONS
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(sorted(unknown))}; a recipe has {', '.join(sorted(SECTIONS))}.")
    if ("model" in recipe) == ("from_scratch" in recipe):
        raise ValueError(f"{path}: give either `model` (a folder or Hub id) or `from_scratch`.")
    if "config" in recipe and "model" not in recipe:
        raise ValueError(f"{path}: `config` changes the config of a `model`; from_scratch has a config of its own.")
    parts = recipe.get("fresh_parts") or []
    if not isinstance(parts, list) or not {*parts} <= {*FRESH_PARTS} or (parts and "model" not in recipe):
        raise ValueError(
            f"{path}: `fresh_parts` lists parts of a `model` ({', '.join(sorted(FRESH_PARTS))}), but it is {parts!r}."
        )
    check_sections(recipe, path)
    for section in (recipe, *(recipe.get("stages") or [])):
        for name in STRATEGIES & set(section.get("sft") or {}):
            if section["sft"][name] is False:
                section["sft"][name] = "no"  # which YAML reads as false
    for needed in ("output_dir", "train_data"):
        if needed not in recipe:
            raise ValueError(f"{path}: `{needed}` is missing.")
    return recipe


def override(recipe: dict[str, Any], key: str, value: Any, path: Path) -> None:
    """Sets an entry by its dotted key; entries of a list are named by their place, from 0."""
    *parents, last = key.split(".")
    section: Any = recipe
    for parent in parents:
        if isinstance(section, dict):
            if section.get(parent) is None:
                section[parent] = {}
            section = section[parent]
        else:
            section = section[list_place(section, parent, key, path)]
    if isinstance(section, dict):
        section[last] = value
    else:
        section[list_place(section, last, key, path)] = value


def list_place(section: Any, name: str, key: str, path: Path) -> int:
    """A place in a list; raises `ValueError` if it has none of that name, or if there is no list."""
    if not isinstance(section, list):
        raise ValueError(
            f"--{key} names an entry of something that is no mapping or list in {path}; override it as a whole."
        )
    if not name.isdigit() or int(name) >= len(section):
        raise ValueError(f"--{key}: {path} has {len(section)} entries there, so {name!r} must be below that, from 0.")
    return int(name)


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
        raise ValueError(
            f"{path}: unknown lora options {', '.join(sorted(unknown))}; it has {', '.join(sorted(LORA_OPTIONS))}."
        )
    cache = recipe.get("cache_encoder_states")
    unknown = set(cache) - CACHE_OPTIONS if isinstance(cache, dict) else set()
    if unknown or not isinstance(cache, (bool, dict, type(None))):
        raise ValueError(
            f"{path}: `cache_encoder_states` is true or a mapping with {', '.join(sorted(CACHE_OPTIONS))}, but it is "
            f"{cache!r}."
        )
    for stage in stages:
        if not isinstance(stage.get("words_for_media", ""), str):
            raise ValueError(f"{path}: `words_for_media` is a file's name, but it is {stage['words_for_media']!r}.")
    check_pretraining(recipe, path)
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


def check_pretraining(recipe: dict[str, Any], path: Path) -> None:
    """Raises `ValueError` for settings of towers or connector that are missing or unknown, or cannot be followed."""
    for section, needed, optional in (
        ("tower_pretraining", TOWERS_NEED, TOWERS_MAY_HAVE),
        ("connector_pretraining", CONNECTOR_NEEDS, CONNECTOR_MAY_HAVE),
    ):
        settings = recipe.get(section)
        given = needed if settings is None else set(settings)
        for names, what in ((needed - given, "lacks"), (given - needed - optional, "has the unknown")):
            if names:
                raise ValueError(
                    f"{path}: `{section}` {what} {', '.join(sorted(names))}; it has {', '.join(sorted(needed))} and "
                    f"may have {', '.join(sorted(optional))}."
                )
    towers = recipe.get("tower_pretraining") or {}
    check_augmentation(towers.get("augmentation") or {}, towers.get("visual_labels") or [], path)
    if recipe.get("connector_pretraining") and not recipe.get("cache_encoder_states"):
        raise ValueError(f"{path}: `connector_pretraining` reads encoder states; set `cache_encoder_states`, too.")
