# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes a model folder in the layout of the Hub: weights, processor and all code in one flat folder.

Such a folder needs transformers, torch, pillow, PyAV and jinja2 to run, and nothing of this package.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin
from transformers.dynamic_module_utils import get_relative_import_files

import favor.modeling_favor
import favor.processing
from favor.modeling_favor import FavorConfig
from favor.processing import FavorProcessor

from .json_values import JsonObject
from .requirements import model_requirements

MODEL_CLASS = "modeling_favor.FavorForConditionalGeneration"
AUTO_MAP = {
    "AutoConfig": "configuration_favor.FavorConfig",
    "AutoModel": MODEL_CLASS,
    "AutoModelForMultimodalLM": MODEL_CLASS,
    "AutoModelForImageTextToText": MODEL_CLASS,
    "AutoModelForCausalLM": MODEL_CLASS,
}
PROCESSOR_AUTO_MAP = {"AutoProcessor": "processing_favor.FavorProcessor"}
VIDEO_PROCESSOR_AUTO_MAP = {"AutoVideoProcessor": "video_processing_favor.FavorVideoProcessor"}
CUSTOM_PIPELINES = {
    "video-text-to-text": {
        "impl": "pipeline_favor.VideoTextToTextPipeline",
        "pt": ["AutoModelForMultimodalLM"],
        "type": "multimodal",
    }
}
PROVENANCE = "assembly.json"  # of a model of parts: whose they are, by which licence
CARD_FILES = ("README.md", "architecture.png", ".eval_results/favor.yaml")
LICENCES = "LICENSES"  # folder of the parts' licence texts
# A run leaves others there: towers and connector as they were pre-trained.
WEIGHT_FILES = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
# What loading leaves in a tokenizer's settings: paths and options of this machine.
LOADING_KEYS = ("is_local", "local_files_only", "name_or_path")
ENTRY_FILES = {
    favor.modeling_favor: ("modeling_favor.py", "pipeline_favor.py"),
    favor.processing: ("processing_favor.py",),
}


def export_model(
    model: PreTrainedModel | str | os.PathLike,
    out_dir: str | os.PathLike,
    processor: ProcessorMixin | None = None,
    overwrite: bool = False,
) -> Path:
    """
    Writes `model` to `out_dir` so that transformers alone can load and run it with `trust_remote_code=True`.

    The folder appears at once, complete: it is written beside `out_dir` and then renamed. The same model gives the
    same bytes. Weights of a folder are copied, not loaded.

    Args:
        model: a FAVOR model folder, or a model in memory.
        out_dir: the folder to write.
        processor: by default the one in the model folder; needed with a model in memory.
        overwrite: replace `out_dir` if it already holds a model.

    Returns:
        The path of `out_dir`.

    Raises:
        ValueError: no processor, an adapter or another kind of model, or an `out_dir` that is in use.
        OSError: a model folder that cannot be read, or an `out_dir` that cannot be written.
    """
    out_dir = Path(out_dir)
    check_replaceable(out_dir, overwrite)
    if processor is None:
        processor = _processor_of(model)
    with written_at_once(out_dir) as folder:
        if isinstance(model, PreTrainedModel):
            model.save_pretrained(folder)
            config, generation_config = model.config, model.generation_config
        else:
            config, generation_config = _copy_weights(Path(model), folder)
            _copy_card(Path(model), folder)
        complete_folder(folder, config, generation_config, processor)
    return out_dir


def complete_folder(
    folder: Path, config: FavorConfig, generation_config: GenerationConfig, processor: ProcessorMixin
) -> None:
    """Everything beside the weights: configs, processor, code and what the code needs."""
    _write_config(config, folder)
    _write_generation_config(generation_config, processor, folder)
    processor.save_pretrained(folder)
    _write_processor_auto_map(folder)
    _forget_origin(folder)
    _copy_code(folder)
    (folder / "requirements.txt").write_text("\n".join(model_requirements()) + "\n")


def check_replaceable(out_dir: Path, overwrite: bool) -> None:
    """Raises `ValueError` if `out_dir` holds something that is not to be replaced."""
    if not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir())):
        return
    if not overwrite:
        raise ValueError(f"{out_dir} exists and is not empty: name another folder, or overwrite it (--overwrite).")
    if not (out_dir / "config.json").is_file():
        raise ValueError(f"{out_dir} holds no model (config.json): it is not overwritten. Name another folder.")


def _processor_of(model: PreTrainedModel | str | os.PathLike) -> ProcessorMixin:
    if isinstance(model, PreTrainedModel):
        raise ValueError("A model in memory comes without its processor: pass processor=FavorProcessor(...).")
    folder = Path(model)
    if not folder.is_dir():
        raise FileNotFoundError(f"Model folder {str(folder)!r} does not exist.")
    if (folder / "adapter_config.json").is_file():
        raise ValueError(
            f"{folder} holds an adapter, not a whole model: add it to its base model (favor export {folder} OUT_DIR "
            "--merge)."
        )
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no model folder: it has no config.json.")
    return FavorProcessor.from_pretrained(folder)


def _copy_weights(source: Path, folder: Path) -> tuple[FavorConfig, GenerationConfig]:
    config = FavorConfig.from_pretrained(source)
    weights = [file for pattern in WEIGHT_FILES for file in source.glob(pattern)]
    if not weights:
        raise ValueError(
            f"{source} has no weights (model.safetensors): save the model there with save_pretrained first."
        )
    for file in weights:
        shutil.copyfile(file, folder / file.name)
    if (source / "generation_config.json").is_file():
        return config, GenerationConfig.from_pretrained(source)
    return config, GenerationConfig.from_model_config(config)


def _copy_card(source: Path, folder: Path) -> None:
    """The model card with its picture and results, what is known of the parts, and licences: what there is of them."""
    licences = [f"{LICENCES}/{file.name}" for file in sorted((source / LICENCES).glob("*.txt"))]
    for name in (*CARD_FILES, PROVENANCE, *licences):
        if (source / name).is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, folder / name)


def _write_config(config: FavorConfig, folder: Path) -> None:
    """config.json with the names by which transformers finds the code; `config` itself is left as it is."""
    config.save_pretrained(folder)
    _update_json(
        folder / "config.json",
        {
            "architectures": [MODEL_CLASS.partition(".")[2]],
            "auto_map": AUTO_MAP,
            "custom_pipelines": CUSTOM_PIPELINES,
        },
    )


def _write_generation_config(generation_config: GenerationConfig, processor: ProcessorMixin, folder: Path) -> None:
    """generation_config.json; what it leaves open about special tokens is the tokenizer's.

    Media placeholders are never generated: the next step would read one as an item that has no media.
    """
    generation_config.save_pretrained(folder)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    values = {name: getattr(processor.tokenizer, name) for name in names}
    media = [processor.video_token_id, processor.image_token_id, processor.audio_token_id]
    file = folder / "generation_config.json"
    known = json.loads(file.read_text())
    suppressed = known.get("suppress_tokens") or []
    suppressed = [*suppressed, *(token for token in media if token not in suppressed)]
    values = {name: value for name, value in values.items() if known.get(name) is None}
    _update_json(file, {**values, "suppress_tokens": suppressed})


def _write_processor_auto_map(folder: Path) -> None:
    file = folder / "processor_config.json"
    content = json.loads(file.read_text())
    content["video_processor"]["auto_map"] = VIDEO_PROCESSOR_AUTO_MAP
    content["feature_extractor"].pop("auto_map", None)  # it is a class of transformers
    _update_json(file, {**content, "auto_map": PROCESSOR_AUTO_MAP})


def _forget_origin(folder: Path) -> None:
    """Takes out of the tokenizers' settings how they were loaded here."""
    for file in folder.rglob("tokenizer_config.json"):
        _update_json(file, {}, removed=LOADING_KEYS)


def _copy_code(folder: Path) -> None:
    """The entry files and, following their relative imports, every file that they need."""
    # One flat folder for both rooms: transformers follows `from .sibling import`, into no other folder.
    for package, names in ENTRY_FILES.items():
        room = Path(package.__path__[0])
        for entry in (room / name for name in names):
            for file in (entry, *map(Path, get_relative_import_files(entry))):
                shutil.copyfile(file, folder / file.name)


def _update_json(file: Path, values: JsonObject, removed: tuple[str, ...] = ()) -> None:
    kept = {name: value for name, value in json.loads(file.read_text()).items() if name not in removed}
    content = {**kept, **values}
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


@contextmanager
def written_at_once(out_dir: Path) -> Iterator[Path]:
    """A folder beside `out_dir` that takes its place when the block ends, and is removed if the block fails."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place: a rename never crosses file systems, and is done at once or not at all.
    folder = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        yield folder
        # `mkdtemp` makes folders that their owner alone can read.
        folder.chmod(0o755)
        # A folder cannot be renamed onto one that holds something: the old one steps aside first.
        if out_dir.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.old.", dir=out_dir.parent))
            out_dir.rename(replaced / out_dir.name)
            folder.rename(out_dir)
            shutil.rmtree(replaced)
        else:
            folder.rename(out_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
