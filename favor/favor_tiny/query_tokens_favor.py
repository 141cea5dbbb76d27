# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How many tokens of the language model stand for an item: the model's arithmetic, once more (docs/architecture.md).

The model counts by itself and compares: these functions and its connectors must change together.
"""

import math
from collections.abc import Mapping
from typing import Any

CHOICES = {
    "connector": ("causal_qformer", "projector"),
    "modalities": ("audio_visual", "audio", "visual"),
    "visual_pooling": ("space_and_time", "space", "time"),
}


def check_connector_values(values: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless the processor's connector values are ones that a model can have."""
    for name, choices in CHOICES.items():
        if values[name] not in choices:
            raise ValueError(f"{name}={values[name]!r} is none of {', '.join(choices)}.")
    for name in ("num_query_tokens", "window_frames", "audio_pool_size", "visual_vectors_per_frame"):
        value = values[name]
        optional = name in ("window_frames", "visual_vectors_per_frame")
        if value is None and optional:
            continue
        if value is None or value < 1:
            raise ValueError(f"{name}={value} must be positive{', or None' if optional else ''}.")
    needs_patches = values["connector"] == "projector" and values["visual_pooling"] != "space"
    if needs_patches and values["visual_vectors_per_frame"] is None:
        raise ValueError(
            "connector='projector' averages every patch over time, but visual_vectors_per_frame is None: give the "
            "number of vectors that the vision tower makes of a picture, the model config's num_visual_query_tokens."
        )


def audio_vectors_per_frame(encoder_rate: float, frame_rate: float) -> int:
    """Audio encoder outputs a time step, at `encoder_rate` outputs and `frame_rate` steps a second.

    Raises `ValueError` if it is not a whole number.
    """
    if frame_rate <= 0 or encoder_rate % frame_rate != 0:
        raise ValueError(
            f"The audio encoder's {encoder_rate:g} Hz are not a whole multiple of frame_rate {frame_rate:g} Hz. "
            "Choose another frame_rate (or fps), for example 1, 2 or 5."
        )
    return int(encoder_rate / frame_rate)


def item_tokens(values: Mapping[str, Any], visual_frames: int, audio_vectors: int, vectors_per_frame: int) -> int:
    """Tokens of one item.

    Args:
        values: the processor's fields.
        visual_frames: time steps that show a picture.
        audio_vectors: audio encoder outputs, summed over chunks.
        vectors_per_frame: audio encoder outputs a time step.
    """
    if values["connector"] == "projector":
        return projector_tokens(
            visual_frames,
            audio_vectors,
            modalities=values["modalities"],
            visual_vectors_per_frame=values["visual_vectors_per_frame"],
            visual_pooling=values["visual_pooling"],
            audio_pool_size=values["audio_pool_size"],
        )
    return causal_qformer_tokens(
        visual_frames,
        math.ceil(audio_vectors / vectors_per_frame),
        num_query_tokens=values["num_query_tokens"],
        window_frames=values["window_frames"],
        synchronize=values["synchronize"],
    )


def causal_qformer_tokens(
    visual_frames: int, audio_frames: int, num_query_tokens: int, window_frames: int | None, synchronize: bool
) -> int:
    """Query tokens of the windows that an item's `visual_frames` and `audio_frames` time steps fill."""
    streams = [max(visual_frames, audio_frames)] if synchronize else [visual_frames, audio_frames]
    windows = [min(frames, 1) if window_frames is None else math.ceil(frames / window_frames) for frames in streams]
    return num_query_tokens * sum(windows)


def projector_tokens(
    visual_frames: int,
    audio_vectors: int,
    modalities: str,
    visual_vectors_per_frame: int | None,
    visual_pooling: str,
    audio_pool_size: int,
) -> int:
    """One token for `audio_pool_size` audio encoder outputs, one a frame and one a patch of the frames."""
    tokens = 0
    if modalities != "visual":
        tokens += math.ceil(audio_vectors / audio_pool_size)
    if modalities != "audio" and visual_frames:
        tokens += visual_frames if visual_pooling != "time" else 0
        tokens += (visual_vectors_per_frame or 0) if visual_pooling != "space" else 0
    return tokens


__all__ = ["audio_vectors_per_frame", "check_connector_values", "item_tokens"]
