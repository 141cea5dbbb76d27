# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a recipe of a model from nothing does before and between its stages, once for all processes.

The first process makes tokenisers, towers and connector and writes them to the run's folder; the others, and a run
that is resumed, read them there.
"""

import json
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file

from favor.modeling_favor import FavorForConditionalGeneration, FavorModel
from favor.processing import FavorProcessor

from ..complete_checkpoints import fault_of, mark_complete, unmark
from ..decoded_clips import DecodedClip, decode_clips
from ..encoder_cache import EncodedCollator
from ..favor_sft_config import FavorSFTConfig
from ..recipe_sections import ConnectorPretraining, Recipe, ScratchModel, TowerPretraining
from .clip_words import words_of_scenes
from .connector_pretraining import pretrain_connector
from .scratch_model import build_from_scratch
from .tower_pretraining import label_scenes, pretrain_towers

ENCODERS = ("vision_tower.", "visual_qformer.", "audio_tower.")
TOWERS_FILE = "pretrained_towers.safetensors"
CONNECTOR_FILE = "pretrained_connector.safetensors"
TOKENIZERS = "tokenizers"


def start_from_scratch(
    recipe: Recipe, settings: ScratchModel, dataset: Dataset, args: FavorSFTConfig
) -> tuple[FavorForConditionalGeneration, FavorProcessor]:
    """The random model and its processor; tokenisers are trained once, whatever processes need them."""
    known = Path(recipe.output_dir) / TOKENIZERS
    with args.main_process_first(desc="tokenisers"):
        reused = fault_of(known) is None and is_made(recipe, args)
        texts = [turn["content"] for messages in dataset["messages"] for turn in messages]
        for scenes in word_files(recipe):
            texts += words_of_scenes(scenes)
        model, processor = build_from_scratch(settings, texts, recipe.seed, known if reused else None)
        if not reused:
            unmark(known)
            processor.tokenizer.save_pretrained(known)
            if processor.qformer_tokenizer is not None:
                processor.qformer_tokenizer.save_pretrained(known / "qformer_tokenizer")
            mark_complete(known)
    return model, processor


def is_made(recipe: Recipe, args: FavorSFTConfig) -> bool:
    """Whether what the first process makes, if it is in the run's folder, is of this run."""
    return recipe.resume is not None or args.local_process_index > 0


def word_files(recipe: Recipe) -> list[str]:
    """The files of half-second words that a recipe reads, each once."""
    files = [stage.words_for_media for stage in recipe.stages]
    if recipe.connector_pretraining is not None:
        files.append(recipe.connector_pretraining.scenes)
    return sorted({file for file in files if file})


def start_towers(
    recipe: Recipe,
    settings: TowerPretraining,
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    dataset: Dataset,
    args: FavorSFTConfig,
) -> dict[tuple, DecodedClip]:
    """The towers as [`pretrain_towers`] leaves them; returns the clips that were decoded for it."""
    known = Path(recipe.output_dir) / TOWERS_FILE
    if known.is_file() and is_made(recipe, args):
        model.model.load_state_dict(load_file(known), strict=False)
        return {}
    clips = decode_clips(dataset, processor)
    turns = (turn for messages in dataset["messages"] for turn in messages)
    questions = sorted({turn["content"] for turn in turns if turn["role"] == "user"})
    scenes = label_scenes(settings.scenes, clips, settings.visual_labels)
    report = pretrain_towers(model, processor, scenes, questions, settings, recipe.seed)
    keep_pretrained(model.model, ENCODERS, known, report)
    return clips


def start_connector(
    recipe: Recipe,
    settings: ConnectorPretraining,
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    samples: Dataset,
    rows: Dataset,
    collator: EncodedCollator,
    args: FavorSFTConfig,
) -> None:
    """The connector as [`pretrain_connector`] leaves it.

    Args:
        samples: of a manifest.
        rows, collator: these samples, encoded.
    """
    known = Path(recipe.output_dir) / CONNECTOR_FILE
    with args.main_process_first(desc="connector"):
        if known.is_file() and is_made(recipe, args):
            model.model.load_state_dict(load_file(known), strict=False)
            return
        report = pretrain_connector(model, processor, samples, rows, collator, settings, recipe.seed)
        keep_pretrained(model.model, ("connector.",), known, report)


def keep_pretrained(backbone: FavorModel, parts: tuple[str, ...], file: Path, report: dict[str, float]) -> None:
    """Writes the weights of these parts, whole or not at all, and beside them what they had learnt."""
    file.with_suffix(".json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    weights: dict[str, torch.Tensor] = {
        name: value.contiguous() for name, value in backbone.state_dict().items() if name.startswith(parts)
    }
    partial = file.with_suffix(".partial")
    save_file(weights, partial)
    partial.replace(file)
