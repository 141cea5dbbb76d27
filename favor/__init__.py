# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR, an audio-visual large language model on transformers: the names that users import.

A name is imported when it is first used: `import favor` alone brings in neither torch nor transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .extras import extra_of
from .third_party_noise import silence_imports

__version__ = "0.1.0"

if TYPE_CHECKING:  # what type checkers and editors read; `_ROOM_OF` is what runs
    from .assembly import assemble_model
    from .hub_upload import export_model
    from .model_loading import bundled_model_path, load_pipeline
    from .modeling_favor import (
        FavorCausalQFormerConfig,
        FavorConfig,
        FavorConnector,
        FavorForConditionalGeneration,
        FavorMediaStream,
        FavorModel,
        FavorProjectorConfig,
        VideoTextToTextPipeline,
    )
    from .processing import (
        FavorProcessor,
        FavorVideoProcessor,
        MediaClip,
        MediaError,
        MediaLimits,
        iterate_media,
        load_media,
    )
    from .trainers import (
        FavorDataCollator,
        FavorDPOConfig,
        FavorDPOTrainer,
        FavorGRPOConfig,
        FavorGRPOTrainer,
        FavorSFTConfig,
        FavorSFTTrainer,
        load_manifest,
        lora_config,
    )

silence_imports()

_NAMES_OF = {
    "assembly": ("assemble_model",),
    "hub_upload": ("export_model",),
    "model_loading": ("bundled_model_path", "load_pipeline"),
    "modeling_favor": (
        "FavorCausalQFormerConfig",
        "FavorConfig",
        "FavorConnector",
        "FavorForConditionalGeneration",
        "FavorMediaStream",
        "FavorModel",
        "FavorProjectorConfig",
        "VideoTextToTextPipeline",
    ),
    "processing": (
        "FavorProcessor",
        "FavorVideoProcessor",
        "MediaClip",
        "MediaError",
        "MediaLimits",
        "iterate_media",
        "load_media",
    ),
    "trainers": (
        "FavorDPOConfig",
        "FavorDPOTrainer",
        "FavorDataCollator",
        "FavorGRPOConfig",
        "FavorGRPOTrainer",
        "FavorSFTConfig",
        "FavorSFTTrainer",
        "load_manifest",
        "lora_config",
    ),
}
_ROOM_OF = {name: room for room, names in _NAMES_OF.items() for name in names}

__all__ = [
    "FavorCausalQFormerConfig",
    "FavorConfig",
    "FavorConnector",
    "FavorDPOConfig",
    "FavorDPOTrainer",
    "FavorDataCollator",
    "FavorForConditionalGeneration",
    "FavorGRPOConfig",
    "FavorGRPOTrainer",
    "FavorMediaStream",
    "FavorModel",
    "FavorProcessor",
    "FavorProjectorConfig",
    "FavorSFTConfig",
    "FavorSFTTrainer",
    "FavorVideoProcessor",
    "MediaClip",
    "MediaError",
    "MediaLimits",
    "VideoTextToTextPipeline",
    "assemble_model",
    "bundled_model_path",
    "export_model",
    "iterate_media",
    "load_manifest",
    "load_media",
    "load_pipeline",
    "lora_config",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'favor' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f".{_ROOM_OF[name]}", __name__), name)
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        message = f"favor.{name} needs the package {error.name}, which is not installed: pip install 'favor[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
