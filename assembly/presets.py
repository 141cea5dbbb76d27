# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Published systems and their ablations by name: `presets.json` as values of [`FavorConfig`]."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from favor.modeling_favor.configuration_favor import FavorConfig

PRESETS_FILE = Path(__file__).with_name("presets.json")


def preset_config(name: str, *variants: str) -> FavorConfig:
    """`preset_config("favor-13b", "without-windows")`: the configuration of a preset with some of it varied.

    Raises `ValueError` for an unknown name, or a variant that the preset's connector does not know.
    """
    return FavorConfig(**preset_values(name, *variants))


def preset_values(name: str, *variants: str) -> dict[str, Any]:
    """As [`preset_config`], but the arguments of [`FavorConfig`]: what a recipe or a command can change further."""
    preset = _entry("presets", name)
    values = copy.deepcopy(preset["config"])
    if "based_on" in preset:
        values = _merged(preset_values(preset["based_on"]), values)
    for variant in variants:
        change = _entry("variants", variant)
        _check_applies(variant, change, name, values)
        values = _merged(values, change.get("config", {}))
        for part, factors in change.get("multiply", {}).items():
            for field, factor in factors.items():
                values[part][field] = _product(values[part][field], factor, f"{part}.{field}", name, variant)
    return values


def preset_parts(name: str) -> dict[str, str]:
    """Hub ids of the public checkpoints a preset is assembled from, by part; empty if it is trained from scratch."""
    return dict(_entry("presets", name)["parts"])


def preset_processor(name: str) -> dict[str, Any]:
    """What a system wants of its processor beside `config.processor_values`: `{"num_frames": 100}`, or nothing."""
    return dict(_entry("presets", name).get("processor", {}))


def preset_names() -> list[str]:
    """All presets."""
    return list(_read()["presets"])


def variant_names() -> list[str]:
    """All variants; most change the causal Q-Former, and apply to the presets that have it."""
    return list(_read()["variants"])


@cache
def _read() -> dict[str, Any]:
    return json.loads(PRESETS_FILE.read_text(encoding="utf-8"))


def _entry(kind: str, name: str) -> dict[str, Any]:
    """One preset or variant."""
    entries = _read()[kind]
    if name not in entries:
        raise ValueError(f"{name!r} is none of the {kind}: {', '.join(entries)}.")
    return entries[name]


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` on top, section by section."""
    merged = dict(values)
    for key, change in changes.items():
        merged[key] = _merged(merged[key], change) if isinstance(change, dict) and key in merged else change
    return copy.deepcopy(merged)


def _check_applies(variant: str, change: dict[str, Any], name: str, values: dict[str, Any]) -> None:
    """Configurations keep unknown values without complaint: a variant of another connector would change nothing."""
    needed, has = change.get("connector"), values["connector_config"]["model_type"]
    if needed not in (None, has):
        raise ValueError(f"Variant {variant!r} is one of a {needed}; the connector of {name!r} is a {has}.")


def _product(value: int, factor: float, field: str, name: str, variant: str) -> int:
    product = value * factor
    if product != int(product):
        raise ValueError(
            f"Variant {variant!r} multiplies {field} of {name!r}, {value}, by {factor}: not a whole number."
        )
    return int(product)


__all__ = ["preset_config", "preset_names", "preset_parts", "preset_processor", "preset_values", "variant_names"]
