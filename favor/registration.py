# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Makes `AutoProcessor` and `pipeline()` use this package's classes, as importing modeling_favor does for models."""

from functools import cache

from transformers import AutoModelForMultimodalLM, AutoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from favor.modeling_favor import FavorConfig, VideoTextToTextPipeline
from favor.processing import FavorProcessor


@cache
def register() -> None:
    """Registers the processor and the task `video-text-to-text`; later calls do nothing."""
    AutoProcessor.register(FavorConfig, FavorProcessor)
    PIPELINE_REGISTRY.register_pipeline(
        "video-text-to-text",
        pipeline_class=VideoTextToTextPipeline,
        pt_model=AutoModelForMultimodalLM,
        type="multimodal",
    )
