# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The shipped form of a model of public parts: what was trained and what differs, without the parts themselves.

A folder of two files. `adapter_model.safetensors` is what PEFT saves after training, the LoRA and the connector, in
float16; `shipped_model.json` names the parts, the values of the config that differ from theirs, and the LoRA's scale.
"""

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig

from .checkpoint_files import shortened
from .model_parts import DTYPES, ModelAssembly
from .package_parts import PACKAGE_PARTS, package_part_names
from .released_weights import ReleasedWeights

SETTINGS = "shipped_model.json"
WEIGHTS = "adapter_model.safetensors"
TEMPLATE = "chat_template.jinja"  # only of a model that was trained with another than this package's
ADAPTER_SETTINGS = "adapter_config.json"
ROLES = ("llm", "whisper", "vision")
CONNECTOR_PREFIX = "base_model.model.model.connector."
LORA_NAME = re.compile(r"base_model\.model\.model\.language_model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Other kinds of LoRA, which are not W + (alpha / r) B A with one alpha and one r.
OTHER_LORA = (
    *("use_dora", "use_rslora", "use_qalora", "use_bdlora", "fan_in_fan_out", "lora_bias"),
    *("rank_pattern", "alpha_pattern", "layer_replication", "target_parameters", "trainable_token_indices"),
)


@dataclass(frozen=True)
class ShippedModel:
    """
    What `shipped_model.json` says.

    Attributes:
        parts: role ("llm", "whisper", "vision") to the name of one of `PACKAGE_PARTS`.
        config: values that [`ModelAssembly`] is given.
        dtype: in which the whole model is written.
        lora_alpha: the numerator of the LoRA's scale alpha / rank.
        media_options: the processor's own defaults.
    """

    parts: dict[str, str]
    config: dict[str, Any]
    dtype: str
    lora_alpha: float
    media_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unfit = {role: name for role, name in self.parts.items() if name not in package_part_names(role)}
        if set(self.parts) != set(ROLES) or unfit:
            raise ValueError(f"{SETTINGS}: parts must name one of {list(PACKAGE_PARTS)} for each of {ROLES}: {unfit}.")
        if self.dtype not in DTYPES:
            raise ValueError(f"{SETTINGS}: dtype must be {', '.join(DTYPES)}; got {self.dtype!r}.")


@dataclass(frozen=True)
class TrainedWeights:
    """`connector`: tensors by its own names. `lora`: below the language model, "layers.0.self_attn.q_proj" to A, B."""

    connector: dict[str, torch.Tensor]
    lora: dict[str, tuple[torch.Tensor, torch.Tensor]]

    def for_assembly(self, assembly: ModelAssembly, alpha: float) -> ReleasedWeights:
        """The same, ready to be put on top of an assembly's parts.

        Raises `ValueError` for a LoRA that does not fit the language model, by name.
        """
        base = assembly.parts["llm"].model.base_model_prefix
        lora = {f"{base}.{module}": pair for module, pair in self.lora.items()}
        config = cast(PreTrainedConfig, assembly.config.connector_config)
        weights = ReleasedWeights(self.connector, config, lora, alpha)
        weights.check_parts(assembly)
        return weights


def read_shipped(folder: Path) -> tuple[ShippedModel, TrainedWeights]:
    """What `folder` ships.

    Raises:
        FileNotFoundError: it lacks one of the two files.
        ValueError: a broken file, or one with other content than [`write_shipped`] writes.
    """
    if not is_shipped(folder):
        raise FileNotFoundError(f"{folder} lacks {SETTINGS} or {WEIGHTS}.")
    try:
        settings = ShippedModel(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / SETTINGS}: {error}") from error
    return settings, read_adapter(folder / WEIGHTS)


def is_shipped(folder: Path) -> bool:
    """Whether both files are there."""
    return (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file()


def read_adapter(file: Path) -> TrainedWeights:
    """The connector and the LoRA of a file that PEFT saved.

    Raises `ValueError` for tensors of anything else, and for a LoRA without one of its two matrices, by name.
    """
    connector: dict[str, torch.Tensor] = {}
    sides: dict[str, dict[str, torch.Tensor]] = {}
    unknown = []
    for name, tensor in load_file(file).items():
        match = LORA_NAME.fullmatch(name)
        if name.startswith(CONNECTOR_PREFIX):
            connector[name.removeprefix(CONNECTOR_PREFIX)] = tensor
        elif match is None:
            unknown.append(name)
        else:
            sides.setdefault(match["module"], {})[match["side"]] = tensor
    unpaired = [module for module, pair in sides.items() if len(pair) < 2]
    if unknown:
        raise ValueError(
            f"{file} holds tensors that are neither the connector's nor a LoRA's of the language model: "
            f"{shortened(unknown)}."
        )
    if unpaired:
        raise ValueError(f"{file} holds half a LoRA of {shortened(unpaired)}.")
    if not connector:
        raise ValueError(f"{file} holds no connector: it was trained without (lora.connector: false).")
    return TrainedWeights(connector, {module: (pair["A"], pair["B"]) for module, pair in sorted(sides.items())})


def write_shipped(
    adapter: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: dict[str, Any],
    media_options: dict[str, Any] | None = None,
    dtype: str = "bfloat16",
) -> ShippedModel:
    """
    Writes the shipped form of a finished run's adapter to `out_dir`, in place of one that is there.

    Args:
        adapter: folder that PEFT saved, the connector in it, trained on top of the first package part of each role.
        config: of the recipe: what the run changed in the config of the assembled parts.
        media_options: of the recipe.
        dtype: of the whole model; that of the folder that was trained.

    Raises:
        ValueError: an adapter of another kind, one without a connector, or values that float16 cannot hold.
        OSError: no such adapter.
    """
    adapter, out_dir = Path(adapter), Path(out_dir)
    settings = json.loads((adapter / ADAPTER_SETTINGS).read_text(encoding="utf-8"))
    other = [name for name in OTHER_LORA if settings.get(name)]
    if settings.get("peft_type") != "LORA" or settings.get("bias", "none") != "none" or other:
        raise ValueError(
            f"{adapter / ADAPTER_SETTINGS}: only a plain LoRA can be shipped; it is {settings.get('peft_type')} with "
            f"bias {settings.get('bias')!r}, {', '.join(other) or 'nothing else'}."
        )
    parts = {role: package_part_names(role)[0] for role in ROLES}
    shipped = ShippedModel(parts, config, dtype, float(settings["lora_alpha"]), media_options or {})
    weights = read_adapter(adapter / WEIGHTS)
    ranks = {len(a) for a, _ in weights.lora.values()}
    if ranks - {settings["r"]}:
        raise ValueError(f"{adapter}: its LoRA is of rank {sorted(ranks)}, its config says {settings['r']}.")
    halves = {name: in_half(name, tensor) for name, tensor in load_file(adapter / WEIGHTS).items()}
    out_dir.mkdir(parents=True, exist_ok=True)
    save_file(halves, out_dir / WEIGHTS, metadata={"format": "pt"})
    (out_dir / WEIGHTS).chmod(0o644)  # safetensors writes files that their owner alone can read
    text = json.dumps(asdict(shipped), indent=2, sort_keys=True) + "\n"
    (out_dir / SETTINGS).write_text(text, encoding="utf-8")
    return shipped


def in_half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in float16; raises `ValueError` if that cannot hold its values."""
    half = tensor.to(torch.float16).contiguous()
    if not bool(half.isfinite().all()):
        raise ValueError(f"{name} holds values up to {tensor.abs().max():g}, more than the 65504 of float16, or none.")
    return half


__all__ = ["ShippedModel", "TrainedWeights", "is_shipped", "read_adapter", "read_shipped", "write_shipped"]
