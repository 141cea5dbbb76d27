# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs a training recipe, from data to a saved model, in one process or several, or goes on where it was stopped."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from datasets import Dataset
from torch.distributed import init_process_group, is_initialized
from transformers import HfArgumentParser, set_seed
from transformers.utils import logging

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.processing.media_options_favor import check_media_options

from .bad_samples import BAD_SAMPLES
from .best_model import check_best_model, check_eval_data
from .connector_alignment import CONNECTOR, ConnectorAlignmentTrainer
from .data_mixture import SampleDataset, load_training_data, mixture_of
from .decoded_clips import DecodedClip
from .encoder_cache import EncodedCollator, encode_dataset
from .favor_data_collator import TextCollator
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer, lora_config
from .manifest import keep_shares
from .recipe_model import load_model
from .recipe_sections import CacheSettings, ConnectorPretraining, LoraSettings, Recipe, Stage
from .said_answers import tell_answers
from .source_spec import TrainingData
from .stage_ends import end_stage, finished_stages, load_stage_end, resume_point, stage_records
from .time_shaped_queries import shape_queries_in_time
from .trained_modules import TrainedModel, favor_of
from .training_curves import DrawCurves
from .training_options import check_packages
from .training_record import run_record, write_record

if TYPE_CHECKING:
    from peft import LoraConfig

logger = logging.get_logger(__name__)

DDP_TIMEOUT = 24 * 3600  # seconds; torch's half an hour would end the run


def run_recipe(recipe: Recipe, name: str | None = None) -> Path:
    """Trains as the recipe says and returns the folder of the saved model and processor.

    Args:
        recipe: of [`read_recipe`].
        name: of its file, for the record.

    With `resume: true` it goes on after the last finished stage, at its last complete checkpoint; without any it
    begins anew. Started as several processes (torchrun), the first prepares the data while the others wait.
    """
    output_dir, stages = Path(recipe.output_dir), recipe.stages or [Stage()]
    folders = [output_dir / f"stage-{n}" if len(stages) > 1 else output_dir for n in range(1, len(stages) + 1)]
    arguments = [stage_arguments(recipe, stage, folder) for stage, folder in zip(stages, folders, strict=True)]
    # Without `resume` a run begins anew, whatever stands in its folder.
    finished = finished_stages(folders) if recipe.resume is not None else 0
    keep_recipe(recipe, output_dir, arguments[0])
    if finished == len(stages):
        logger.warning(f"{output_dir}: all stages are finished; nothing is left to train.")
        return output_dir
    run = start_run(recipe, arguments[0])
    model: TrainedModel = run.model
    if finished:
        model = load_stage_end(run.model, folders[finished - 1], arguments[finished - 1])
    # A stage that aligns the connector knows no LoRA; those after the first with one go on with the same adapter.
    first_with_lora = next((n for n, stage in enumerate(stages) if stage.align_connector is None), None)
    for number in range(finished, len(stages)):
        with_lora = number == first_with_lora and recipe.lora is not None
        trainer = stage_trainer(run, model, number, arguments[number], with_lora)
        trainer.train(resume_from_checkpoint=resume_point(recipe.resume, number == finished))
        end_stage(trainer, folders[number], last=number == len(stages) - 1)
        model = trainer.model
    save_result(trainer, run.processor, output_dir, merge=recipe.lora is not None and recipe.lora.merge)
    if trainer.args.should_save:
        write_record(output_dir, run_record(name, recipe, stage_records(folders)))
    return output_dir


@dataclass
class Run:
    """
    What all stages of a run share.

    Args:
        recipe: which is run.
        dataset, eval_dataset: its data.
        model, processor: before any stage.
        clips: of the data, as far as they are decoded.
    """

    recipe: Recipe
    dataset: SampleDataset
    eval_dataset: SampleDataset | None
    model: FavorForConditionalGeneration
    processor: FavorProcessor
    clips: dict[tuple, DecodedClip]


def start_run(recipe: Recipe, args: FavorSFTConfig) -> Run:
    """Loads data and model, and does what comes before the first stage."""
    dataset = load_data(recipe.train_data, recipe, args)
    eval_dataset = None
    if recipe.eval_data is not None:
        eval_dataset = load_data(recipe.eval_data, recipe, args, repeat_streams=False)
    model, processor = start_model(recipe, dataset, args)
    clips = prepare_clips(recipe, model, processor, dataset, args)
    return Run(recipe, dataset, eval_dataset, model, processor, clips)


def start_model(
    recipe: Recipe, dataset: SampleDataset, args: FavorSFTConfig
) -> tuple[FavorForConditionalGeneration, FavorProcessor]:
    """The model before any training, and its processor."""
    if recipe.from_scratch is not None:
        from .from_scratch.preparation import start_from_scratch

        model, processor = start_from_scratch(recipe, recipe.from_scratch, dataset, args)
    else:
        model, processor = load_model(
            str(recipe.model),
            recipe.config,
            recipe.fresh_parts,
            recipe.seed,
            recipe.quantization,
            recipe.attn_implementation,
        )
    if recipe.time_shaped_queries:
        shape_queries_in_time(model.model.connector, recipe.seed)
    if recipe.media_options:
        processor.media_options = check_media_options({**processor.media_options, **recipe.media_options})
    return model, processor


def prepare_clips(
    recipe: Recipe,
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    dataset: SampleDataset,
    args: FavorSFTConfig,
) -> dict[tuple, DecodedClip]:
    """Trains the towers, if the recipe says so, and returns the clips that were decoded for it."""
    towers = recipe.tower_pretraining
    if towers is None:
        return {}
    from .from_scratch.preparation import start_towers

    # The first process trains the towers; the others, which come after it, load what it saved.
    with args.main_process_first(desc="clips and towers"):
        return start_towers(recipe, towers, model, processor, dataset, args)


@dataclass
class StageData:
    """
    What a stage's trainer reads.

    Args:
        rows, eval_rows: of training and evaluation.
        collator: of both; None: the trainer's own.
    """

    rows: SampleDataset
    collator: EncodedCollator | TextCollator | None
    eval_rows: SampleDataset | None = None


def stage_trainer(
    run: Run, model: TrainedModel, number: int, args: FavorSFTConfig, with_lora: bool
) -> FavorSFTTrainer:
    """The trainer of a stage, with its data made ready."""
    favor, lora = favor_of(model), run.recipe.lora
    stages = run.recipe.stages or [Stage()]
    first_with_media = next((n for n, stage in enumerate(stages) if not stage.in_text), None)
    alignment = stages[number].align_connector
    data = stage_data(run, favor, stages[number], args, teach=number == first_with_media)
    if favor is model and not run.recipe.quantization:
        model.requires_grad_(True)  # a stage before may have frozen parts; with LoRA it is PEFT's to say
    set_seed(run.recipe.seed)  # a LoRA begins the same, whatever was drawn before
    trainer_class: Callable[..., FavorSFTTrainer] = FavorSFTTrainer
    if alignment is not None:
        trainer_class = partial(ConnectorAlignmentTrainer, alignment=alignment)
    trainer = trainer_class(
        model=model,
        args=args,
        processing_class=run.processor,
        data_collator=data.collator,
        train_dataset=data.rows,
        eval_dataset=data.eval_rows,
        peft_config=lora_of(lora) if with_lora and lora is not None else None,
    )
    trainer.add_callback(DrawCurves())
    check_merge(trainer, lora is not None and lora.merge)
    return trainer


def stage_data(
    run: Run, model: FavorForConditionalGeneration, stage: Stage, args: FavorSFTConfig, teach: bool
) -> StageData:
    """A stage's samples, in words, in encoder states or as they are.

    Args:
        teach: whether the connector is pre-trained on them, if the recipe says so.
    """
    in_words, samples = stage.words_for_media, run.dataset
    if stage.train_data is not None:
        samples = load_data(stage.train_data, run.recipe, args, media=not stage.in_text)
    if stage.family_shares:
        samples = keep_shares(samples, stage.family_shares, run.recipe.seed)
    if in_words is not None:
        from .from_scratch.clip_words import tell_in_words

        return StageData(*tell_in_words(run.processor, samples, in_words, model.model.connector.config))
    if stage.answers_for_media is not None:
        return StageData(
            *tell_answers(
                run.processor, samples, stage.answers_for_media, model.model.connector.config, run.recipe.seed
            )
        )
    rows, collator = encoded(run, model, samples, args)
    settings = run.recipe.connector_pretraining
    if teach and settings is not None and collator is not None:
        teach_connector(run, settings, model, samples, rows, collator, args)
    eval_samples = run.eval_dataset
    if stage.eval_data is not None:
        eval_samples = load_data(stage.eval_data, run.recipe, args, repeat_streams=False)
    if eval_samples is None:
        return StageData(rows, collator)
    eval_rows, eval_collator = encoded(run, model, eval_samples, args)
    share_states(collator, eval_collator)
    return StageData(rows, collator, eval_rows)


def stage_arguments(recipe: Recipe, stage: Stage, folder: Path) -> FavorSFTConfig:
    """The trainer's arguments in a stage; the first that are made find the other processes."""
    options = {**recipe.sft, **stage.sft}
    prepares = (recipe.tower_pretraining, recipe.connector_pretraining, recipe.cache_encoder_states)
    if any(section is not None for section in prepares):  # which one process does while the others wait
        options.setdefault("ddp_timeout", DDP_TIMEOUT)
    join_processes(options)
    if (recipe.eval_data or stage.eval_data) is not None and "eval_strategy" not in options:
        options["eval_strategy"] = "epoch"
    if stage.align_connector is not None:
        options.setdefault("train_only", [CONNECTOR])
    if stage.in_text:
        # Such a stage reads words, but the evaluation data are media: it is not evaluated.
        options |= {"allow_text_only": True, "eval_strategy": "no", "load_best_model_at_end": False}
    options |= {"output_dir": str(folder), "seed": recipe.seed}
    check_packages(options, "sft")
    check_best_model(options, "sft")
    check_eval_data(options, "sft", given=(recipe.eval_data or stage.eval_data) is not None)
    (args,) = HfArgumentParser(FavorSFTConfig).parse_dict(options, allow_extra_keys=False)
    return args


def join_processes(options: Mapping[str, object]) -> None:
    """Meets the other processes where transformers would, which tells torch `ddp_timeout` on GPUs only."""
    on_gpu, patience = torch.cuda.is_available() and not options.get("use_cpu"), options.get("ddp_timeout")
    if not isinstance(patience, int) or on_gpu or int(os.environ.get("WORLD_SIZE", "1")) == 1 or is_initialized():
        return
    init_process_group(options.get("ddp_backend") or "gloo", timeout=timedelta(seconds=patience))


def load_data(
    data: TrainingData, recipe: Recipe, args: FavorSFTConfig, repeat_streams: bool = True, media: bool = True
) -> SampleDataset:
    """A manifest or a mixture (see [`load_training_data`]); files may be missing where bad samples are skipped.

    `media`: whether they are read at all.
    """
    return load_training_data(
        data,
        seed=recipe.seed,
        batch_size=args.per_device_train_batch_size * args.world_size,
        check_files=media and args.on_bad_sample == "raise",
        repeat_streams=repeat_streams,
    )


def teach_connector(
    run: Run,
    settings: ConnectorPretraining,
    model: FavorForConditionalGeneration,
    samples: SampleDataset,
    rows: Dataset,
    collator: EncodedCollator,
    args: FavorSFTConfig,
) -> None:
    """Pre-trains the connector. Raises `ValueError` unless every sample of a manifest is encoded."""
    from .from_scratch.preparation import start_connector

    if mixture_of(samples) is not None or len(rows) != len(samples):
        raise ValueError(
            "connector_pretraining needs one manifest all of whose samples are good: set on_bad_sample to raise."
        )
    start_connector(run.recipe, settings, model, run.processor, samples, rows, collator, args)


def cache_folder(recipe: Recipe, cache: CacheSettings) -> str:
    """Where encoder states are kept: all processes and a resumed run read them there."""
    return cache.cache_dir or str(Path(recipe.output_dir) / "encoder_states")


def encoded(
    run: Run, model: FavorForConditionalGeneration, dataset: SampleDataset, args: FavorSFTConfig
) -> tuple[SampleDataset, EncodedCollator | None]:
    """The dataset and its collator: with `cache_encoder_states`, of encoder states; else as it is, and the default."""
    cache = run.recipe.cache_encoder_states
    if cache is None:
        return dataset, None
    mixture = mixture_of(dataset)
    if mixture is not None and (mixture.streamed or any(source.transforms for source in mixture.sources)):
        raise ValueError(
            "cache_encoder_states encodes a fixed set of samples, but train_data has streams or transforms, which "
            "make other samples each epoch; leave one of the two out."
        )
    cache = dataclasses.replace(cache, cache_dir=cache_folder(run.recipe, cache))
    with args.main_process_first(desc="encoder states"):
        return encode_dataset(
            model,
            run.processor,
            dataset,
            run.clips,
            max_length=args.max_length,
            on_bad_sample=args.on_bad_sample,
            bad_sample_log=Path(args.output_dir) / BAD_SAMPLES if args.on_bad_sample == "skip" else None,
            progress=args.should_log,
            **dataclasses.asdict(cache),
        )


def share_states(collator: EncodedCollator | None, eval_collator: EncodedCollator | None) -> None:
    """Lets the trainer's one collator find the states of the evaluation data, too."""
    if collator is not None and eval_collator is not None:
        collator.cache.waiting |= eval_collator.cache.waiting
        collator.cache.shards |= eval_collator.cache.shards


def lora_of(lora: LoraSettings) -> "LoraConfig":
    """The LoRA of a recipe's section."""
    return lora_config(lora.rank, lora.alpha, lora.dropout, lora.connector)


def check_merge(trainer: FavorSFTTrainer, merge: bool) -> None:
    """Raises `ValueError` before training for what could not be saved after it."""
    if merge and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ValueError(
            "lora.merge is not possible with FSDP or DeepSpeed, which shard the weights: set it to false."
        )


def save_result(trainer: FavorSFTTrainer, processor: FavorProcessor, output_dir: Path, merge: bool) -> None:
    """Model, or adapter, and processor."""
    if not merge:
        trainer.save_model(str(output_dir))
    elif trainer.args.should_save:
        trainer.model.merge_and_unload().save_pretrained(output_dir)
    if trainer.args.should_save:
        processor.save_pretrained(output_dir)
    trainer.accelerator.wait_for_everyone()


def keep_recipe(recipe: Recipe, output_dir: Path, args: FavorSFTConfig) -> None:
    """Writes the recipe as it is run; says what differs from the run that is resumed."""
    if not args.should_save:
        return
    file = output_dir / "recipe.yaml"
    # As plain values, to compare with what YAML gives back of the earlier run's.
    ours = json.loads(json.dumps({key: value for key, value in recipe.given.items() if key != "resume"}, default=str))
    if recipe.resume is not None and file.is_file():
        before = yaml.safe_load(file.read_text(encoding="utf-8"))
        changed = sorted(key for key in {*before, *ours} if before.get(key) != ours.get(key))
        if changed:
            logger.warning(f"The resumed run had another {', '.join(changed)}; see {file}.bak for what it was.")
            file.replace(f"{file}.bak")
    output_dir.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(ours, sort_keys=False), encoding="utf-8")
