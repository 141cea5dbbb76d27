# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The encoders around the connector, by one name: vision tower, visual Q-Former, audio tower, and passes of them."""

from .audio_towers_favor import AUDIO_ENCODERS, audio_encoder, audio_vectors, build_audio_tower, check_chunks
from .encoder_passes_favor import CHUNKS_A_PASS, PICTURES_A_PASS, in_passes
from .vision_towers_favor import (
    VISION_TOWERS,
    build_vision_tower,
    picture_shape,
    picture_size,
    picture_states,
    picture_width,
    vision_class,
)
from .visual_qformer_favor import FavorVisualQFormer

__all__ = [
    "AUDIO_ENCODERS",
    "CHUNKS_A_PASS",
    "PICTURES_A_PASS",
    "VISION_TOWERS",
    "FavorVisualQFormer",
    "audio_encoder",
    "audio_vectors",
    "build_audio_tower",
    "build_vision_tower",
    "check_chunks",
    "in_passes",
    "picture_shape",
    "picture_size",
    "picture_states",
    "picture_width",
    "vision_class",
]
