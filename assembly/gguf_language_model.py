# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a language model and its tokenizer from a GGUF file, dequantised, into a model folder of transformers."""

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig


def write_language_model(gguf: Path, dtype: torch.dtype, out_dir: Path) -> None:
    """Writes a folder of transformers: weights, config, tokenizer and chat template.

    Args:
        gguf: the file; quantised weights keep the precision that they have there.
        dtype: of the weights that are written; the published model's is a good choice.
        out_dir: a folder that is there.

    Raises `ValueError` without the `gguf` package, by which transformers reads such files.
    """
    if find_spec("gguf") is None:
        raise ValueError("A GGUF file is read by transformers with the package gguf: pip install gguf.")
    folder, name = str(gguf.parent), gguf.name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=dtype)
    # What is in memory is no longer quantised; with these, save_pretrained would refuse, and loading expect GGUF.
    model.hf_quantizer = None
    del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model.generation_config = GenerationConfig.from_model_config(model.config)
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)


__all__ = ["write_language_model"]
