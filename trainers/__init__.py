# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Training FAVOR with TRL: trainer, configuration, collator, manifests and recipes."""

from .favor_data_collator import FavorDataCollator
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer, lora_config
from .manifest import load_manifest

__all__ = ["FavorDataCollator", "FavorSFTConfig", "FavorSFTTrainer", "load_manifest", "lora_config"]
