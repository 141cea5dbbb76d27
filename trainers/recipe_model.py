# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Loads the trained model that a recipe begins with, with what the recipe changes in its config and draws anew."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from transformers import AutoModel, BitsAndBytesConfig, PreTrainedConfig

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration
from favor.modeling_favor.connectors_favor import build_connector
from favor.modeling_favor.language_head_favor import build_language_head
from favor.modeling_favor.towers_favor import audio_encoder
from favor.processing import FavorProcessor
from favor.processing.log_mel_favor import with_chunks_of

from .recipe_sections import FRESH_PARTS


def load_model(
    name_or_path: str,
    changes: Mapping[str, object] | None = None,
    fresh_parts: Sequence[str] = (),
    seed: int = 0,
    quantization: Mapping[str, object] | None = None,
    attn_implementation: str | None = None,
) -> tuple[FavorForConditionalGeneration, FavorProcessor]:
    """A trained model and its processor, from a folder or the Hub, with some values of its config changed.

    Args:
        fresh_parts: "connector" and "language_model" begin from random weights, drawn with `seed`.
        quantization: arguments of `BitsAndBytesConfig`, with which the language model is loaded.
        attn_implementation: of all parts; None: as transformers chooses.

    Raises `ValueError` for a value that the config does not have, and for one that does not fit the trained weights.
    """
    processor = FavorProcessor.from_pretrained(name_or_path)
    config = FavorConfig.from_pretrained(name_or_path)
    if changes:
        change_config(config, changes)
        config = FavorConfig(**config.to_dict())  # checks the values against each other
        for name, value in config.processor_values().items():
            setattr(processor, name, value)
    other_chunks = fit_chunks(config, processor)
    few_bits = {"quantization_config": BitsAndBytesConfig(**quantization)} if quantization else {}
    model, report = FavorForConditionalGeneration.from_pretrained(
        name_or_path,
        config=config,
        ignore_mismatched_sizes=bool(fresh_parts) or other_chunks,
        output_loading_info=True,
        attn_implementation=attn_implementation,
        **few_bits,
    )
    drawn = tuple(prefix for part in fresh_parts for prefix in FRESH_PARTS[part])
    # Sinusoids of another number of positions are computed anew.
    drawn += tuple(f"model.audio_tower.{name}." for name in audio_encoder(config.audio_config).constant_weights)
    unfit = [name for name, *_ in sorted(report["mismatched_keys"]) if not name.startswith(drawn)]
    if unfit:
        raise ValueError(f"config: {unfit[0]} of {name_or_path} has another shape than the changed config says.")
    renew_parts(model, fresh_parts, seed)
    return model, processor


def fit_chunks(config: FavorConfig, processor: FavorProcessor) -> bool:
    """Lets the processor cut sound into chunks of the config's length; returns whether it was another.

    An audio encoder whose positions are computed reads any length: Whisper, trained on 30 s, takes a quarter of the
    time for chunks of 10 s (`audio_config.max_source_positions: 500`), and its states there are nearly those of 30 s.
    """
    extractor = processor.feature_extractor
    frames = audio_encoder(config.audio_config).chunk_frames(config.audio_config)
    if frames is None or getattr(extractor, "nb_max_frames", frames) == frames:
        return False
    try:
        processor.feature_extractor = with_chunks_of(extractor, frames)
    except ValueError as error:
        positions = config.audio_config.max_source_positions
        raise ValueError(f"config.audio_config.max_source_positions {positions}: {error}") from error
    return True


def renew_parts(model: FavorForConditionalGeneration, parts: Sequence[str], seed: int) -> None:
    """Draws the weights of these parts anew."""
    torch.manual_seed(seed)
    config, dtype = model.config, model.dtype
    if "connector" in parts:
        model.model.connector = build_connector(config.connector_config).to(dtype)
    if "language_model" in parts:
        model.model.language_model = AutoModel.from_config(config.text_config).to(dtype)
        model.lm_head = build_language_head(config.text_config, config.lm_head_bias).to(dtype)
        model._init_weights(model.lm_head)
        model.tie_weights()


def change_config(config: PreTrainedConfig, changes: Mapping[str, object], section: str = "config") -> None:
    """Sets values of a config and, nested, of its parts."""
    fields = {field.name for field in dataclasses.fields(config)}
    for name, value in changes.items():
        if name not in fields:
            own = sorted(fields - {field.name for field in dataclasses.fields(PreTrainedConfig)})
            raise ValueError(f"{section} of the model has no {name!r}; it has {', '.join(own)}.")
        part = getattr(config, name)
        if not isinstance(part, PreTrainedConfig):
            setattr(config, name, value)
        elif isinstance(value, Mapping):
            change_config(part, value, f"{section}.{name}")
        else:
            raise ValueError(f"{section}.{name} must be a mapping of what to change in it, but it is {value!r}.")
