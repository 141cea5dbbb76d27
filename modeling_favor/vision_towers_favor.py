# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Vision towers: every backbone of transformers by its config, and which of its states are a picture's vectors."""

import json
import math
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING
from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel
from transformers.models.instructblip.modeling_instructblip import InstructBlipVisionModel

from .encoder_attention_favor import fit_attention

# Classes that no auto class finds. Every other vision tower of transformers is built by its auto class.
VISION_TOWERS = {
    "instructblip_vision_model": InstructBlipVisionModel,
    "blip_2_vision_model": Blip2VisionModel,
}
RANDOM_TOWERS = ("vit_mae",)
# Configs whose `hidden_size` is not the width of what the tower gives.
WIDTH_NAMES = {"sam_vision_model": "output_channels", "sam_hq_vision_model": "output_channels"}
PictureInputs = dict[str, torch.Tensor | None]
USUAL_PICTURE = 224  # pixels, of towers whose configs name no size: their widths do not depend on it


def vision_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class of a vision tower; raises `ValueError` for a config of something else, and for a random encoder."""
    if config.model_type in RANDOM_TOWERS:
        raise ValueError(
            f"vision_config is of type {config.model_type!r}, whose encoder leaves patches out at random: give a "
            "model that was made of it, such as a ViT."
        )
    found = VISION_TOWERS.get(config.model_type) or MODEL_MAPPING.get(type(config), None) or _class_beside(config)
    found = found[0] if isinstance(found, (tuple, list)) else found
    if found is None or found.main_input_name != "pixel_values":
        raise ValueError(f"vision_config is of type {config.model_type!r}, which is no vision tower of transformers.")
    return found


def _class_beside(config: PreTrainedConfig) -> type[PreTrainedModel] | None:
    """The tower inside a larger model of transformers (BLIP's, GIT's, AltCLIP's): beside its config, and of it."""
    module_name = type(config).__module__
    if not module_name.startswith("transformers.models.") or ".configuration_" not in module_name:
        return None
    module = import_module(module_name.replace(".configuration_", ".modeling_"))
    kinds = (kind for kind in vars(module).values() if isinstance(kind, type))
    classes: list[type[PreTrainedModel]] = [kind for kind in kinds if issubclass(kind, PreTrainedModel)]
    towers = [
        kind
        for kind in classes
        if kind.config_class is type(config)
        and kind.main_input_name == "pixel_values"
        and kind.__name__.endswith(("VisionModel", "VisionTransformer"))
    ]
    return towers[0] if towers else None


def build_vision_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """A vision tower that [`picture_states`] reads."""
    return vision_class(config)._from_config(fit_attention(config, vision_class(config)))


def picture_size(config: PreTrainedConfig) -> tuple[int, int] | None:
    """Height and width in pixels of the pictures that a tower reads; None if its config does not say."""
    if config.model_type == "siglip2_vision_model":
        side = math.isqrt(config.num_patches) * config.patch_size
        return side, side
    size = getattr(config, "image_size", None)
    if isinstance(size, int) or size is None:
        return None if size is None else (size, size)
    if len(size) == 1:
        return size[0], size[0]
    return int(size[0]), int(size[1])


def square_patches(config: PreTrainedConfig, pixel_values: torch.Tensor) -> PictureInputs:
    """What a SigLIP 2 of any picture shape reads: patches row by row, all real, and their grid."""
    side = config.patch_size
    pictures, _, height, width = pixel_values.shape
    if height % side or width % side:
        raise ValueError(f"Pictures of {height} x {width} pixels are not whole patches of {side} x {side}.")
    patches = pixel_values.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (n, 3, rows, side, columns, side)
    patches = patches.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    grid = torch.tensor([[height // side, width // side]], device="cpu").expand(pictures, -1)  # read as numbers
    return {"pixel_values": patches, "pixel_attention_mask": None, "spatial_shapes": grid}


# Towers that read something else than pictures (pictures, 3, H, W).
PICTURE_INPUTS: dict[str, Callable[[PreTrainedConfig, torch.Tensor], PictureInputs]] = {
    "siglip2_vision_model": square_patches
}


def picture_width(config: PreTrainedConfig, feature_layer: int | None = None) -> int:
    """Width of a picture's vectors, by the config of a vision tower or of a visual Q-Former."""
    width = getattr(config, WIDTH_NAMES.get(config.model_type, "hidden_size"), None)
    if feature_layer is None and isinstance(width, int):
        return width
    return picture_shape(config, feature_layer)[1]


def picture_shape(config: PreTrainedConfig, feature_layer: int | None = None, pool_size: int = 1) -> tuple[int, int]:
    """How many vectors of which width a tower gives for one picture of its own size, computed without memory.

    Raises `ValueError` if the tower does not read a picture by itself, or has no such states.
    """
    return _picture_shape(config.model_type, config.to_json_string(use_diff=False), feature_layer, pool_size)


@lru_cache(maxsize=64)
def _picture_shape(model_type: str, values: str, feature_layer: int | None, pool_size: int) -> tuple[int, int]:
    """As [`picture_shape`], for a config's JSON: a config is asked again and again, and building takes its time."""
    config = config_of(model_type, values)
    height, width = picture_size(config) or (USUAL_PICTURE, USUAL_PICTURE)
    tower_class = vision_class(config)
    # The class itself, not `from_config`, which DeepSpeed's ZeRO-3 would spread over processes.
    with torch.device("meta"), torch.no_grad():
        tower = tower_class(config).eval()
        picture = torch.empty(1, getattr(config, "num_channels", 3), height, width, dtype=tower.dtype)
        try:
            states = picture_states(tower, picture, feature_layer, pool_size)
        except (TypeError, RuntimeError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{tower_class.__name__} does not read a picture by itself: {reason}") from error
    return states.shape[1], states.shape[2]


def config_of(model_type: str, values: str) -> PreTrainedConfig:
    """A config from its JSON, with attention that runs without memory."""
    content = {name: value for name, value in json.loads(values).items() if name != "model_type"}
    config = AutoConfig.for_model(model_type, **content)
    config._attn_implementation = "eager"
    return config


def picture_states(
    tower: PreTrainedModel, pixel_values: torch.Tensor, feature_layer: int | None = None, pool_size: int = 1
) -> torch.Tensor:
    """(pictures, 3, H, W) through a vision tower to (pictures, vectors, width).

    Args:
        feature_layer: which of the tower's `hidden_states`; by default its `last_hidden_state`.
        pool_size: so many times so many neighbours of a map are averaged to one vector.

    A map of channels, as convolutional towers give it, becomes a vector for each of its places, row by row.

    Raises `ValueError` for pictures of a size or of channels that the tower does not read, for a layer that it does
    not have, and for `pool_size` of a tower that gives no map.
    """
    inputs = PICTURE_INPUTS.get(tower.config.model_type)
    asked = {} if feature_layer is None else {"output_hidden_states": True}
    # A tower with a position for each patch gives those of a smaller picture the wrong ones, without a word.
    if hasattr(tower.config, "patch_size"):
        _check_pictures(tower, pixel_values)
    try:
        given = {"pixel_values": pixel_values} if inputs is None else inputs(tower.config, pixel_values)
        outputs = tower(**given, **asked)
    except (RuntimeError, ValueError):
        _check_pictures(tower, pixel_values)
        raise
    states = _chosen_states(tower, outputs, feature_layer)
    if states.ndim == 4 and pixel_values.shape[-1] == pixel_values.shape[-2] and states.shape[2] != states.shape[3]:
        states = states.permute(0, 3, 1, 2)  # a square picture has a square map: SAM 2 puts the channels last
    return _vectors(tower, states, pool_size)


def _check_pictures(tower: PreTrainedModel, pixel_values: torch.Tensor) -> None:
    channels = getattr(tower.config, "num_channels", 3)
    if pixel_values.shape[-3] != channels:
        raise ValueError(
            f"The pictures have {pixel_values.shape[-3]} channels, but the vision tower reads {channels}: give "
            "(items, pictures, channels, height, width), as the processor does."
        )
    size = picture_size(tower.config)
    if size is None or tuple(pixel_values.shape[-2:]) == size:
        return
    height, width = size
    found = " x ".join(map(str, pixel_values.shape[-2:]))
    raise ValueError(
        f"The pictures are {found} pixels, but the vision tower reads {height} x {width}: let the processor "
        f'resize them (do_resize=True, size={{"height": {height}, "width": {width}}}).'
    )


def _chosen_states(tower: PreTrainedModel, outputs: dict, feature_layer: int | None) -> torch.Tensor:
    """The last states, or those of a layer; backbones give maps instead."""
    if feature_layer is None:
        last = outputs.get("last_hidden_state")
        return outputs["feature_maps"][-1] if last is None else last
    layers = outputs.get("hidden_states") or ()
    if not -len(layers) <= feature_layer < len(layers):
        raise ValueError(
            f"vision_feature_layer={feature_layer} is none of the {len(layers)} hidden states of "
            f"{type(tower).__name__}: choose {-len(layers)} to {len(layers) - 1}, or None for the last state."
        )
    return layers[feature_layer]


def _vectors(tower: PreTrainedModel, states: torch.Tensor, pool_size: int) -> torch.Tensor:
    """States as (pictures, vectors, width); maps are (pictures, width, rows, columns)."""
    if states.ndim == 4:
        if pool_size > 1:
            states = nn.functional.avg_pool2d(states, pool_size, ceil_mode=True, count_include_pad=False)
        return states.flatten(2).transpose(1, 2)
    if pool_size > 1:
        raise ValueError(
            f"vision_pool_size={pool_size} pools a map, but {type(tower).__name__} gives {states.shape[1]} vectors in "
            "a row: set it to 1."
        )
    return states


__all__ = ["build_vision_tower", "picture_shape", "picture_size", "picture_states", "picture_width", "vision_class"]
