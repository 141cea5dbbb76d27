# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Making a FAVOR model of parts: public checkpoints, presets of the paper's systems, released FAVOR weights."""

from .model_parts import AssemblyReport, ModelAssembly, assemble_model
from .presets import preset_config, preset_names, preset_processor, preset_values
from .processor_parts import assemble_processor
from .released_weights import ReleasedWeights, read_released

__all__ = [
    "AssemblyReport",
    "ModelAssembly",
    "ReleasedWeights",
    "assemble_model",
    "assemble_processor",
    "preset_config",
    "preset_names",
    "preset_processor",
    "preset_values",
    "read_released",
]
