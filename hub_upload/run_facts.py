# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Facts for a model card that are read from files: the weights, the training run, and the parts as a table.

What no file says is not said: functions return nothing for it.
"""

import json
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from .export import PROVENANCE
from .json_values import Json, JsonObject, section, texts
from .model_parts import ModelParts
from .outgoing_files import read_json

Row = tuple[str, str]
RECORD = "training_record.json"
RECIPE_SECTIONS = ("train_data", "seed", "tower_pretraining", "connector_pretraining", "lora", "sft")
NOT_SHOWN = {"output_dir", "logging_dir", "report_to", "run_name", "hub_token", "hub_model_id", "push_to_hub"}


def weights_facts(files: Iterable[Path]) -> list[Row]:
    """Number of parameters and their types, from the headers of safetensors files."""
    counts: dict[str, int] = {}
    for file in files:
        for dtype, size in _tensors(file):
            counts[dtype] = counts.get(dtype, 0) + size
    total = sum(counts.values())
    if not total:
        return []
    return [
        ("parameters", _count(total)),
        ("weights", ", ".join(f"{name} ({_count(counts[name])})" for name in counts)),
    ]


def part_facts(parts: ModelParts) -> list[Row]:
    """The table of the parts."""
    pixels = f", {parts.image_size} x {parts.image_size} pixels" if parts.image_size else ""
    tokens = f", {parts.vocab_size:,} tokens" if parts.vocab_size else ""
    qformer = "none: the tower's patches are the frame's vectors"
    if parts.qformer is not None:
        qformer = f"{parts.qformer.described}, {parts.num_visual_query_tokens} queries per frame"
    return [
        ("vision tower", f"{parts.vision.described}{pixels}, {parts.frame_rate:g} frames per second"),
        ("visual Q-Former", qformer),
        ("audio tower", f"{parts.audio.described}, {parts.audio_encoder_rate:g} vectors per second"),
        ("connector", _connector(parts)),
        ("language model", f"{parts.text.described}{tokens}"),
    ]


def origin_facts(folder: Path) -> list[Row]:
    """Where parts come from that packages brought, by what `favor assemble` wrote: origin, licence, precision."""
    if not (folder / PROVENANCE).is_file():
        return []
    rows = []
    for name, part in section(read_json(folder / PROVENANCE), "parts").items():
        if not isinstance(part, dict) or not part.get("origin"):
            continue
        packages = ", ".join(f"`{package}`" for package in texts(part.get("packages")))
        what = f"{part['origin']}. Licence: {part.get('licence')}. Precision: {part.get('precision')}."
        rows.append((f"origin of the {name.replace('_', ' ')}", f"{what} From {packages}"))
    return rows


def training_facts(folder: Path, recipe: Path | None) -> list[Row]:
    """What the run's own files say: `training_record.json`, `trainer_state.json`, and the recipe."""
    rows: list[Row] = []
    recipe = recipe or (folder / "recipe.yaml" if (folder / "recipe.yaml").is_file() else None)
    if recipe is not None:
        rows += _recipe_facts(recipe)
    if (folder / RECORD).is_file():
        rows += _flat(read_json(folder / RECORD))
    state = _trainer_state(folder)
    if state is not None:
        rows += _state_facts(read_json(state))
    return list(dict.fromkeys(rows))


def _connector(parts: ModelParts) -> str:
    connector = parts.connector
    if parts.num_query_tokens is None:
        return f"`{connector.model_type}`"
    window = parts.window_frames
    tokens = f"{parts.num_query_tokens} query tokens "
    tokens += f"a window of {window} frames" if window else "for the whole clip"
    sizes = f"{connector.num_layers} layers of {connector.width}"
    return f"causal Q-Former, {sizes}, {tokens}; causal attention `{parts.causal_attention}`"


def _recipe_facts(recipe: Path) -> list[Row]:
    import yaml

    if not recipe.is_file():
        raise FileNotFoundError(f"{recipe}: no such recipe.")
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{recipe}: a recipe is a mapping; give the YAML file of `favor sft`.")
    sections = {name: content[name] for name in RECIPE_SECTIONS if name in content}
    rows = [("recipe", f"`{recipe.name}`"), *_flat(sections)]
    for number, stage in enumerate(content.get("stages") or [], start=1):
        rows += [(f"stage {number}: {name}", value) for name, value in _flat(stage)]
    return rows


def _flat(content: JsonObject, prefix: str = "") -> list[Row]:
    """Nested settings as rows; of a path on this machine only the file's name."""
    rows: list[Row] = []
    for name, value in content.items():
        if name in NOT_SHOWN:
            continue
        if isinstance(value, dict) and name != "family_shares":
            rows += _flat(value, prefix if name == "sft" else f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _shown(value)))
    return rows


def _shown(value: Json) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(entry)}" for name, entry in value.items())
    if isinstance(value, str) and value.startswith(("/", "~")):
        return PurePath(value).name
    return str(value).replace("|", "\\|")


def _trainer_state(folder: Path) -> Path | None:
    """The state of the end of the run: in the folder itself, or in its newest checkpoint."""
    if (folder / "trainer_state.json").is_file():
        return folder / "trainer_state.json"
    found = [file for file in folder.glob("checkpoint-*/trainer_state.json") if _step(file) >= 0]
    return max(found, key=_step, default=None)


def _step(file: Path) -> int:
    number = file.parent.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _state_facts(state: JsonObject) -> list[Row]:
    rows = [("optimisation steps", str(state["global_step"]))] if "global_step" in state else []
    if state.get("train_batch_size"):
        rows.append(("batch of one device", str(state["train_batch_size"])))
    epochs, history = state.get("epoch"), state.get("log_history")
    if isinstance(epochs, int | float):
        rows.append(("epochs", f"{epochs:g}"))
    logged = [entry for entry in history if "loss" in entry] if isinstance(history, list) else []
    if logged:
        rows.append(("last logged loss", f"{logged[-1]['loss']:g} (step {logged[-1]['step']})"))
    return rows


def _tensors(file: Path) -> Iterator[tuple[str, int]]:
    """Type and number of values of each tensor, from the header of a safetensors file."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    for name, tensor in header.items():
        if name != "__metadata__":
            yield tensor["dtype"], math.prod(tensor["shape"])


def _count(number: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
