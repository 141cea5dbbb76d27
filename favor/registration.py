# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Makes the auto classes of processors, and `pipeline()`, use this package's; modeling_favor does so for models."""

from functools import cache

from transformers import AutoModelForMultimodalLM, AutoProcessor
from transformers.models.auto.video_processing_auto import (
    AutoVideoProcessor,
)  # transformers' own name needs torchvision
from transformers.pipelines import PIPELINE_REGISTRY

from modeling_favor import FavorConfig, VideoTextToTextPipeline
from processing import FavorProcessor, FavorVideoProcessor


@cache
def register() -> None:
    """Registers the processors and the task `video-text-to-text`; later calls do nothing."""
    AutoProcessor.register(FavorConfig, FavorProcessor)
    AutoVideoProcessor.register(FavorConfig, FavorVideoProcessor)
    PIPELINE_REGISTRY.register_pipeline(
        "video-text-to-text",
        pipeline_class=VideoTextToTextPipeline,
        pt_model=AutoModelForMultimodalLM,
        type="multimodal",
    )
