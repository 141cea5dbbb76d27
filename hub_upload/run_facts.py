# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Facts for a model card that are read from files: the config, the weights, the training run and the evaluation.

What no file says is not said: functions return nothing for it.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from .outgoing_files import read_json

Row = tuple[str, str]
RECORD = "training_record.json"
RECIPE_SECTIONS = ("train_data", "seed", "tower_pretraining", "connector_pretraining", "lora", "sft")
NOT_SHOWN = {"output_dir", "logging_dir", "report_to", "run_name", "hub_token", "hub_model_id", "push_to_hub"}


@dataclass(frozen=True)
class TaskResult:
    """One task of `results.json`, as `favor eval` writes it.

    Attributes:
        task: name of the task.
        dataset: name of the data, or the task's.
        metric, value: None where it could not be computed, for the reason given.
        interval: 95 % confidence interval, if stated.
        samples: how many were scored, if stated.
        published_samples: how many the benchmark has, if stated.
    """

    task: str
    dataset: str
    metric: str
    value: float | None
    interval: tuple[float, float] | None
    samples: int | None
    published_samples: int | None
    reason: str | None


def weights_facts(files: Iterable[Path]) -> list[Row]:
    """Number of parameters and their types, from the headers of safetensors files."""
    counts: dict[str, int] = {}
    for file in files:
        for tensor in _safetensors_header(file).values():
            size = 1
            for length in tensor["shape"]:
                size *= length
            counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size
    total = sum(counts.values())
    if not total:
        return []
    return [
        ("parameters", _count(total)),
        ("weights", ", ".join(f"{name} ({_count(counts[name])})" for name in counts)),
    ]


def part_facts(config: dict[str, Any]) -> list[Row]:
    """The parts of a FAVOR model, as its config.json tells."""
    vision, audio, text = (config[f"{name}_config"] for name in ("vision", "audio", "text"))
    qformer = config.get("qformer_config")
    pixels = f", {vision['image_size']} x {vision['image_size']} pixels" if vision.get("image_size") else ""
    rows = [
        ("vision tower", f"{layers(vision)}{pixels}, {config['frame_rate']:g} frames a second"),
        ("visual Q-Former", "none: the tower's patches are the frame's vectors"),
        ("audio tower", f"{layers(audio)}, {config['audio_encoder_rate']:g} vectors a second"),
        ("connector", _connector(config["connector_config"])),
        ("language model", layers(text) + (f", {text['vocab_size']:,} tokens" if text.get("vocab_size") else "")),
    ]
    if qformer:
        rows[1] = ("visual Q-Former", f"{layers(qformer)}, {config['num_visual_query_tokens']} queries a frame")
    return rows


def layers(part: dict[str, Any]) -> str:
    """ "`llama`, 4 layers of 128", as far as a config tells; encoders of speech models have names of their own."""
    number = part.get("encoder_layers") or part.get("num_hidden_layers") or part.get("n_layer")
    width = part.get("d_model") or part.get("hidden_size") or part.get("n_embd")
    return f"`{part.get('model_type')}`" + (f", {number} layers of {width}" if number and width else "")


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


def read_results(file: Path) -> tuple[str, list[TaskResult]]:
    """With what was measured ("`favor eval`"), and the tasks of `results.json`, or of the folder that holds it.

    Results of another program may name it in `measured_with`.

    Raises `ValueError` that names what is missing.
    """
    file = file / "results.json" if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such results; give the results.json that `favor eval` wrote.")
    content = read_json(file)
    tasks = content.get("tasks") if isinstance(content, dict) else None
    if not isinstance(tasks, dict) or not tasks:
        raise ValueError(f"{file} has no `tasks`: give the results.json that `favor eval` wrote.")
    withheld = sorted(name for name, value in (content.get("controls") or {}).items() if value is True)
    if withheld or content.get("system", "favor") != "favor":
        what = f"with {', '.join(withheld)}" if withheld else f"on the system {content['system']!r}"
        raise ValueError(f"{file} was measured {what}: give the results of the model as it is.")
    command = content.get("measured_with") or "favor eval"
    return f"`{command}`", [_task_result(file, task, entry) for task, entry in tasks.items()]


def _task_result(file: Path, task: str, entry: dict[str, Any]) -> TaskResult:
    value, interval, dataset = entry.get("value"), entry.get("ci95"), entry.get("dataset")
    if not isinstance(entry.get("metric"), str) or not isinstance(value, int | float | None):
        raise ValueError(f"{file}: task {task} needs `metric` and a number `value`; it has {sorted(entry)}.")
    return TaskResult(
        task=task,
        dataset=dataset if isinstance(dataset, str) else task,
        metric=entry["metric"],
        value=value,
        interval=(interval[0], interval[1]) if interval else None,
        samples=entry.get("n"),
        published_samples=entry.get("published_samples"),
        reason=entry.get("reason"),
    )


def _connector(connector: dict[str, Any]) -> str:
    if connector.get("num_query_tokens") is None:
        return f"`{connector.get('model_type')}`"
    window = connector.get("window_frames")
    tokens = f"{connector['num_query_tokens']} query tokens "
    tokens += f"a window of {window} frames" if window else "for the whole clip"
    sizes = f"{connector.get('num_hidden_layers')} layers of {connector.get('hidden_size')}"
    return f"causal Q-Former, {sizes}, {tokens}; causal attention `{connector.get('causal_attention')}`"


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


def _flat(content: dict[str, Any], prefix: str = "") -> list[Row]:
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


def _shown(value: Any) -> str:
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


def _state_facts(state: dict[str, Any]) -> list[Row]:
    rows = [("optimisation steps", str(state["global_step"]))] if "global_step" in state else []
    if state.get("train_batch_size"):
        rows.append(("batch of one device", str(state["train_batch_size"])))
    if state.get("epoch") is not None:
        rows.append(("epochs", f"{state['epoch']:g}"))
    logged = [entry for entry in state.get("log_history", []) if "loss" in entry]
    if logged:
        rows.append(("last logged loss", f"{logged[-1]['loss']:g} (step {logged[-1]['step']})"))
    return rows


def _safetensors_header(file: Path) -> dict[str, dict]:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return header


def _count(number: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
