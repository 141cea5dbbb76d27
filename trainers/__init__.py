# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Training FAVOR with TRL: trainer, configuration, collator, training data and recipes."""

from .data_mixture import load_training_data
from .favor_data_collator import FavorDataCollator
from .favor_dpo_config import FavorDPOConfig
from .favor_dpo_trainer import FavorDPOTrainer, FavorPreferenceCollator
from .favor_grpo_config import FavorGRPOConfig
from .favor_grpo_trainer import FavorGRPOTrainer
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer, lora_config
from .manifest import load_manifest
from .prompt_media import encode_prompts
from .sample_length import add_length_column

__all__ = [
    "FavorDPOConfig",
    "FavorDPOTrainer",
    "FavorDataCollator",
    "FavorGRPOConfig",
    "FavorGRPOTrainer",
    "FavorPreferenceCollator",
    "FavorSFTConfig",
    "FavorSFTTrainer",
    "add_length_column",
    "encode_prompts",
    "load_manifest",
    "load_training_data",
    "lora_config",
]
