# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs a recipe of preferences (`dpo`) or of rewards (`grpo`), from data to a saved model or adapter."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from datasets import Dataset
from transformers import HfArgumentParser, set_seed

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.processing.media_options_favor import check_media_options

from .best_model import check_best_model, check_eval_data
from .encoder_cache import EncodedCollator
from .favor_dpo_trainer import FavorDPOTrainer, FavorPreferenceCollator
from .favor_grpo_trainer import FavorGRPOTrainer
from .preference_manifest import load_rows
from .prompt_media import encode_prompts
from .recipe import CONFIGS
from .recipe_model import load_model
from .recipe_run import (
    DDP_TIMEOUT,
    cache_folder,
    check_merge,
    join_processes,
    keep_recipe,
    lora_of,
    save_result,
    share_states,
)
from .recipe_sections import Recipe
from .stage_ends import resume_point
from .training_curves import DrawCurves
from .training_options import check_packages
from .training_record import run_record, stage_record, write_record


def run_preference_recipe(recipe: Recipe, name: str | None = None, reward_funcs: Sequence[Callable] = ()) -> Path:
    """Trains as the recipe says and returns the folder of the saved model and processor.

    Args:
        recipe: of [`read_recipe`], with `dpo` or `grpo`.
        name: of its file, for the record.
        reward_funcs: of `grpo`, in the order of the recipe's `rewards`.

    Writes `curves.svg` while it trains and, of `grpo`, answers with their rewards (`samples.jsonl`, `samples.html`).
    """
    output_dir, args = Path(recipe.output_dir), training_arguments(recipe)
    resumed = resume_point(recipe.resume, first_stage=True)
    keep_recipe(recipe, output_dir, args)
    model, processor = load_model(
        str(recipe.model), recipe.config, recipe.fresh_parts, recipe.seed, recipe.quantization
    )
    if recipe.media_options:
        processor.media_options = check_media_options({**processor.media_options, **recipe.media_options})
    trainer = preference_trainer(recipe, args, model, processor, list(reward_funcs))
    trainer.add_callback(DrawCurves())
    merge = recipe.lora is not None and recipe.lora.merge
    check_merge(trainer, merge)
    trainer.train(resume_from_checkpoint=resumed)
    trainer.save_state()
    if trainer.args.should_save:
        write_record(output_dir, run_record(name, recipe, [stage_record(trainer)]))
    save_result(trainer, processor, output_dir, merge)
    return output_dir


def training_arguments(recipe: Recipe):
    """The trainer's arguments; they find the other processes."""
    options = dict(getattr(recipe, recipe.method))
    if recipe.cache_encoder_states is not None:  # which one process makes while the others wait
        options.setdefault("ddp_timeout", DDP_TIMEOUT)
    join_processes(options)
    if recipe.eval_data is not None:
        options.setdefault("eval_strategy", "epoch")
    options |= {"output_dir": recipe.output_dir, "seed": recipe.seed}
    check_best_model(options, recipe.method)
    check_packages(options, recipe.method)
    check_eval_data(options, recipe.method, given=recipe.eval_data is not None)
    (args,) = HfArgumentParser(CONFIGS[recipe.method]).parse_dict(options, allow_extra_keys=False)
    return args


def preference_trainer(
    recipe: Recipe, args, model: FavorForConditionalGeneration, processor: FavorProcessor, reward_funcs: list[Callable]
) -> FavorDPOTrainer | FavorGRPOTrainer:
    """The trainer of a recipe, with its data made ready."""
    rows, states = ready_rows(recipe, recipe.train_data, args, model, processor)
    eval_rows = None
    if recipe.eval_data is not None:
        eval_rows, eval_states = ready_rows(recipe, recipe.eval_data, args, model, processor)
        share_states(states, eval_states)
    set_seed(recipe.seed)  # a LoRA begins the same, whatever was drawn before
    shared = {
        "model": model,
        "args": args,
        "processing_class": processor,
        "train_dataset": rows,
        "eval_dataset": eval_rows,
        "peft_config": None if recipe.lora is None else lora_of(recipe.lora),
    }
    if recipe.method == "grpo":
        return FavorGRPOTrainer(reward_funcs=reward_funcs, encoder_states=states, **shared)
    collator = FavorPreferenceCollator(processor, args.max_length, states)
    return FavorDPOTrainer(data_collator=collator, **shared)


def ready_rows(
    recipe: Recipe, file, args, model: FavorForConditionalGeneration, processor: FavorProcessor
) -> tuple[Dataset, EncodedCollator | None]:
    """A file's rows; with `cache_encoder_states`, and the encoders' states of their media."""
    rows, cache = load_rows(file), recipe.cache_encoder_states
    if cache is None:
        return rows, None
    cache = dataclasses.replace(cache, cache_dir=cache_folder(recipe, cache))
    with args.main_process_first(desc="encoder states"):
        return encode_prompts(model, processor, rows, progress=args.should_log, **dataclasses.asdict(cache))
