# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tokens of items of which only the sizes are known, as servers ask before they read any media."""

from collections.abc import Sequence
from typing import Any

from transformers.processing_utils import MultiModalData

from .log_mel_favor import chunk_frames


def count_by_size(
    processor: Any,
    image_sizes: Sequence[tuple[int, int]] | None,
    video_sizes: Sequence[tuple[int, int, int]] | None,
    audio_lengths: Sequence[int] | None,
) -> MultiModalData:
    """Language model tokens of silent images, of silent videos and of sounds; what is None is not counted.

    Args:
        processor: a `FavorProcessor`.
        image_sizes: (height, width) of each image; every size has as many tokens.
        video_sizes: (pictures, height, width) of each video, its pictures at the processor's `frame_rate`.
        audio_lengths: samples of each sound, at the feature extractor's rate.
    """
    images = None if image_sizes is None else [processor.query_token_count(1, 0)] * len(image_sizes)
    return MultiModalData(
        num_image_tokens=images,
        num_image_patches=None if images is None else [1] * len(images),  # pictures are not cut into tiles
        num_video_tokens=None
        if video_sizes is None
        else [processor.query_token_count(pictures, 0) for pictures, _, _ in video_sizes],
        num_audio_tokens=None
        if audio_lengths is None
        else [processor.query_token_count(0, _audio_vectors(samples, processor)) for samples in audio_lengths],
    )


def _audio_vectors(samples: int, processor: Any) -> int:
    """Audio encoder outputs of a sound."""
    return sum(map(processor.audio_vector_count, chunk_frames(samples, processor.feature_extractor)))


__all__ = ["count_by_size"]
