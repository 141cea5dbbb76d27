# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a training recipe, one YAML file from data to a saved model, and finds its mistakes before anything runs."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from .favor_dpo_config import FavorDPOConfig
from .favor_grpo_config import FavorGRPOConfig
from .favor_sft_config import FavorSFTConfig
from .recipe_sections import CacheSettings, Recipe
from .section_parser import listed, parse_section
from .source_spec import with_sources
from .training_options import check_option_types

STRATEGIES = {"save_strategy", "eval_strategy", "logging_strategy"}
CONFIGS = {"sft": FavorSFTConfig, "dpo": FavorDPOConfig, "grpo": FavorGRPOConfig}  # of the sections of options
OWN_OPTIONS = {"output_dir", "seed"}  # that the recipe itself gives them


class RecipeLoader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 says; PyYAML alone takes it for text."""


RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_recipe(path: str | Path, overrides: Mapping[str, str] | None = None) -> Recipe:
    """A recipe with overrides such as `{"sft.max_steps": "100"}` applied.

    Raises `ValueError` for a key that no recipe has: a mistyped option must not be ignored.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe.")
    values = yaml.load(path.read_text(encoding="utf-8"), RecipeLoader)
    if isinstance(values, dict):
        for key, value in (overrides or {}).items():
            override(values, key, yaml.load(value, RecipeLoader), path)
    return parse_recipe(values, str(path))


def parse_recipe(values: object, file: str = "recipe") -> Recipe:
    """A recipe from the mapping that its file holds.

    Args:
        values: is kept as the recipe's `given`; do not change it afterwards.
        file: its name, for messages.

    Raises `ValueError` as [`read_recipe`] does.
    """
    if not isinstance(values, Mapping):
        sections = {field.name for field in dataclasses.fields(Recipe) if field.init}
        raise ValueError(f"{file}: a recipe is a mapping with the sections {listed(sections)}.")
    given = with_strategies(values)
    stages = given.get("stages")
    long = long_form(given)
    long["cache_encoder_states"] = cache_section(given.get("cache_encoder_states"), file)
    long["resume"] = "auto" if given.get("resume") is True else given.get("resume") or None
    if isinstance(stages, list):
        long["stages"] = [long_form(stage) if isinstance(stage, Mapping) else stage for stage in stages]
    recipe = parse_section(Recipe, long, file, owner="a recipe")
    for section, config in CONFIGS.items():
        check_options(getattr(recipe, section) or {}, config, file, section)
    for number, stage in enumerate(recipe.stages):
        check_options(stage.sft, FavorSFTConfig, file, f"stages.{number}.sft")
    object.__setattr__(recipe, "given", given)  # the one field that is not read but kept
    return recipe


def with_strategies(values: Mapping[str, object]) -> dict[str, object]:
    """A recipe's mapping in which a strategy is "no" that YAML reads as false."""
    changed = dict(values)
    for section in CONFIGS:
        if isinstance(options := values.get(section), Mapping):
            changed[section] = {name: "no" if name in STRATEGIES and v is False else v for name, v in options.items()}
    if isinstance(stages := values.get("stages"), list):
        changed["stages"] = [with_strategies(stage) if isinstance(stage, Mapping) else stage for stage in stages]
    return changed


def long_form(section: Mapping[str, object]) -> dict[str, object]:
    """A recipe's or a stage's mapping in which lists of sources are mappings with `sources`."""
    return {
        name: with_sources(value) if name in ("train_data", "eval_data") else value for name, value in section.items()
    }


def cache_section(value: object, file: str) -> object:
    """`cache_encoder_states` as a mapping, None if it is false or empty; raises `ValueError` for anything else."""
    if not isinstance(value, (bool, Mapping, type(None))):
        options = listed(field.name for field in dataclasses.fields(CacheSettings))
        raise ValueError(f"{file}: `cache_encoder_states` is true or a mapping with {options}, but it is {value!r}.")
    return {} if value is True else value or None


def check_options(options: Mapping[str, object], config: type, file: str, name: str) -> None:
    """Raises `ValueError` for options that a configuration does not have, or of another type, or the recipe's own."""
    unknown = set(options) - ({field.name for field in dataclasses.fields(config)} - OWN_OPTIONS)
    if unknown:
        raise ValueError(f"{file}: unknown {name} options {listed(unknown)}; see {config.__name__}.")
    check_option_types(options, config, file, name)


def override(section: object, key: str, value: object, path: Path) -> None:
    """Sets an entry of a recipe by its dotted key; entries of a list are named by their place, from 0."""
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(section, dict):
            if section.get(parent) is None:
                section[parent] = {}
            section = section[parent]
        else:
            entries = entries_of(section, key, path)
            section = entries[list_place(entries, parent, key, path)]
    if isinstance(section, dict):
        section[last] = value
    else:
        entries = entries_of(section, key, path)
        entries[list_place(entries, last, key, path)] = value


def entries_of(section: object, key: str, path: Path) -> list[object]:
    """The list that a section is; raises `ValueError` if it is none."""
    if not isinstance(section, list):
        raise ValueError(
            f"--{key} names an entry of something that is no mapping or list in {path}; override it as a whole."
        )
    return section


def list_place(entries: list[object], name: str, key: str, path: Path) -> int:
    """A place in a list; raises `ValueError` if it has none of that name."""
    if not name.isdigit() or int(name) >= len(entries):
        raise ValueError(f"--{key}: {path} has {len(entries)} entries there, so {name!r} must be below that, from 0.")
    return int(name)
