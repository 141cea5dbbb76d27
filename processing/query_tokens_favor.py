# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How many tokens of the language model stand for an item: the model's arithmetic, once more (docs/architecture.md).

The model counts by itself and compares: an entry of `CONNECTORS` and the model's connector of that name must change
together.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import torch

MODALITIES = ("audio_visual", "audio", "visual")
VISUAL_POOLINGS = ("space_and_time", "space", "time")

MelFrames = TypeVar("MelFrames", int, torch.Tensor)


def audio_vectors(mel_frames: MelFrames, stride: int) -> MelFrames:
    """Outputs of the audio encoder for one chunk with so many real mel frames, one for every `stride` of them."""
    return (mel_frames - 1) // stride + 1  # 0 of 0 frames: both kinds of numbers round down


class ConnectorTokens:
    """What the processor knows of one kind of connector. A new kind is a subclass, and an entry of `CONNECTORS`.

    `values` are the processor's fields, and what its `connector_values` hold.
    """

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises `ValueError` unless a model can have these values."""

    def tokens(self, values: Mapping[str, Any], visual_frames: int, audio_vectors: int, vectors_per_frame: int) -> int:
        """Tokens of one item.

        Args:
            values: see above.
            visual_frames: time steps that show a picture.
            audio_vectors: audio encoder outputs, summed over chunks.
            vectors_per_frame: audio encoder outputs per time step.
        """
        raise NotImplementedError

    def follows_clock(self, values: Mapping[str, Any]) -> bool:
        """Whether the model cuts time into steps of 1 / frame_rate seconds, so that no call may choose others."""
        return False

    def shares_steps(self, values: Mapping[str, Any]) -> bool:
        """Whether picture and sound share these steps: pictures then follow the clock, as the sound does."""
        return False

    def window_steps(self, values: Mapping[str, Any]) -> int | None:
        """Time steps of a window; None without windows."""
        return None


class CausalQFormerTokens(ConnectorTokens):
    """`num_query_tokens` for each window of `window_frames` time steps."""

    def check(self, values: Mapping[str, Any]) -> None:
        check_positive(values, "num_query_tokens")
        check_positive(values, "window_frames", optional=True)

    def tokens(self, values: Mapping[str, Any], visual_frames: int, audio_vectors: int, vectors_per_frame: int) -> int:
        audio_frames = math.ceil(audio_vectors / vectors_per_frame)
        together = self.shares_steps(values)
        streams = [max(visual_frames, audio_frames)] if together else [visual_frames, audio_frames]
        length = values["window_frames"]
        windows = [min(frames, 1) if length is None else math.ceil(frames / length) for frames in streams]
        return values["num_query_tokens"] * sum(windows)

    def follows_clock(self, values: Mapping[str, Any]) -> bool:
        return True

    def shares_steps(self, values: Mapping[str, Any]) -> bool:
        return values["synchronize"]

    def window_steps(self, values: Mapping[str, Any]) -> int | None:
        return values["window_frames"]


class ProjectorTokens(ConnectorTokens):
    """One for `audio_pool_size` audio encoder outputs, one per frame and one per patch of the frames."""

    def check(self, values: Mapping[str, Any]) -> None:
        check_choice(values, "visual_pooling", VISUAL_POOLINGS)
        check_positive(values, "audio_pool_size")
        check_positive(values, "visual_vectors_per_frame", optional=True)
        if values["visual_pooling"] != "space" and values["visual_vectors_per_frame"] is None:
            raise ValueError(
                "connector='projector' averages every patch over time, but visual_vectors_per_frame is None: give the "
                "number of vectors that the vision tower makes of a picture, the model config's "
                "num_visual_query_tokens."
            )

    def tokens(self, values: Mapping[str, Any], visual_frames: int, audio_vectors: int, vectors_per_frame: int) -> int:
        tokens = 0
        if values["modalities"] != "visual":
            tokens += math.ceil(audio_vectors / values["audio_pool_size"])
        if values["modalities"] != "audio" and visual_frames:
            tokens += visual_frames if values["visual_pooling"] != "time" else 0
            tokens += (values["visual_vectors_per_frame"] or 0) if values["visual_pooling"] != "space" else 0
        return tokens


# By the processor's `connector`: the `model_type` of the model's connector config without "favor_".
CONNECTORS: dict[str, ConnectorTokens] = {
    "causal_qformer": CausalQFormerTokens(),
    "projector": ProjectorTokens(),
}


def connector_tokens(values: Mapping[str, Any]) -> ConnectorTokens:
    """The entry of a processor's connector; raises `ValueError` for a kind that is unknown."""
    check_choice(values, "connector", tuple(CONNECTORS))
    return CONNECTORS[values["connector"]]


def check_connector_values(values: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless the processor's connector values are ones that a model can have."""
    kind = connector_tokens(values)
    check_choice(values, "modalities", MODALITIES)
    check_positive(values, "audio_stride")
    kind.check(values)


def check_choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    """Raises `ValueError` unless the value is one of these."""
    if values[name] not in choices:
        raise ValueError(f"{name}={values[name]!r} is none of {', '.join(choices)}.")


def check_positive(values: Mapping[str, Any], name: str, optional: bool = False) -> None:
    """Raises `ValueError` unless the value is at least 1, or None if that may be."""
    value = values.get(name)
    if value is None and optional:
        return
    if value is None or value < 1:
        raise ValueError(f"{name}={value} must be positive{', or None' if optional else ''}.")


def audio_vectors_per_frame(encoder_rate: float, frame_rate: float) -> int:
    """Audio encoder outputs per time step, at `encoder_rate` outputs and `frame_rate` steps per second.

    Raises `ValueError` if it is not a whole number.
    """
    if frame_rate <= 0 or encoder_rate % frame_rate != 0:
        raise ValueError(
            f"The audio encoder's {encoder_rate:g} Hz are not a whole multiple of frame_rate {frame_rate:g} Hz. "
            "Choose another frame_rate (or fps), for example 1, 2 or 5."
        )
    return int(encoder_rate / frame_rate)


def item_tokens(values: Mapping[str, Any], visual_frames: int, audio_vectors: int, vectors_per_frame: int) -> int:
    """Tokens of one item, see [`ConnectorTokens.tokens`]; `values` are the processor's fields."""
    return connector_tokens(values).tokens(values, visual_frames, audio_vectors, vectors_per_frame)


__all__ = ["audio_vectors", "audio_vectors_per_frame", "check_connector_values", "connector_tokens", "item_tokens"]
