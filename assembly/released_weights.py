# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A released FAVOR checkpoint file on top of public parts: its connector, and its LoRA merged or as a PEFT adapter."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedConfig

from favor.modeling_favor.connector_favor import FavorConnector
from favor.modeling_favor.conversion_favor import released_connector_config, released_connector_state_dict

from .checkpoint_files import load_tensor, read_pickle, read_shapes, shortened
from .model_parts import ModelAssembly

LORA_PREFIX = "llama_model.base_model.model."
LORA_NAME = re.compile(re.escape(LORA_PREFIX) + r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")
LAYER = re.compile(r"\.(\d+)\.")
# Widths read off the connector: the option that gives the part with the same width.
WIDTHS = {
    "visual_hidden_size": "--instructblip (or --vision): the width of its Q-Former, or of a tower without one",
    "audio_hidden_size": "--whisper: its d_model",
    "text_hidden_size": "--llm: its hidden_size",
}
RELEASED_VALUES = (
    *("num_hidden_layers", "num_attention_heads", "window_frames", "num_query_tokens", "hidden_size"),
    *("max_position_embeddings", "intermediate_size", "causal_attention"),
)


@dataclass
class ReleasedWeights:
    """
    What a released checkpoint holds.

    Attributes:
        connector_state: the connector's tensors, by this package's names.
        config: the connector's.
        lora: from the language model's own module names ("model.layers.0.self_attn.q_proj") to A (rank, in) and
            B (out, rank).
        alpha: the numerator of the LoRA's scale alpha / rank.
    """

    connector_state: dict[str, torch.Tensor]
    config: PreTrainedConfig
    lora: dict[str, tuple[torch.Tensor, torch.Tensor]]
    alpha: float

    @property
    def config_values(self) -> dict:
        """The connector's values for a `FavorConfig`, less the widths, which are those of the parts."""
        return {name: getattr(self.config, name) for name in RELEASED_VALUES}

    def check_parts(self, assembly: ModelAssembly) -> None:
        """Raises `ValueError` if the checkpoint was trained with parts of other widths or fewer layers."""
        connector = assembly.config.connector_config
        for name, option in WIDTHS.items():
            released, given = getattr(self.config, name), getattr(connector, name)
            if released != given:
                raise ValueError(f"The checkpoint's {name} is {released}, that of the parts {given}: see {option}.")
        layers = assembly.config.text_config.num_hidden_layers
        beyond = sorted(name for name in self.lora if _layer(name) >= layers)
        if beyond:
            last = max(_layer(name) for name in beyond)
            raise ValueError(
                f"The checkpoint's LoRA has layers up to {last}, counted from 0, the language model has {layers} "
                f"(--llm): {shortened(beyond)}."
            )
        weights = assembly.parts["llm"].model.state_dict()
        unknown = sorted(name for name in self.lora if f"{name}.weight" not in weights)
        if unknown:
            raise ValueError(f"The checkpoint's LoRA is for modules that --llm does not have: {shortened(unknown)}.")
        ill_shaped = [
            f"{name} changes {(len(b), a.shape[1])}, the weight is {tuple(weights[f'{name}.weight'].shape)}"
            for name, (a, b) in self.lora.items()
            if (len(b), a.shape[1]) != tuple(weights[f"{name}.weight"].shape)
        ]
        if ill_shaped:
            raise ValueError(f"The checkpoint's LoRA has other widths than --llm: {shortened(ill_shaped)}.")

    def merges(self, assembly: ModelAssembly) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
        """For each weight that the LoRA changes, by its name in FAVOR, W to W + (alpha / r) B A."""

        def merge(a: torch.Tensor, b: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
            def merged(weight: torch.Tensor) -> torch.Tensor:
                change = (b.float() @ a.float()) * (self.alpha / len(a))
                return change.add_(weight).to(weight.dtype)

            return merged

        return {f"{name}.weight": merge(a, b) for name, (a, b) in self.lora_in_favor(assembly).items()}

    def save_adapter(self, folder: Path, assembly: ModelAssembly) -> None:
        """Writes the LoRA as PEFT does, for `PeftModel.from_pretrained(model, folder)`.

        Raises `ValueError` if its matrices differ in rank.
        """
        lora = self.lora_in_favor(assembly)
        ranks = sorted({len(a) for a, _ in lora.values()})
        if len(ranks) > 1:
            raise ValueError(f"The checkpoint's LoRA has several ranks, {ranks}: merge it (--lora merge).")
        folder.mkdir()
        tensors = {}
        for name, (a, b) in lora.items():
            tensors[f"base_model.model.{name}.lora_A.weight"] = a.contiguous()
            tensors[f"base_model.model.{name}.lora_B.weight"] = b.contiguous()
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        settings = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": None,  # the folder around it, which has no name of its own yet
            "inference_mode": True,
            "r": ranks[0],
            "lora_alpha": self.alpha,
            "lora_dropout": 0.1,
            "target_modules": sorted(lora),
        }
        (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def lora_in_favor(self, assembly: ModelAssembly) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """The LoRA by the names of FAVOR's modules."""
        base = assembly.parts["llm"].model.base_model_prefix + "."
        return {f"model.language_model.{name.removeprefix(base)}": pair for name, pair in sorted(self.lora.items())}


def read_released(
    checkpoint: str | os.PathLike,
    num_attention_heads: int = 12,
    window_frames: int | None = 10,
    lora_alpha: float = 32.0,
) -> ReleasedWeights:
    """Reads a `.pt` (a state dict, alone or under "model") or `.safetensors` file.

    Raises `ValueError` for a file that is none, and for missing, unknown, unpaired or ill-shaped tensors, by name.
    """
    state_dict = read_state_dict(os.fspath(checkpoint))
    try:
        lora = released_lora(state_dict)
        config = released_connector_config(state_dict, num_attention_heads, window_frames)
        with torch.device("meta"):
            connector = FavorConnector._from_config(config)
        connector_state = released_connector_state_dict(state_dict, connector)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{checkpoint}: {error}") from error
    return ReleasedWeights(connector_state, config, lora, lora_alpha)


def read_state_dict(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file; nothing in it is run."""
    if not os.path.isfile(path):
        raise ValueError(f"{path} is no file: give the released checkpoint.")
    if path.endswith(".safetensors"):
        return {name: load_tensor(path, name) for name in read_shapes(path)}
    content = read_pickle(path)
    content = content["model"] if isinstance(content.get("model"), dict) else content
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}


def released_lora(state_dict: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A (rank, in) and B (out, rank) of each module, from names with and without `.default`.

    Raises `ValueError` that lists unknown, unpaired or ill-shaped ones.
    """
    sides: dict[str, dict[str, torch.Tensor]] = {}
    unknown = []
    for name, tensor in state_dict.items():
        if not name.startswith("llama_model."):
            continue
        match = LORA_NAME.fullmatch(name)
        if match is None:
            unknown.append(name)
        else:
            sides.setdefault(match["module"], {})[match["side"]] = tensor
    unpaired = [f"{module}.lora_{'B' if 'A' in pair else 'A'}" for module, pair in sides.items() if len(pair) < 2]
    if unknown or unpaired:
        raise ValueError(
            f"The LoRA in the checkpoint has unknown tensors {shortened(unknown) or 'none'}, "
            f"and lacks {shortened(unpaired) or 'none'}."
        )
    ill_shaped = [
        f"{module}: A {tuple(pair['A'].shape)}, B {tuple(pair['B'].shape)}"
        for module, pair in sides.items()
        if pair["A"].ndim != 2 or pair["B"].ndim != 2 or len(pair["A"]) != pair["B"].shape[1]
    ]
    if ill_shaped:
        raise ValueError(f"LoRA matrices whose ranks differ: {shortened(ill_shaped)}.")
    return {module: (pair["A"], pair["B"]) for module, pair in sides.items()}


def _layer(name: str) -> int:
    match = LAYER.search(name)
    return -1 if match is None else int(match[1])


__all__ = ["ReleasedWeights", "read_released"]
