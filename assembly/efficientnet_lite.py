# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads an EfficientNet-Lite from the .pth of its PyTorch port into a model folder of transformers.

Lite is EfficientNet without squeeze-and-excitation and with relu6: transformers' class computes it with these modules'
weights set to pass their input on.
"""

import math
from pathlib import Path

import torch
from transformers import EfficientNetConfig, EfficientNetForImageClassification, EfficientNetImageProcessor

# What all sizes of Lite share and no tensor tells: strides of the stages.
STRIDES = (1, 2, 2, 2, 1, 2, 1)
PIXEL_MEAN, PIXEL_STD = 127 / 255, 128 / 255  # the port's (pixel - 127) / 128, of pixels in 0 to 1
OPEN_GATE = 30.0  # sigmoid(30) is 1 in float32, float16 and bfloat16
# Modules of a block in the port's names, with those of transformers.
BLOCK_MODULES = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}
OTHER_MODULES = {
    "_conv_stem": "efficientnet.embeddings.convolution",
    "_bn0": "efficientnet.embeddings.batchnorm",
    "_conv_head": "efficientnet.encoder.top_conv",
    "_bn1": "efficientnet.encoder.top_bn",
    "_fc": "classifier",
}


def lite_config(state: dict[str, torch.Tensor], image_size: int) -> EfficientNetConfig:
    """The configuration by the shapes of the port's tensors, for pictures of `image_size` pixels.

    The padding of TensorFlow depends on a map's size: it is even on both sides where a stride halves an odd one.

    Raises `ValueError` for another number of stages, and an odd `image_size`.
    """
    if image_size % 2:  # transformers pads the first map as that of an even picture
        raise ValueError(f"image_size={image_size} is odd: an EfficientNet of transformers reads even pictures.")
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("_blocks."))
    depthwise = [state[f"_blocks.{block}._depthwise_conv.weight"].shape for block in range(blocks)]
    inner = [shape[0] for shape in depthwise]
    outs = [state[f"_blocks.{block}._project_conv.weight"].shape[0] for block in range(blocks)]
    ins = [state["_conv_stem.weight"].shape[0], *outs[:-1]]
    firsts = [block for block in range(blocks) if ins[block] != outs[block]]  # a stage begins with another width
    if len(firsts) != len(STRIDES):
        raise ValueError(f"The .pth has {len(firsts)} stages; an EfficientNet-Lite has {len(STRIDES)}.")
    size, square = math.ceil(image_size / 2), []
    for first, stride in zip(firsts, STRIDES, strict=True):
        if stride == 2 and size % 2:
            square.append(first)
        size = math.ceil(size / stride)
    return EfficientNetConfig(
        image_size=image_size,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        kernel_sizes=[depthwise[first][-1] for first in firsts],
        in_channels=[ins[first] for first in firsts],
        out_channels=[outs[first] for first in firsts],
        depthwise_padding=square,
        strides=list(STRIDES),
        num_block_repeats=[end - first for first, end in zip(firsts, [*firsts[1:], blocks], strict=True)],
        expand_ratios=[inner[first] // ins[first] for first in firsts],
        squeeze_expansion_ratio=0.0,  # one channel, the fewest there are
        hidden_act="relu6",
        hidden_dim=state["_conv_head.weight"].shape[0],
        num_labels=state["_fc.weight"].shape[0],
        dtype=state["_conv_stem.weight"].dtype,
    )


def lite_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The port's tensors by the names of `EfficientNetForImageClassification`, without squeeze-and-excitation's.

    Raises `ValueError` for a tensor that has no place there.
    """
    renamed = {}
    for name, tensor in state.items():
        module, _, parameter = name.rpartition(".")
        if module.startswith("_blocks."):
            _, block, inner = module.split(".")
            target = BLOCK_MODULES.get(inner)
            target = target and f"efficientnet.encoder.blocks.{block}.{target}"
        else:
            target = OTHER_MODULES.get(module)
        if target is None:
            raise ValueError(f"The .pth holds {name}, which has no place in an EfficientNet-Lite.")
        renamed[f"{target}.{parameter}"] = tensor
    return renamed


def write_efficientnet_lite(weights: Path, image_size: int, out_dir: Path) -> None:
    """Writes a folder of transformers, `EfficientNetForImageClassification` with ImageNet's head.

    Args:
        weights: the .pth, of which nothing but tensors is unpickled.
        image_size: of the pictures, in pixels.
        out_dir: a folder that is there.

    Raises `ValueError` for a file that is not what its name says, or lacks a tensor.
    """
    published = torch.load(weights, map_location="cpu", weights_only=True)
    model = EfficientNetForImageClassification(lite_config(published, image_size))
    state = lite_state(published)
    for name, parameter in model.state_dict().items():
        if ".squeeze_excite." in name:
            gate = OPEN_GATE if name.endswith("expand.bias") else 0.0
            state[name] = torch.full_like(parameter, gate)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{weights.name} holds no whole EfficientNet-Lite: {error}") from error
    model.save_pretrained(out_dir)
    EfficientNetImageProcessor(
        size={"height": image_size, "width": image_size},
        image_mean=[PIXEL_MEAN] * 3,
        image_std=[PIXEL_STD] * 3,
        rescale_factor=1 / 255,
        rescale_offset=False,
        include_top=False,  # which would normalise once more
        do_center_crop=False,
    ).save_pretrained(out_dir)


__all__ = ["lite_config", "lite_state", "write_efficientnet_lite"]
