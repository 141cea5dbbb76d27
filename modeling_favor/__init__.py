# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR's model: configuration, connector, full model, pipeline.

Importing this package makes transformers' auto classes use it for model folders of type `favor`, instead of the code
that such a folder holds; models saved from here carry their code along.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
)

from .causal_qformer_favor import FavorCausalQFormer
from .configuration_favor import FavorCausalQFormerConfig, FavorConfig, FavorProjectorConfig
from .connector_favor import FavorConnector
from .media_stream_favor import FavorMediaStream
from .modeling_favor import FavorForConditionalGeneration, FavorModel
from .pipeline_favor import VideoTextToTextPipeline
from .projector_favor import FavorProjector

AutoConfig.register(FavorConfig.model_type, FavorConfig)
for _auto_model in (AutoModel, AutoModelForMultimodalLM, AutoModelForImageTextToText, AutoModelForCausalLM):
    _auto_model.register(FavorConfig, FavorForConditionalGeneration)
FavorConfig.register_for_auto_class()
FavorForConditionalGeneration.register_for_auto_class("AutoModel")

__all__ = [
    "FavorCausalQFormer",
    "FavorCausalQFormerConfig",
    "FavorConfig",
    "FavorConnector",
    "FavorForConditionalGeneration",
    "FavorMediaStream",
    "FavorModel",
    "FavorProjector",
    "FavorProjectorConfig",
    "VideoTextToTextPipeline",
]
