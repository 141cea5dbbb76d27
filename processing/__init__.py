# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media files to model inputs: decoding on one clock, picture preparation, prompts and placeholders."""

from .media_favor import MediaClip, iterate_media, load_media, media_kind
from .media_limits_favor import DamagedMediaError, MediaError, MediaLimitError, MediaLimits
from .processing_favor import FavorProcessor, MediaSummary
from .video_processing_favor import FavorVideoProcessor

FavorProcessor.register_for_auto_class()  # a processor that is saved brings its code along

__all__ = [
    "DamagedMediaError",
    "FavorProcessor",
    "FavorVideoProcessor",
    "MediaClip",
    "MediaError",
    "MediaLimitError",
    "MediaLimits",
    "MediaSummary",
    "iterate_media",
    "load_media",
    "media_kind",
]
