# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a model repository consists of: a model folder or an adapter made complete, and its card."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import get_token
from transformers import GenerationConfig
from transformers.dynamic_module_utils import get_relative_import_files

from favor.modeling_favor import FavorConfig
from favor.processing import FavorProcessor

from .export import complete_folder, export_model
from .json_values import section, text
from .merging import ADAPTER, merged_adapter, named_base
from .model_card import CardFacts, write_card
from .outgoing_files import (
    MODEL_FILES,
    Outgoing,
    check_contents,
    forget_origins,
    outgoing_files,
    read_json,
    write_changed,
)
from .upload import Destination

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@contextmanager
def model_repository(
    model_dir: str | os.PathLike,
    destination: Destination,
    facts: CardFacts | None = None,
    merge: bool = False,
    base_model: str | None = None,
    overwrite_card: bool = False,
) -> Iterator[Outgoing]:
    """
    The files of a model repository, checked and ready for [`upload`]; files made for it vanish when the block ends.

    A folder that lacks code is completed with this package's, as `favor export` does; weights are not copied.

    Args:
        model_dir: folder of a whole model, or of a PEFT adapter.
        destination: where it will go; its name stands in the card.
        facts: what the card shall say beyond what the folder tells.
        merge: add an adapter to its base model and publish the sum as a whole model.
        base_model: the Hub id that an adapter is to name instead of a folder of this machine.
        overwrite_card: replace a README.md that somebody wrote by hand.

    Raises:
        ValueError: no model, a base model that others cannot load, a secret or a path of this machine in a file.
        OSError: a folder that cannot be read.
    """
    destination.check()
    if base_model is not None and not HUB_ID.fullmatch(base_model):
        raise ValueError(f"The base model {base_model!r} is no Hub id: write ORG/NAME, under which others find it.")
    folder = Path(model_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"Model folder {str(folder)!r} does not exist.")
    is_adapter = (folder / ADAPTER).is_file()
    if merge and not is_adapter:
        raise ValueError(f"{folder} holds no adapter ({ADAPTER}) that could be merged: leave out --merge.")
    with tempfile.TemporaryDirectory(prefix="favor-push-") as made:
        scratch = Path(made)
        if is_adapter and not merge:
            outgoing, base = _adapter(folder, scratch, base_model), base_model
        else:
            outgoing, base = _whole_model(folder, scratch, merge, base_model)
        forget_origins(outgoing, scratch)
        write_card(outgoing, folder, destination.repo_id, facts or CardFacts(), base, overwrite_card, scratch)
        check_contents(outgoing, get_token(), folders=[folder, *_folder_of_base(folder)])
        yield outgoing


def _folder_of_base(folder: Path) -> list[Path]:
    """Where on this machine the base model of an adapter lies; trainers write it into cards."""
    named = named_base(folder)
    return [Path(named)] if named and Path(named).is_absolute() else []


def is_hub_id(name: str) -> bool:
    """Whether others can load `name`: it looks like ORG/NAME and is no folder of this machine."""
    return HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def has_all_code(folder: Path) -> bool:
    """Whether the auto classes and the pipeline find in `folder` every code file that they need."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        processor_config = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
        named = [config["auto_map"][name] for name in ("AutoConfig", "AutoModel", "AutoModelForMultimodalLM")]
        named += [task["impl"] for task in config["custom_pipelines"].values()]
        named += [processor_config["auto_map"]["AutoProcessor"]]
        for reference in {name.rpartition(".")[0] for name in named}:
            for needed in get_relative_import_files(folder / f"{reference}.py"):
                Path(needed).read_bytes()
    except (OSError, KeyError, ValueError):
        return False
    return bool(config["custom_pipelines"])


def _adapter(folder: Path, scratch: Path, base_model: str | None) -> Outgoing:
    """The adapter as it is, with a base model that others can load."""
    outgoing = outgoing_files(folder, MODEL_FILES)
    if outgoing.source("adapter_model.safetensors") is None:
        raise ValueError(f"{folder} has no adapter_model.safetensors: save the adapter there with save_pretrained.")
    for name in [file.path for file in outgoing.files if file.path.startswith(("model", "config.json"))]:
        if name in ("config.json", "model.safetensors.index.json") or name.endswith(".safetensors"):
            outgoing.files = [file for file in outgoing.files if file.path != name]
            outgoing.left_out.append(name)
    config = read_json(folder / ADAPTER)
    base = base_model or text(config, "base_model_name_or_path") or ""
    if base_model is None and not is_hub_id(base):
        raise ValueError(
            f"{folder / ADAPTER} names the base model {base!r}, which others cannot load: give its Hub id "
            "(--base-model ORG/NAME), or publish the merged model (--merge)."
        )
    if base != config.get("base_model_name_or_path"):
        outgoing.notes.append(f"{ADAPTER}: base model {base}, instead of a folder of this machine")
        config = {**config, "base_model_name_or_path": base, "revision": None}
        write_changed(outgoing, ADAPTER, json.dumps(config, indent=2, sort_keys=True) + "\n", scratch)
    return outgoing


def _whole_model(folder: Path, scratch: Path, merge: bool, base_model: str | None) -> tuple[Outgoing, str | None]:
    """The files of a complete model, and the Hub id of the model that it was made from, if known."""
    base = base_model
    if merge:
        named = named_base(folder) or ""
        base = base_model or (named if is_hub_id(named) else None)
        model, processor = merged_adapter(folder, named if named and Path(named).exists() else base)
        whole = export_model(model, scratch / "merged", processor=processor)
    else:
        _check_model(folder)
        whole = folder
    outgoing = outgoing_files(whole, MODEL_FILES)
    if merge:
        outgoing.left_out = [f"{folder.name}/: only the merged model goes"]
    elif not has_all_code(folder):
        completed = scratch / "completed"
        completed.mkdir()
        config = FavorConfig.from_pretrained(folder)
        complete_folder(completed, config, _generation_config(folder, config), FavorProcessor.from_pretrained(folder))
        for file in outgoing_files(completed, MODEL_FILES).files:
            outgoing.put(file.path, file.source)
        outgoing.notes.append("the folder lacked code or settings: completed as `favor export` does")
    return outgoing, base


def _check_model(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no model folder: it has no config.json.")
    kind = read_json(folder / "config.json").get("model_type")
    if kind != FavorConfig.model_type:
        raise ValueError(f"{folder} holds a model of type {kind!r}, not {FavorConfig.model_type!r}.")
    index = folder / "model.safetensors.index.json"
    shards = section(read_json(index), "weight_map").values() if index.is_file() else ["model.safetensors"]
    missing = sorted(name for name in {f"{shard}" for shard in shards} if not (folder / name).is_file())
    if missing:
        raise ValueError(f"{folder} has no weights {missing[0]}: save the model there with save_pretrained.")


def _generation_config(folder: Path, config: FavorConfig) -> GenerationConfig:
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    return GenerationConfig.from_model_config(config)
