# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What every connector takes and returns: two streams with the lengths of each item, and embeddings with theirs.

Axes: B items, T synchronised frames, p vectors per frame, S audio vectors, W windows, N queries, d query width, L LLM
width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

# The axes of the media tensors, in one or several forms.
MEDIA_AXES = {
    "pixel_values_videos": (("items", "pictures", "3", "height", "width"),),
    "video_frame_indices": (("items", "frames"),),
    "input_features": (("items", "chunks", "mel bins", "mel frames"), ("items", "mel bins", "mel frames")),
    "input_features_mask": (("items", "chunks", "mel frames"), ("items", "mel frames")),
    "qformer_input_ids": (("items", "tokens"),),
    "qformer_attention_mask": (("items", "tokens"),),
}


@dataclass
class FavorConnectorOutput(ModelOutput):
    """
    What a connector returns; rows of items with fewer tokens than the longest are zero beyond their own.

    Attributes:
        embeddings: (B, tokens, L) in the language model's width; of [`FavorConnector`] W * N tokens.
        window_diversity: (windows,) what `diversity_loss` is made of, window by window, item after item.
        num_tokens: (B,) int64, real rows of each item's `embeddings`.
        query_states: (B, W, N, d) outputs of the causal Q-Former.
        diversity_loss: scalar.
        num_windows: (B,) int64, windows of each item.

    [`FavorProjector`] has no queries: its others are None.
    """

    query_states: torch.FloatTensor | None = None
    embeddings: torch.FloatTensor | None = None
    diversity_loss: torch.FloatTensor | None = None
    num_windows: torch.LongTensor | None = None
    num_tokens: torch.LongTensor | None = None
    window_diversity: torch.FloatTensor | None = None


def check_streams(
    config: PreTrainedConfig,
    visual: torch.Tensor | None,
    audio: torch.Tensor | None,
    num_visual_frames: torch.Tensor | None,
    num_audio_vectors: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fills a missing stream with one of length zero and missing counts with the full lengths.

    Raises `ValueError` if both streams are missing or a picture has another number of vectors than `config` says.
    """
    given = audio if visual is None else visual
    if given is None:
        raise ValueError("The connector got neither `visual` nor `audio`: give at least one stream.")
    if visual is None:
        visual = given.new_zeros(len(given), 0, config.visual_vectors_per_frame, config.visual_hidden_size)
    if audio is None:
        audio = given.new_zeros(len(given), 0, config.audio_hidden_size)
    if visual.shape[2] != config.visual_vectors_per_frame:
        raise ValueError(
            f"`visual` has {visual.shape[2]} vectors per frame, the config's visual_vectors_per_frame is "
            f"{config.visual_vectors_per_frame}: set num_visual_query_tokens to what the vision tower gives."
        )
    full_visual, full_audio = (
        torch.full((len(stream),), stream.shape[1], dtype=torch.long, device=stream.device)
        for stream in (visual, audio)
    )
    return (
        visual,
        audio,
        full_visual if num_visual_frames is None else torch.minimum(num_visual_frames.to(full_visual), full_visual),
        full_audio if num_audio_vectors is None else torch.minimum(num_audio_vectors.to(full_audio), full_audio),
    )


def check_media_rows(
    pixel_values_videos: torch.Tensor | None,
    video_frame_indices: torch.Tensor | None,
    input_features: torch.Tensor | None,
    input_features_mask: torch.Tensor | None,
    qformer_input_ids: torch.Tensor | None,
    qformer_attention_mask: torch.Tensor | None,
) -> None:
    """Raises `ValueError` unless the media tensors of a call (see `FavorModel.encode_media`) are of the same items."""
    given = {
        "pixel_values_videos": pixel_values_videos,
        "video_frame_indices": video_frame_indices,
        "input_features": input_features,
        "input_features_mask": input_features_mask,
        "qformer_input_ids": qformer_input_ids,
        "qformer_attention_mask": qformer_attention_mask,
    }
    for name, axes in MEDIA_AXES.items():
        tensor = given[name]
        if tensor is not None and tensor.ndim not in {len(names) for names in axes}:
            wanted = " or ".join(f"({', '.join(names)})" for names in axes)
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, {tensor.ndim} axes; give {wanted}.")
    for name, other in (("input_features_mask", "input_features"), ("qformer_attention_mask", "qformer_input_ids")):
        if given[name] is not None and given[other] is None:
            raise ValueError(f"{name} is given without {other}, to which it belongs. Give both, or neither.")
    rows = {name: len(tensor) for name, tensor in given.items() if tensor is not None}
    for name, number in rows.items():
        first = next(iter(rows))
        if number != rows[first]:
            raise ValueError(
                f"{first} has {rows[first]} items, but {name} has {number}. Row i of every media tensor is item i: "
                "give the processor's output unchanged."
            )
    if input_features is not None and input_features_mask is not None:
        chunks = (*input_features.shape[:-2], input_features.shape[-1])  # without the mel bins
        _check_shape("input_features_mask", input_features_mask, chunks, "input_features")
    if qformer_input_ids is not None and qformer_attention_mask is not None:
        _check_shape("qformer_attention_mask", qformer_attention_mask, qformer_input_ids.shape, "qformer_input_ids")
    if video_frame_indices is not None:
        _check_frame_indices(video_frame_indices, pixel_values_videos)


def _check_shape(name: str, tensor: torch.Tensor, shape: Sequence[int], other: str) -> None:
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(
            f"{name} has the shape {tuple(tensor.shape)}, but {other} asks for {tuple(shape)}. Give the processor's "
            "output unchanged."
        )


def _check_frame_indices(video_frame_indices: torch.Tensor, pixel_values_videos: torch.Tensor | None) -> None:
    if pixel_values_videos is None:
        raise ValueError("video_frame_indices is given without pixel_values_videos, whose pictures it names.")
    if video_frame_indices.is_floating_point():
        raise ValueError(f"video_frame_indices must be whole numbers, but its dtype is {video_frame_indices.dtype}.")
    if not video_frame_indices.numel():
        return
    shown = video_frame_indices >= 0
    gaps = (shown[:, 1:] & ~shown[:, :-1]).sum()
    # Fetched at once: the device is waited for once.
    lowest, highest, holes = torch.stack([video_frame_indices.min(), video_frame_indices.max(), gaps]).tolist()
    pictures = pixel_values_videos.shape[1]
    if lowest < -1:
        raise ValueError(f"video_frame_indices names picture {lowest}; -1 is no picture, and the first one is 0.")
    if highest >= pictures:
        raise ValueError(
            f"video_frame_indices names picture {highest}, but pixel_values_videos has {pictures} an item, 0 to "
            f"{pictures - 1}. Give the processor's output unchanged."
        )
    if holes:
        raise ValueError(
            f"video_frame_indices has {holes} pictures that follow a -1 (no picture), but only the frames after an "
            "item's last may have none. Repeat the number of the picture before."
        )


def length_mask(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(B,) lengths to (B, longest) booleans, True before each length."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def zero_padded(tensor: torch.Tensor, *pad: int) -> torch.Tensor:
    """As torch's `pad` with zeros, which copies even where there is nothing to add."""
    return torch.nn.functional.pad(tensor, pad) if any(pad) else tensor


__all__ = ["FavorConnectorOutput", "check_media_rows", "check_streams", "length_mask", "zero_padded"]
