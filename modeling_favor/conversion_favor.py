# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Released FAVOR checkpoints to this package's connector: names, widths and checks."""

import torch
from torch import nn

from .connector_configuration_favor import FavorCausalQFormerConfig

# Ours on the left, the released names on the right; `{layer}` runs over the causal Q-Former's blocks.
RELEASED_NAMES = {
    "audio_projection": "speech_pre_qformer_proj",
    "causal_qformer.feature_norm": "ln_video",
    "causal_qformer.position_embedding": "video_frame_position_embedding",
    "causal_qformer.query_norm": "video_Qformer.bert.embeddings.LayerNorm",
    "language_projection": "llama_proj",
}
RELEASED_LAYER_NAMES = {
    **{
        f"{ours}.{part}": f"{theirs}.{where}"
        for ours, theirs in (
            ("causal_attention", "encoder_causal_attention"),
            ("self_attention", "attention"),
            ("cross_attention", "crossattention"),
        )
        for part, where in (
            ("query", "self.query"),
            ("key", "self.key"),
            ("value", "self.value"),
            ("dense", "output.dense"),
            ("layer_norm", "output.LayerNorm"),
        )
    },
    "intermediate": "intermediate_query.dense",
    "output": "output_query.dense",
    "layer_norm": "output_query.LayerNorm",
}
QUERY_TOKENS = "video_query_tokens"
LAYER_PREFIX = "video_Qformer.bert.encoder.layer."
# The same tensors under other names, buffers, and the LoRA of the language model: not the connector's.
IGNORED_PREFIXES = (
    "joint_",
    "speech_Qformer",
    "speech_query_tokens",
    "llama_proj_",
    "ln_speech",
    "ln_joint",
    "llama_model.",
)


def released_connector_config(
    state_dict: dict[str, torch.Tensor], num_attention_heads: int, window_frames: int | None, **config_kwargs
) -> FavorCausalQFormerConfig:
    """Reads the widths off a released state dict; the causal direction is the released one."""
    intermediate = f"{LAYER_PREFIX}0.intermediate_query.dense.weight"
    needed = (
        QUERY_TOKENS,
        "speech_pre_qformer_proj.weight",
        "llama_proj.weight",
        "video_frame_position_embedding.weight",
        intermediate,
    )
    missing = [name for name in needed if name not in state_dict]
    if missing:
        raise ValueError(f"Not a released FAVOR checkpoint: {', '.join(missing)} missing.")
    layers = {int(name[len(LAYER_PREFIX) :].split(".")[0]) for name in state_dict if name.startswith(LAYER_PREFIX)}
    values = {
        "num_hidden_layers": len(layers),
        "num_attention_heads": num_attention_heads,
        "window_frames": window_frames,
        "num_query_tokens": state_dict[QUERY_TOKENS].shape[1],
        "hidden_size": state_dict[QUERY_TOKENS].shape[2],
        "visual_hidden_size": state_dict["speech_pre_qformer_proj.weight"].shape[0],
        "audio_hidden_size": state_dict["speech_pre_qformer_proj.weight"].shape[1],
        "text_hidden_size": state_dict["llama_proj.weight"].shape[0],
        "max_position_embeddings": state_dict["video_frame_position_embedding.weight"].shape[0],
        "intermediate_size": state_dict[intermediate].shape[0],
        "causal_attention": "released",
    }
    return FavorCausalQFormerConfig(**{**values, **config_kwargs})


def released_connector_state_dict(
    state_dict: dict[str, torch.Tensor], connector: nn.Module
) -> dict[str, torch.Tensor]:
    """Renames a released state dict's tensors to `connector`'s.

    Raises `ValueError` that lists missing, unknown or ill-shaped tensors.
    """
    own = connector.state_dict()
    num_layers = connector.config.num_hidden_layers
    names = {ours: released for ours, released in connector_names(num_layers).items() if ours in own}
    known = set(names.values())
    missing = sorted(known - set(state_dict))
    unknown = sorted(
        name
        for name in state_dict
        if name not in known and not name.startswith(IGNORED_PREFIXES) and not name.endswith("position_ids")
    )
    if missing or unknown:
        raise ValueError(
            f"The checkpoint does not fit a FAVOR connector of {num_layers} blocks: "
            f"missing {missing or 'nothing'}, unknown {unknown or 'nothing'}."
        )
    ill_shaped = [
        f"{released} {tuple(state_dict[released].shape)}, not {tuple(own[ours].shape)}"
        for ours, released in names.items()
        if state_dict[released].shape != own[ours].shape
    ]
    if ill_shaped:
        raise ValueError(f"Tensors of the checkpoint have another shape than its widths say: {'; '.join(ill_shaped)}.")
    return {ours: state_dict[released] for ours, released in names.items()}


def connector_names(num_layers: int) -> dict[str, str]:
    """Full parameter names, ours to released."""
    modules = dict(RELEASED_NAMES)
    for layer in range(num_layers):
        for ours, released in RELEASED_LAYER_NAMES.items():
            modules[f"causal_qformer.layers.{layer}.{ours}"] = f"{LAYER_PREFIX}{layer}.{released}"
    names = {"causal_qformer.query_tokens": QUERY_TOKENS}
    for ours, released in modules.items():
        names[f"{ours}.weight"] = f"{released}.weight"
        if not released.endswith("embedding"):
            names[f"{ours}.bias"] = f"{released}.bias"
    return names


__all__ = ["released_connector_config", "released_connector_state_dict"]
