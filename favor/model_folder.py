# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Assembles a complete Hub folder from public checkpoints, with a new connector or a released FAVOR checkpoint's."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from favor.assembly.model_parts import AssemblyReport, ModelAssembly
from favor.assembly.package_parts import LICENCES as PART_LICENCES
from favor.assembly.package_parts import package_part, part_facts
from favor.assembly.processor_parts import assemble_processor
from favor.assembly.released_weights import ReleasedWeights, read_released
from favor.assembly.shipped_model import SETTINGS, TEMPLATE, WEIGHTS, ShippedModel, TrainedWeights
from favor.hub_upload.export import LICENCES, PROVENANCE, check_replaceable, complete_folder, written_at_once
from favor.modeling_favor.towers_favor import audio_encoder, picture_size
from favor.processing import FavorProcessor
from favor.processing.log_mel_favor import with_chunks_of

ADAPTER = "adapter"
PART_ROLES = {"llm": "language_model", "whisper": "audio_tower", "vision": "vision_tower"}


def assemble_folder(
    llm: str | os.PathLike | None,
    whisper: str | os.PathLike | None,
    vision: str | os.PathLike | None,
    out_dir: str | os.PathLike,
    dtype: str = "auto",
    max_shard_size: int | str = "1GB",
    seed: int = 0,
    chat_template: str | None = None,
    media_options: dict[str, Any] | None = None,
    preset: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
    parts_from: str = "hub",
    **config_values: Any,
) -> AssemblyReport:
    """
    Writes a model folder with processor, special tokens and code, its connector new and untrained.

    The folder appears at once, complete: it is written beside `out_dir` and then renamed.

    Args:
        chat_template: the text of a Jinja template; Vicuna v1 by default.
        media_options: the processor's own defaults for reading files, such as `{"num_frames": 100}`.
        preset: the name of the preset that the values come from, kept in `assembly.json` with the parts' names.
        overwrite: replace `out_dir` if it already holds a model.
        parts_from: "hub", or "packages": `llm`, `whisper` and `vision` are then names of `PACKAGE_PARTS`, or folders,
            and None is the first part of its kind.
        The others: see `modeling_favor.assemble_model`.

    Raises:
        ValueError: a source of the wrong kind or without a needed file, missing or ill-shaped tensors, or an `out_dir`
            that is in use.
        OSError: a source that cannot be reached, or an `out_dir` that cannot be written.
    """
    out_dir = Path(out_dir)
    check_replaceable(out_dir, overwrite)
    assembly = ModelAssembly(*_sources(parts_from, llm=llm, whisper=whisper, vision=vision), **config_values)
    processor = _processor(assembly, chat_template, media_options)
    with written_at_once(out_dir) as folder:
        report = assembly.write(folder, dtype, max_shard_size, seed, progress)
        complete_folder(folder, assembly.config, assembly.generation_config(), processor)
        _write_provenance(folder, report, preset)
    return report


def convert_released(
    checkpoint: str | os.PathLike,
    llm: str | os.PathLike,
    whisper: str | os.PathLike,
    vision: str | os.PathLike,
    out_dir: str | os.PathLike,
    lora: str = "merge",
    lora_alpha: float = 32.0,
    num_attention_heads: int = 12,
    window_frames: int | None = 10,
    dtype: str = "auto",
    max_shard_size: int | str = "1GB",
    chat_template: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **config_values: Any,
) -> AssemblyReport:
    """
    As [`assemble_folder`], with the connector and the LoRA of a released FAVOR checkpoint.

    Args:
        checkpoint: a `.pt` state dict, alone or under "model", or the same as `.safetensors`.
        lora: `"merge"` adds it to the language model's weights; `"adapter"` leaves these alone and writes a PEFT
            adapter to `out_dir/adapter`; `"drop"` leaves it out.
        lora_alpha, num_attention_heads, window_frames: the released settings, which the file does not hold.

    Raises `ValueError` also for unknown, unpaired or ill-shaped tensors of the checkpoint, by name, and for one that
    was trained with parts of other widths.
    """
    if lora not in ("merge", "adapter", "drop"):
        raise ValueError(f"lora must be merge, adapter or drop; got {lora!r}.")
    out_dir = Path(out_dir)
    check_replaceable(out_dir, overwrite)
    released = read_released(checkpoint, num_attention_heads, window_frames, lora_alpha)
    assembly = ModelAssembly(llm, whisper, vision, connector_config=released.config_values, **config_values)
    released.check_parts(assembly)
    processor = _processor(assembly, chat_template)
    with written_at_once(out_dir) as folder:
        report = assembly.write(
            folder,
            dtype,
            max_shard_size,
            progress=progress,
            connector_state=released.connector_state,
            changes=released.merges(assembly) if lora == "merge" else None,
        )
        report.connector = f"released, {Path(checkpoint).name}"
        report.notes = [_lora_note(released, lora)]
        if lora == "adapter" and released.lora:
            released.save_adapter(folder / ADAPTER, assembly)
        complete_folder(folder, assembly.config, assembly.generation_config(), processor)
        _write_provenance(folder, report, preset=None)
    return report


def write_shipped_folder(
    settings: ShippedModel,
    weights: TrainedWeights,
    sources: Mapping[str, Path],
    out_dir: Path,
    shipped: Path,
) -> AssemblyReport:
    """
    Writes a model that is shipped without its parts: these, the trained connector, and the LoRA merged into them.

    The folder appears at once, complete.

    Args:
        settings, weights: of `read_shipped`.
        sources: the folder of each part, by role.
        shipped: where they are; its other files (the model card, the run's record) go along.

    Raises `ValueError` for weights that do not fit the parts, by name.
    """
    assembly = ModelAssembly(sources["llm"], sources["whisper"], sources["vision"], **settings.config)
    trained = weights.for_assembly(assembly, settings.lora_alpha)
    template = shipped / TEMPLATE
    text = template.read_text(encoding="utf-8") if template.is_file() else None
    processor = _processor(assembly, text, settings.media_options)
    with written_at_once(out_dir) as folder:
        report = assembly.write(
            folder, settings.dtype, connector_state=trained.connector_state, changes=trained.merges(assembly)
        )
        report.notes = [_lora_note(trained, "merge")]
        complete_folder(folder, assembly.config, assembly.generation_config(), processor)
        _write_provenance(folder, report, preset=None)
        for file in shipped.iterdir():
            if file.is_file() and file.name not in (SETTINGS, TEMPLATE, WEIGHTS):
                shutil.copyfile(file, folder / file.name)
    return report


def _sources(parts_from: str, **parts: str | os.PathLike | None) -> list[str | os.PathLike]:
    """Folder or Hub id of each part."""
    if parts_from == "packages":
        return [package_part(role, None if name is None else os.fspath(name)) for role, name in parts.items()]
    if parts_from != "hub":
        raise ValueError(f"parts_from must be hub or packages; got {parts_from!r}.")
    missing = [role for role, name in parts.items() if name is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must name a folder or a Hub id.")
    return [name for name in parts.values() if name is not None]


def _processor(
    assembly: ModelAssembly, chat_template: str | None, media_options: dict[str, Any] | None = None
) -> FavorProcessor:
    """The processor that fits the config; the config learns the placeholder's id from it."""
    config = assembly.config
    qformer, encoder = config.qformer_config, audio_encoder(config.audio_config)
    size = picture_size(config.vision_config)
    if size is None:
        raise ValueError(f"{assembly.parts['vision']}: its config does not say how large pictures are (image_size).")
    processor = assemble_processor(
        llm=assembly.parts["llm"].source,
        whisper=assembly.parts["whisper"].source,
        vision=assembly.parts["vision"].source,
        image_size=size,
        reads_instruction=qformer is not None and qformer.model_type == "instructblip_qformer",
        channels=encoder.channels(config.audio_config),
        chunk_frames=encoder.chunk_frames(assembly.parts["whisper"].config),
        chat_template=chat_template,
        media_options=media_options,
        **config.processor_values(),
    )
    frames = encoder.chunk_frames(config.audio_config)
    if frames not in (None, encoder.chunk_frames(assembly.parts["whisper"].config)):
        processor.feature_extractor = with_chunks_of(processor.feature_extractor, frames)
    config.video_token_id = processor.video_token_id
    return processor


def _lora_note(released: ReleasedWeights, lora: str) -> str:
    if not released.lora:
        return "LoRA: the checkpoint has none"
    count = f"LoRA: {len(released.lora)} matrices"
    return {
        "merge": f"{count}, merged into the language model",
        "adapter": f"{count}, kept as a PEFT adapter in {ADAPTER}/",
        "drop": f"{count}, dropped: the language model is the plain one",
    }[lora]


def _package_facts(source: str) -> dict[str, Any]:
    """Licence, origin and precision of a part that a package brought."""
    facts = part_facts(source)
    return {} if facts is None else asdict(facts)


def _write_provenance(folder: Path, report: AssemblyReport, preset: str | None) -> None:
    """Which checkpoints the folder is made of, without paths of this machine."""
    parts = {
        PART_ROLES[part.part]: {
            "source": Path(part.source).name if os.path.isdir(part.source) else part.source,
            "model_type": part.kind,
            "tensors": part.tensors,
            **_package_facts(part.source),
        }
        for part in report.parts
    }
    content = {
        "parts": parts,
        "connector": report.connector,
        "dtype": report.dtype,
        "preset": preset,
        "notes": report.notes,
    }
    _copy_licences(folder, [part.source for part in report.parts])
    (folder / PROVENANCE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _copy_licences(folder: Path, sources: Iterable[str]) -> None:
    """The licence texts that came with parts from packages."""
    for text in (text for source in sources for text in sorted(Path(source, PART_LICENCES).glob("*.txt"))):
        (folder / LICENCES).mkdir(exist_ok=True)
        shutil.copyfile(text, folder / LICENCES / text.name)
