# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs a training recipe, from data to a saved model, in one process or several, or goes on where it was stopped."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch.distributed import init_process_group, is_initialized
from transformers import set_seed
from transformers.utils import logging

from favor.processing import FavorProcessor
from favor.processing.media_options_favor import check_media_options

from .bad_samples import BAD_SAMPLES
from .complete_checkpoints import fault_of, mark_complete, unmark
from .data_mixture import load_training_data, mixture_of
from .decoded_clips import DecodedClip, decode_clips
from .encoder_cache import encode_dataset
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer, lora_config
from .from_scratch.clip_words import tell_in_words, words_of_scenes
from .from_scratch.connector_pretraining import pretrain_connector
from .from_scratch.scratch_model import build_from_scratch
from .from_scratch.tower_pretraining import label_scenes, pretrain_towers
from .manifest import keep_shares
from .recipe_model import load_model
from .trained_modules import favor_of, set_connector_dtype
from .training_record import run_record, stage_record, write_record

logger = logging.get_logger(__name__)

ENCODERS = ("vision_tower.", "visual_qformer.", "audio_tower.")
DONE_BY_ONE = ("tower_pretraining", "connector_pretraining", "cache_encoder_states")  # while other processes wait
DDP_TIMEOUT = 24 * 3600  # seconds; torch's half an hour would end the run
TOWERS_FILE = "pretrained_towers.safetensors"
CONNECTOR_FILE = "pretrained_connector.safetensors"
TOKENIZERS = "tokenizers"
STAGE_END = "finished"
STAGE_RECORD = "stage_record.json"


def run_recipe(recipe: dict[str, Any], name: str | None = None) -> Path:
    """Trains as the recipe says and returns the folder of the saved model and processor.

    Args:
        recipe: of [`read_recipe`].
        name: of its file, for the record.

    With `resume: true` it goes on after the last finished stage, at its last complete checkpoint; without any it
    begins anew. Started as several processes (torchrun), the first prepares the data while the others wait.
    """
    seed, output_dir = recipe.get("seed", 0), Path(recipe["output_dir"])
    stages = recipe.get("stages") or [{}]
    folders = [output_dir / f"stage-{n}" if len(stages) > 1 else output_dir for n in range(1, len(stages) + 1)]
    arguments = [stage_arguments(recipe, stage, folder) for stage, folder in zip(stages, folders, strict=True)]
    finished = finished_stages(folders) if recipe.get("resume") else 0
    keep_recipe(recipe, output_dir, arguments[0])

    dataset = load_data(recipe["train_data"], recipe, arguments[0])
    eval_dataset = None
    if recipe.get("eval_data"):
        eval_dataset = load_data(recipe["eval_data"], recipe, arguments[0], repeat_streams=False)
    model, processor = start_model(recipe, dataset, arguments[0])
    clips = prepare_clips(recipe, model, processor, dataset, arguments[0])
    if finished:
        model = load_stage_end(model, folders[finished - 1] / STAGE_END, arguments[finished - 1])
    lora = dict(recipe.get("lora") or {})
    merge = lora.pop("merge", False)
    peft_config = None if recipe.get("lora") is None or finished else lora_config(**lora)
    first_with_media = next((n for n, stage in enumerate(stages) if "words_for_media" not in stage), None)

    for number in range(finished, len(stages)):
        stage, args = stages[number], arguments[number]
        in_words = stage.get("words_for_media")
        rows = load_data(stage["train_data"], recipe, args, media=not in_words) if "train_data" in stage else dataset
        samples = keep_shares(rows, stage.get("family_shares") or {}, seed)
        if in_words:
            rows, collator = tell_in_words(processor, samples, in_words, favor_of(model).config.connector_config)
        else:
            rows, collator = encoded(recipe, model, processor, samples, clips, args)
        if number == first_with_media and recipe.get("connector_pretraining"):
            start_connector(recipe, model, processor, samples, rows, collator, args)
        eval_rows = None
        if eval_dataset is not None and not in_words:
            eval_rows, eval_collator = encoded(recipe, model, processor, eval_dataset, clips, args)
            share_states(collator, eval_collator)
        if favor_of(model) is model:
            model.requires_grad_(True)  # a stage before may have frozen parts; with LoRA it is PEFT's to say
        set_seed(seed)  # a LoRA begins the same, whatever was drawn before
        trainer = FavorSFTTrainer(
            model=model,
            args=args,
            processing_class=processor,
            data_collator=collator,
            train_dataset=rows,
            eval_dataset=eval_rows,
            peft_config=peft_config,
        )
        check_merge(trainer, merge)
        trainer.train(resume_from_checkpoint=resume_point(recipe, number == finished))
        end_stage(trainer, folders[number], last=number == len(stages) - 1)
        model, peft_config = trainer.model, None  # the next stage goes on with the same adapter
    if finished == len(stages):
        logger.warning(f"{output_dir}: all stages are finished; nothing is left to train.")
        return output_dir
    save_result(trainer, processor, output_dir, merge)
    records = [json.loads((folder / STAGE_RECORD).read_text(encoding="utf-8")) for folder in folders]
    if trainer.args.should_save:
        write_record(output_dir, run_record(name, recipe, records))
    return output_dir


def stage_arguments(recipe: dict[str, Any], stage: dict[str, Any], folder: Path) -> FavorSFTConfig:
    """The trainer's arguments in a stage; the first that are made find the other processes."""
    options = {**(recipe.get("sft") or {}), **(stage.get("sft") or {})}
    if any(recipe.get(section) for section in DONE_BY_ONE):
        options.setdefault("ddp_timeout", DDP_TIMEOUT)
    join_processes(options)
    if recipe.get("eval_data") and "eval_strategy" not in options:
        options["eval_strategy"] = "epoch"
    if "words_for_media" in stage:
        options |= {"allow_text_only": True, "eval_strategy": "no", "load_best_model_at_end": False}
    return FavorSFTConfig(output_dir=str(folder), seed=recipe.get("seed", 0), **options)


def join_processes(options: dict[str, Any]) -> None:
    """Meets the other processes where transformers would, which tells torch `ddp_timeout` on GPUs only."""
    on_gpu = torch.cuda.is_available() and not options.get("use_cpu")
    if "ddp_timeout" not in options or on_gpu or int(os.environ.get("WORLD_SIZE", "1")) == 1 or is_initialized():
        return
    init_process_group(options.get("ddp_backend") or "gloo", timeout=timedelta(seconds=options["ddp_timeout"]))


def load_data(
    spec: Any, recipe: dict[str, Any], args: FavorSFTConfig, repeat_streams: bool = True, media: bool = True
) -> Any:
    """A manifest or a mixture (see [`load_training_data`]); files may be missing where bad samples are skipped.

    `media`: whether they are read at all.
    """
    return load_training_data(
        spec,
        seed=recipe.get("seed", 0),
        batch_size=args.per_device_train_batch_size * args.world_size,
        check_files=media and args.on_bad_sample == "raise",
        repeat_streams=repeat_streams,
    )


def start_model(recipe: dict[str, Any], dataset: Any, args: FavorSFTConfig) -> tuple[Any, FavorProcessor]:
    """The model before any training, and its processor; tokenisers are trained once, whatever processes need them."""
    if "from_scratch" in recipe:
        known = Path(recipe["output_dir"]) / TOKENIZERS
        with args.main_process_first(desc="tokenisers"):
            reused = fault_of(known) is None and (bool(recipe.get("resume")) or args.local_process_index > 0)
            texts = [turn["content"] for messages in dataset["messages"] for turn in messages]
            for scenes in word_files(recipe):
                texts += words_of_scenes(scenes)
            model, processor = build_from_scratch(
                recipe["from_scratch"], texts, recipe.get("seed", 0), known if reused else None
            )
            if not reused:
                unmark(known)
                processor.tokenizer.save_pretrained(known)
                if processor.qformer_tokenizer is not None:
                    processor.qformer_tokenizer.save_pretrained(known / "qformer_tokenizer")
                mark_complete(known)
    else:
        fresh_parts, seed = recipe.get("fresh_parts") or [], recipe.get("seed", 0)
        model, processor = load_model(recipe["model"], recipe.get("config"), fresh_parts, seed)
    if recipe.get("media_options"):
        processor.media_options = check_media_options({**processor.media_options, **recipe["media_options"]})
    return model, processor


def word_files(recipe: dict[str, Any]) -> list[str]:
    """The files of half-second words that a recipe reads, each once."""
    files = [stage.get("words_for_media") for stage in recipe.get("stages") or []]
    files.append((recipe.get("connector_pretraining") or {}).get("scenes"))
    return sorted({file for file in files if file})


def prepare_clips(
    recipe: dict[str, Any], model: Any, processor: FavorProcessor, dataset: Any, args: FavorSFTConfig
) -> dict[tuple, DecodedClip]:
    """Decoded clips for what reads all of them, once the towers are pre-trained on them, if the recipe says so."""
    settings, folder = recipe.get("tower_pretraining"), Path(recipe["output_dir"])
    in_memory = bool(recipe.get("cache_encoder_states")) and cache_options(recipe, args)["cache_dir"] is None
    clips: dict[tuple, DecodedClip] = {}
    with args.main_process_first(desc="clips and towers"):
        if not settings:
            return decode_clips(dataset, processor) if in_memory and mixture_of(dataset) is None else clips
        known = folder / TOWERS_FILE
        if known.is_file() and (recipe.get("resume") or args.local_process_index > 0):
            favor_of(model).model.load_state_dict(load_file(known), strict=False)
            return decode_clips(dataset, processor) if in_memory else clips
        clips = decode_clips(dataset, processor)
        report = train_towers(model, processor, dataset, clips, settings, recipe.get("seed", 0))
        keep_pretrained(model.model, ENCODERS, known, report)
    return clips


def start_connector(
    recipe: dict[str, Any],
    model: Any,
    processor: FavorProcessor,
    samples: Any,
    rows: Any,
    collator: Any,
    args: FavorSFTConfig,
) -> None:
    """The connector as [`pretrain_connector`] leaves it, once for all processes."""
    if len(rows) != len(samples) or mixture_of(samples) is not None:
        raise ValueError(
            "connector_pretraining needs one manifest all of whose samples are good: set on_bad_sample to raise."
        )
    known, backbone = Path(recipe["output_dir"]) / CONNECTOR_FILE, favor_of(model).model
    with args.main_process_first(desc="connector"):
        if known.is_file() and (recipe.get("resume") or args.local_process_index > 0):
            backbone.load_state_dict(load_file(known), strict=False)
            return
        settings, seed = recipe["connector_pretraining"], recipe.get("seed", 0)
        report = pretrain_connector(favor_of(model), processor, samples, rows, collator, settings, seed)
        keep_pretrained(backbone, ("connector.",), known, report)


def keep_pretrained(backbone: Any, parts: tuple[str, ...], file: Path, report: dict[str, float]) -> None:
    """Writes the weights of these parts, whole or not at all, and beside them what they had learnt."""
    file.with_suffix(".json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    weights = {name: value.contiguous() for name, value in backbone.state_dict().items() if name.startswith(parts)}
    partial = file.with_suffix(".partial")
    save_file(weights, partial)
    partial.replace(file)


def train_towers(
    model: Any, processor: FavorProcessor, dataset: Any, clips: dict[tuple, DecodedClip], settings: dict, seed: int
) -> dict[str, float]:
    """Towers that have learnt to tell single pictures and sounds; returns their training accuracies."""
    turns = (turn for messages in dataset["messages"] for turn in messages)
    questions = sorted({turn["content"] for turn in turns if turn["role"] == "user"})
    scenes = label_scenes(settings["scenes"], clips, settings["visual_labels"])
    return pretrain_towers(model, processor, scenes, questions, settings, seed)


def cache_options(recipe: dict[str, Any], args: FavorSFTConfig) -> dict[str, Any]:
    """Where and how encoder states are kept; several processes share them by a folder."""
    given = recipe["cache_encoder_states"]
    options = {"cache_dir": None, **(given if isinstance(given, dict) else {})}
    if options["cache_dir"] is None and args.world_size > 1:
        options["cache_dir"] = str(Path(recipe["output_dir"]) / "encoder_states")
    return options


def encoded(
    recipe: dict[str, Any],
    model: Any,
    processor: FavorProcessor,
    dataset: Any,
    clips: dict[tuple, DecodedClip],
    args: FavorSFTConfig,
) -> tuple[Any, Any]:
    """The dataset and its collator: with `cache_encoder_states`, of encoder states; else as it is, and the default."""
    if not recipe.get("cache_encoder_states"):
        return dataset, None
    mixture = mixture_of(dataset)
    if mixture is not None and (mixture.streamed or any(source.transforms for source in mixture.sources)):
        raise ValueError(
            "cache_encoder_states encodes a fixed set of samples, but train_data has streams or transforms, which "
            "make other samples each epoch; leave one of the two out."
        )
    options = cache_options(recipe, args)
    with args.main_process_first(desc="encoder states"):
        if options["cache_dir"] is None and mixture is None:
            clips |= decode_clips(dataset, processor, known=clips)
        return encode_dataset(
            favor_of(model),
            processor,
            dataset,
            clips,
            max_length=args.max_length,
            on_bad_sample=args.on_bad_sample,
            bad_sample_log=Path(args.output_dir) / BAD_SAMPLES if args.on_bad_sample == "skip" else None,
            progress=args.should_log,
            **options,
        )


def share_states(collator: Any, eval_collator: Any) -> None:
    """Lets the trainer's one collator find the states of the evaluation data, too."""
    if collator is not None:
        collator.cache.waiting |= eval_collator.cache.waiting
        collator.cache.shards |= eval_collator.cache.shards


def resume_point(recipe: dict[str, Any], first_stage: bool) -> str | bool | None:
    """What `resume` means in a stage: a folder for the first stage that is trained, "auto" for all."""
    asked = recipe.get("resume")
    if isinstance(asked, str) and asked != "auto":
        fault = fault_of(Path(asked))
        if fault is not None:
            raise ValueError(f"resume: {asked} cannot be resumed from: {fault}.")
        return asked if first_stage else None
    return "auto" if asked else None


def finished_stages(folders: list[Path]) -> int:
    """How many stages need not be trained again."""
    count = 0
    while count < len(folders) and len(folders) > 1 and fault_of(folders[count] / STAGE_END) is None:
        count += 1
    return count


def end_stage(trainer: FavorSFTTrainer, folder: Path, last: bool) -> None:
    """Keeps the facts of a stage, and, where checkpoints are kept and another stage follows, its weights."""
    if trainer.args.should_save:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAGE_RECORD).write_text(json.dumps(stage_record(trainer)), encoding="utf-8")
    trainer.save_state()
    if not last and str(trainer.args.save_strategy.value) != "no":
        if trainer.args.should_save:
            unmark(folder / STAGE_END)
        trainer.accelerator.wait_for_everyone()
        trainer.save_model(str(folder / STAGE_END))
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            mark_complete(folder / STAGE_END)


def load_stage_end(model: Any, folder: Path, args: FavorSFTConfig) -> Any:
    """The weights with which a stage ended."""
    set_connector_dtype(model, getattr(torch, args.connector_dtype))
    if (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        return PeftModel.from_pretrained(model, folder, is_trainable=True)
    weights: dict[str, Any] = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= load_file(file)
    missing, unknown = model.load_state_dict(weights, strict=False)
    model.tie_weights()
    tied = set(model._tied_weights_keys or ())
    if unknown or set(missing) - tied:
        raise ValueError(f"{folder} does not fit the recipe's model: {[*unknown, *missing][:5]} ...")
    return model


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


def keep_recipe(recipe: dict[str, Any], output_dir: Path, args: FavorSFTConfig) -> None:
    """Writes the recipe as it is run; says what differs from the run that is resumed."""
    if not args.should_save:
        return
    file = output_dir / "recipe.yaml"
    ours = json.loads(json.dumps({key: value for key, value in recipe.items() if key != "resume"}, default=str))
    if recipe.get("resume") and file.is_file():
        before = yaml.safe_load(file.read_text(encoding="utf-8"))
        changed = sorted(key for key in {*before, *ours} if before.get(key) != ours.get(key))
        if changed:
            logger.warning(f"The resumed run had another {', '.join(changed)}; see {file}.bak for what it was.")
            file.replace(f"{file}.bak")
    output_dir.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(ours, sort_keys=False), encoding="utf-8")
