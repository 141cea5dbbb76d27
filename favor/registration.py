# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Makes transformers' processor classes use ours, as importing modeling_favor does for models and `pipeline()`."""

from functools import cache

from transformers import AutoProcessor
from transformers.models.auto.video_processing_auto import (
    AutoVideoProcessor,
)  # transformers' own name needs torchvision

from favor.modeling_favor import FavorConfig
from favor.processing import FavorProcessor, FavorVideoProcessor


@cache
def register() -> None:
    """Registers the processors; later calls do nothing."""
    AutoProcessor.register(FavorConfig, FavorProcessor)
    AutoVideoProcessor.register(FavorConfig, FavorVideoProcessor)
