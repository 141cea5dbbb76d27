# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media files to model inputs: decoding on one clock, picture preparation, prompts and placeholders."""

from .media_favor import MediaClip, load_media
from .processing_favor import FavorProcessor, MediaSummary
from .video_processing_favor import FavorVideoProcessor

FavorProcessor.register_for_auto_class()  # a processor that is saved brings its code along

__all__ = ["FavorProcessor", "FavorVideoProcessor", "MediaClip", "MediaSummary", "load_media"]
