# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Assembles a FAVOR model folder from public checkpoints: a causal LLM, a Whisper, and an InstructBLIP or other tower.

The tensors go from the sources' files to the new ones shard by shard, so that a model of any size is assembled within
the memory of about one shard.
"""

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from tqdm.auto import tqdm
from transformers import GenerationConfig, PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, logging

from favor.modeling_favor.configuration_favor import FavorCausalQFormerConfig, FavorConfig
from favor.modeling_favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.towers_favor import audio_encoder, picture_shape, picture_width
from favor.processing.log_mel_favor import frame_frequency

from .checkpoint_files import CheckpointFiles, find_file, shortened
from .part_sources import PartReport, PartSource, Place
from .processor_parts import load_feature_extractor

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TOWERS = {"vision": "vision_tower", "whisper": "audio_tower", "llm": "language_model"}
# What the sources' own configs say: not to be given as values, but for the length of the audio encoder's chunks.
PART_CONFIGS = ("vision_config", "audio_config", "text_config")
CHUNK_LENGTH = "max_source_positions"
UNTRAINED = "new, with random weights: the connector must be trained before the model is of use"


@dataclass
class AssemblyReport:
    """
    What an assembled folder holds and where it came from.

    Attributes:
        parts: one [`PartReport`] per source.
        connector: how its weights came about.
        dtype: of the weights, `"auto"` for those of the sources.
        num_bytes: of all weights.
        files: the weight files written.
        notes: what else to know.
    """

    parts: list[PartReport]
    connector: str
    dtype: str
    num_bytes: int = 0
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report as text."""
        lines = []
        for part in self.parts:
            lines.append(
                f"{part.part}: {part.source} ({part.kind}), {part.tensors} tensors, {size_text(part.num_bytes)}"
            )
            if part.unused:
                counts = ", ".join(f"{group} {count}" for group, count in sorted(part.unused.items()))
                lines.append(f"  not used, other parts of that checkpoint: {counts}")
            if part.ignored_buffers:
                lines.append(f"  left out, computed today: {shortened(part.ignored_buffers, 4)}")
            if part.unexpected:
                lines.append(f"  WARNING, left out, unknown to its class: {', '.join(part.unexpected)}")
        lines.append(f"connector: {self.connector}")
        lines += self.notes
        lines.append(f"weights: {size_text(self.num_bytes)} in {len(self.files)} file(s), dtype {self.dtype}")
        return lines


def assemble_model(
    llm: str | os.PathLike,
    whisper: str | os.PathLike,
    vision: str | os.PathLike,
    out_dir: str | os.PathLike,
    dtype: str = "auto",
    max_shard_size: int | str = "1GB",
    seed: int = 0,
    progress: bool = False,
    **config_values,
) -> AssemblyReport:
    """
    Writes weights, config.json and generation_config.json of a FAVOR model made of public checkpoints to `out_dir`.

    The connector is new and untrained. Processor and code are not written: `favor assemble` does that, too.

    Args:
        llm: folder or Hub id of a causal language model of transformers.
        whisper: of a Whisper; its encoder is used.
        vision: of an InstructBLIP or BLIP-2 (vision tower and Q-Former are used), SigLIP, CLIP, DINOv2 or other tower.
        dtype: `"auto"` keeps every tensor bit for bit as in its source and makes the connector in float32;
            `"float32"`, `"float16"` and `"bfloat16"` cast all floating-point tensors.
        max_shard_size: of one weight file, and about the memory that is needed.
        seed: of the connector's random weights.
        progress: show a bar on stderr.
        config_values: of [`FavorConfig`], the parts' own configs excepted; `connector_config` may be part of one.
            `audio_config={"max_source_positions": 500}` lets a Whisper read chunks of 10 s instead of 30 s.

    Returns an [`AssemblyReport`].

    Raises `ValueError` for a source of the wrong kind, and for missing or ill-shaped tensors, by name.
    """
    assembly = ModelAssembly(llm, whisper, vision, **config_values)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    report = assembly.write(out_dir, dtype, max_shard_size, seed, progress)
    assembly.config.save_pretrained(out_dir)
    assembly.generation_config().save_pretrained(out_dir)
    return report


class ModelAssembly:
    """
    One assembly, step by step: made, it has read only configs; `write` reads and writes the weights.

    Attributes:
        config: the assembled model's; `video_token_id` may still be set before `write`.
    """

    def __init__(
        self, llm: str | os.PathLike, whisper: str | os.PathLike, vision: str | os.PathLike, **config_values: Any
    ):
        self.parts = {
            part: PartSource(part, source) for part, source in (("llm", llm), ("whisper", whisper), ("vision", vision))
        }
        self.config = assembled_config(self.parts, config_values)

    def write(
        self,
        out_dir: Path,
        dtype: str = "auto",
        max_shard_size: int | str = "1GB",
        seed: int = 0,
        progress: bool = False,
        connector_state: dict[str, torch.Tensor] | None = None,
        changes: dict[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> AssemblyReport:
        """
        Writes the weights to `out_dir` and sets the config's dtype to the language model's.

        Args:
            connector_state: of a trained connector; by default a new one is initialised.
            changes: what to do with single tensors, by their names in FAVOR, before they are written.

        See [`assemble_model`] for the others.
        """
        if dtype != "auto" and dtype not in DTYPES:
            raise ValueError(f"dtype must be auto, {', '.join(DTYPES)}; got {dtype!r}.")
        # Names, shapes and rules of initialisation, without the memory of the weights.
        with torch.device("meta"):
            model = FavorForConditionalGeneration._from_config(copy.deepcopy(self.config))
        tensors, reports = self.find_tensors(model)
        rows = self.computed_rows(model)
        shapes = {name: shape[: rows[name]] if name in rows else shape for name, (_, _, shape) in tensors.items()}
        connector = new_connector_state(model, seed) if connector_state is None else connector_state
        connector = {f"model.connector.{name}": tensor for name, tensor in connector.items()}
        self.check_load(shapes | {name: tensor.to("meta") for name, tensor in connector.items()}, tensors)
        self.set_dtype(dtype, shapes)

        def load(name: str) -> torch.Tensor:
            tensor = connector[name] if name in connector else tensors[name][0].load(tensors[name][1])
            tensor = tensor[: rows[name]] if name in rows else tensor
            if changes and name in changes:  # in the wider dtype of the two: what is added is rounded once
                wide = tensor.dtype if dtype == "auto" else torch.promote_types(tensor.dtype, DTYPES[dtype])
                tensor = changes[name](tensor.to(wide))
            return cast(tensor, dtype)

        shapes = {name: cast(tensor, dtype) for name, tensor in (connector | shapes).items()}
        report = AssemblyReport(reports, UNTRAINED if connector_state is None else "trained", dtype)
        report.files = write_shards(shapes, load, out_dir, max_shard_size, progress)
        report.num_bytes = sum(tensor.nbytes for tensor in shapes.values())
        return report

    def computed_rows(self, model: PreTrainedModel) -> dict[str, int]:
        """How long the audio encoder's computed tables are: of a longer one the beginning is the shorter one."""
        constant = audio_encoder(self.config.audio_config).constant_weights
        tower = model.model.audio_tower.state_dict()
        tables = {
            name: len(table) for name, table in tower.items() if name.startswith(tuple(f"{m}." for m in constant))
        }
        return {f"model.audio_tower.{name}": rows for name, rows in tables.items()}

    def find_tensors(
        self, model: PreTrainedModel
    ) -> tuple[dict[str, tuple[CheckpointFiles, str, torch.Tensor]], list[PartReport]]:
        """For each of FAVOR's names the files, the name in them and the shape; what became of all other tensors."""
        found, reports = {}, []
        for part, source in self.parts.items():
            files = CheckpointFiles(source.source)
            taken, report = source.account(files, self.places(source, model))
            shapes = files.shapes(list(taken.values()))
            report.num_bytes = sum(shapes[name].nbytes for name in taken.values())
            found.update({target: (files, name, shapes[name]) for target, name in taken.items()})
            reports.append(report)
            if not taken:
                raise ValueError(f"{source} holds no tensor of FAVOR's {TOWERS[part]}: {_examples(files)}.")
        return found, reports

    def places(self, source: PartSource, model: PreTrainedModel) -> list[Place]:
        """Where the modules of one source are in its own class and in FAVOR."""
        tower = TOWERS[source.part]
        modules = [(tower, model.model.get_submodule(tower))]
        if source.part == "vision" and self.config.qformer_config is not None:
            modules.append(("visual_qformer.qformer", model.model.visual_qformer.qformer))
        places = []
        for name, module in modules:
            names = list(module.state_dict())
            what = f"part with the tensors of FAVOR's {name} ({type(module).__name__})"
            places.append(Place(source.module_prefix(names, what), f"model.{name}.", frozenset(names)))
        if len(modules) == 2:
            queries = places[1].source_prefix.removesuffix("qformer.") + "query_tokens"
            places.append(Place(queries, "model.visual_qformer.query_tokens", frozenset({""})))
        # A tied head has no weight of its own in a checkpoint, but may have a bias.
        head = set(model.lm_head.state_dict()) - ({"weight"} if self.config.tie_word_embeddings else set())
        if source.part == "llm" and head:
            places.append(Place(f"{source.head_name}.", "lm_head.", frozenset(head)))
        return places

    def check_load(self, shapes: dict[str, torch.Tensor], tensors: dict) -> None:
        """Loads tensors without memory into the model as `from_pretrained` does, and refuses what that would not."""
        # Its own report goes by FAVOR's names; the errors below name the tensors in the sources.
        verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            _, loading = FavorForConditionalGeneration.from_pretrained(
                None,
                config=copy.deepcopy(self.config),
                state_dict=shapes,
                device_map={"": "meta"},
                output_loading_info=True,
                # Reported below, all at once, instead of raised at the first.
                ignore_mismatched_sizes=True,
            )
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()
        ill_shaped = [
            f"{self.origin(name, tensors)} is {tuple(found)}, not {tuple(expected)}"
            for name, found, expected in sorted(loading["mismatched_keys"])
        ]
        if ill_shaped:
            raise ValueError(f"Tensors of another shape than their configs say: {shortened(ill_shaped)}.")
        missing = sorted(loading["missing_keys"])
        if missing:
            raise ValueError(
                f"{len(missing)} tensors are missing: {shortened([self.origin(name, tensors) for name in missing])}."
            )
        if loading["unexpected_keys"]:
            raise ValueError(f"Tensors that FAVOR would not load: {shortened(sorted(loading['unexpected_keys']))}.")

    def origin(self, name: str, tensors: dict) -> str:
        """A tensor of FAVOR with the source that holds it, or should."""
        if name in tensors:
            files, source_name, _ = tensors[name]
            return f"{source_name} of {files.source}/{files.files[source_name]} (FAVOR's {name})"
        part = name.removeprefix("model.").partition(".")[0]
        part = {"vision_tower": "vision", "visual_qformer": "vision", "audio_tower": "whisper"}.get(part, "llm")
        if name.startswith("model.connector."):
            return name
        return f"{name} (of {self.parts[part]})"

    def set_dtype(self, dtype: str, shapes: dict[str, torch.Tensor]) -> None:
        """The config's dtype, of all parts: what `from_pretrained` loads the whole model in."""
        weights = [shape for name, shape in shapes.items() if name.startswith("model.language_model.")]
        dtypes = {shape.dtype for shape in weights if shape.is_floating_point()}
        sizes = {kind: sum(weight.nbytes for weight in weights if weight.dtype == kind) for kind in dtypes}
        # Of a mixed checkpoint (norms in float32, say) the kind with the most bytes.
        value = max(sizes, key=lambda kind: sizes[kind]) if dtype == "auto" else DTYPES[dtype]
        self.config.dtype = value
        for name in self.config.sub_configs:
            if getattr(self.config, name, None) is not None:
                getattr(self.config, name).dtype = value

    def generation_config(self) -> GenerationConfig:
        """The language model's own."""
        source = self.parts["llm"]
        if find_file(source.source, "generation_config.json") is not None:
            return GenerationConfig.from_pretrained(source.source)
        return GenerationConfig.from_model_config(self.config.text_config)


def assembled_config(parts: dict[str, PartSource], values: dict[str, Any]) -> FavorConfig:
    """The configs of the parts with `values`, checked, in one [`FavorConfig`]."""
    values = copy.deepcopy(values)
    audio_config = with_chunk_length(parts["whisper"], values.pop("audio_config", {}))
    known = {item.name for item in fields(FavorConfig)} - set(PART_CONFIGS)
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no value that can be given to an assembled model's config.")
    given = copy.deepcopy(values.get("connector_config"))
    llm, whisper, vision = (parts[part] for part in ("llm", "whisper", "vision"))
    if values.get("qformer_config", vision.qformer_config) is not None:
        values["qformer_config"] = vision.qformer_config
        values.setdefault("num_visual_query_tokens", vision.config.num_query_tokens)
    else:
        values["qformer_config"] = None
        values.setdefault("num_visual_query_tokens", vectors_of_picture(vision, values))
    # Of its own feature extractor: 16000 / 160 / 2 = 50 Hz for all Whispers that OpenAI published.
    values.setdefault("audio_encoder_rate", encoder_rate(whisper))
    values.setdefault("video_token_id", llm.config.vocab_size)  # the first id that is no token of the model
    head = llm.model.get_output_embeddings()
    values["connector_config"] = with_fitting_heads(values, picture_vectors_width(vision, values))
    config = FavorConfig(
        **{
            "vision_config": copy.deepcopy(vision.vision_config),
            "audio_config": audio_config,
            "text_config": copy.deepcopy(llm.config),
            "tie_word_embeddings": bool(llm.config.tie_word_embeddings),
            "lm_head_bias": getattr(head, "bias", None) is not None,
            **values,
        }
    )
    config.architectures = [FavorForConditionalGeneration.__name__]
    for name in config.sub_configs:
        if getattr(config, name, None) is not None:
            getattr(config, name).name_or_path = ""  # where the part was on this machine
    check_connector(config.connector_config, given)
    return config


def with_chunk_length(audio: PartSource, changes: dict[str, Any]) -> PreTrainedConfig:
    """The audio encoder's own config, with chunks of another length if `changes` give it.

    Raises `ValueError` for another change, for an encoder with trained positions or none, and for longer chunks.
    """
    config = copy.deepcopy(audio.config)
    others = sorted(set(changes) - {CHUNK_LENGTH})
    if others:
        raise ValueError(
            f"audio_config.{others[0]} is the checkpoint's own: of audio_config only {CHUNK_LENGTH}, the length of a "
            "chunk, can be given."
        )
    if not changes:
        return config
    if not audio_encoder(config).constant_weights:
        raise ValueError(f"{audio} has no computed positions: audio_config.{CHUNK_LENGTH} cannot be changed.")
    wanted, has = changes[CHUNK_LENGTH], int(getattr(config, CHUNK_LENGTH))
    if not isinstance(wanted, int) or not 0 < wanted <= has:
        raise ValueError(f"audio_config.{CHUNK_LENGTH} must be 1 to {has}, as long as {audio} reads; got {wanted!r}.")
    setattr(config, CHUNK_LENGTH, wanted)
    return config


def check_connector(connector: PreTrainedConfig, given: dict | PreTrainedConfig | None) -> None:
    """Refuses values that the connector does not have, and makes its position table as long as a window.

    Raises `ValueError` if a table length was given and is too short.
    """
    values = given if isinstance(given, dict) else {}
    known = {item.name for item in fields(type(connector))} | {"model_type"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"connector_config has no {', '.join(unknown)}: it is a {connector.model_type}.")
    window_frames = getattr(connector, "window_frames", None)
    table = getattr(connector, "max_position_embeddings", None)
    if window_frames is None or table is None:
        return
    needed = window_frames * connector.vectors_per_frame
    if needed > table:
        if "max_position_embeddings" in values:
            raise ValueError(
                f"A window of {window_frames} frames of {connector.vectors_per_frame} vectors is {needed} long, "
                f"connector_config.max_position_embeddings is {table}: set it to {needed}, or window_frames to "
                f"{max(1, table // connector.vectors_per_frame)}."
            )
        connector.max_position_embeddings = needed


def vectors_of_picture(vision: PartSource, values: dict[str, Any]) -> int:
    """How many vectors the tower gives for one picture of its own size; computed without memory.

    Raises `ValueError` if the tower does not read a picture by itself, or its vectors are not as wide as its config
    says.
    """
    layer, pool_size = values.get("vision_feature_layer"), values.get("vision_pool_size", 1)
    try:
        count, width = picture_shape(vision.vision_config, layer, pool_size)
    except ValueError as error:
        raise ValueError(f"{vision}: {error}") from error
    if width != picture_width(vision.vision_config, layer):
        raise ValueError(
            f"{vision}: its vectors are {width} wide, but its config says "
            f"{picture_width(vision.vision_config, layer)}: give another tower."
        )
    return count


def picture_vectors_width(vision: PartSource, values: dict[str, Any]) -> int:
    """Width of what the connector reads of a picture."""
    if values["qformer_config"] is not None:
        return picture_width(values["qformer_config"])
    return picture_width(vision.vision_config, values.get("vision_feature_layer"))


def with_fitting_heads(values: dict[str, Any], visual_width: int) -> Any:
    """The connector's values, with a number of heads that fits the tower's width where none was given.

    The paper's 12 heads share out 768 and twice InstructBLIP's 768, but not twice a CLIP-L's 1,024.
    """
    connector = values.get("connector_config")
    section = {} if connector is None else connector
    if not isinstance(section, dict) or "num_attention_heads" in section:
        return connector
    if section.get("model_type", FavorCausalQFormerConfig.model_type) != FavorCausalQFormerConfig.model_type:
        return connector
    known = {item.name for item in fields(FavorCausalQFormerConfig)}
    sizes = FavorCausalQFormerConfig(**{name: value for name, value in section.items() if name in known})
    sizes.visual_hidden_size = visual_width
    return {**section, "num_attention_heads": sizes.fitting_heads()}


def encoder_rate(audio: PartSource) -> float:
    """Audio encoder outputs per second, by the encoder's own feature extractor."""
    frames = frame_frequency(load_feature_extractor(audio.source))
    return frames / audio_encoder(audio.config).frames_per_vector(audio.config)


def new_connector_state(model: PreTrainedModel, seed: int) -> dict[str, torch.Tensor]:
    """A connector in float32, initialised by its own rules."""
    connector = model.model.connector
    config = copy.deepcopy(connector.config)
    # The seed is the connector's alone: the caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(connector)._from_config(config, dtype=torch.float32).state_dict()


def write_shards(
    shapes: dict[str, torch.Tensor],
    load: Callable[[str], torch.Tensor],
    out_dir: Path,
    max_shard_size: int | str,
    progress: bool = False,
) -> list[str]:
    """Writes tensors as `save_pretrained` would, one file at a time: `load` is called when its file is written.

    Returns the names of the weight files.
    """
    meta = {name: shape.to("meta") for name, shape in shapes.items()}
    split = split_torch_state_dict_into_shards(meta, max_shard_size=max_shard_size)
    total = sum(shape.nbytes for shape in meta.values())
    with tqdm(total=total, unit="B", unit_scale=True, desc="Writing weights", disable=not progress) as bar:
        for file, names in split.filename_to_tensors.items():
            # Nothing outlives this dictionary: the next file has the memory of this one.
            save_file({name: load(name) for name in names}, out_dir / file, metadata={"format": "pt"})
            bar.update(sum(meta[name].nbytes for name in names))
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (out_dir / SAFE_WEIGHTS_INDEX_NAME).write_text(text, encoding="utf-8")
    return list(split.filename_to_tensors)


def cast(tensor: torch.Tensor, dtype: str) -> torch.Tensor:
    """A contiguous tensor, floating-point ones in `dtype` unless that is `"auto"`."""
    if dtype != "auto" and tensor.is_floating_point():
        tensor = tensor.to(DTYPES[dtype])
    return tensor.contiguous()


def size_text(num_bytes: int) -> str:
    """Bytes to read: "26.0 GB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes / 1e3:.1f} kB"


def _examples(files: CheckpointFiles) -> str:
    return f"its {len(files.files)} tensors are {shortened(sorted(files.files), 3)}" if files.files else "it has none"


__all__ = ["AssemblyReport", "ModelAssembly", "assemble_model"]
