# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples a second of training with cached encoder states, against decoding and encoding in the loop.

    python -m benchmarks.feature_cache                       # favor-tiny's model and batch, a few minutes
    python -m benchmarks.feature_cache --steps 2 --rounds 2 --clips 8
    python -m benchmarks.feature_cache --effect favor-tiny --clips 20   # of the stored dtype on a model's loss

AVEB-mini's tasks and moments, and both parts of recipes/favor-tiny.yaml that read media, with its model and batches.
Last stage (connector and language model learn): its mixture of questions and sorting, its processes' samples as two
micro-batches. Both ways run FavorSFTTrainer on the same samples, in turns; a round's speed is the median of its
optimisation steps, the first one left out (workers start in it). Beside the wall clock, which other processes disturb,
CPU time is counted, that of the loader workers included. The connector's pre-training (it learns alone), on the same
samples: CPU time, all in one process. Both ways make as many steps. Filling the cache is timed by itself.
"""

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from favor.aveb_prompts import AVEB_PROMPTS
from favor.model_loading import model_source
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorDataCollator, FavorSFTConfig, FavorSFTTrainer, add_length_column, load_manifest
from favor.trainers.encoder_cache import EncodedCollator, encode_dataset
from favor.trainers.from_scratch.clip_words import words_of_scenes
from favor.trainers.from_scratch.connector_pretraining import pretrain_connector
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.manifest import keep_shares
from favor.trainers.recipe import read_recipe
from favor.trainers.recipe_sections import Recipe
from favor.worlds.mini.dataset import write_split

from .ablations import machine

RECIPE = Path(__file__).parent.parent / "recipes" / "favor-tiny.yaml"
PROCESSES = 2  # of the recipe
TEXT = ("input_ids", "attention_mask", "labels")  # of a batch; the rest is media
SCHEDULE = ("warmup_steps", "lr_scheduler_kwargs", "max_steps", "logging_steps")


class StepTimes(TrainerCallback):
    """Seconds of each optimisation step, batches and all."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.marks.append(time.perf_counter())

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.marks.append(time.perf_counter())

    @property
    def steps(self) -> int:
        """How many were made."""
        return len(self.marks) - 1

    @property
    def seconds(self) -> list[float]:
        """Of each step but the first."""
        return [end - start for start, end in zip(self.marks[1:], self.marks[2:], strict=False)]


def train(model: Any, processor: Any, rows: Any, collator: Any, steps: int, workers: int, folder: Path) -> StepTimes:
    """The times of a short training run's steps."""
    recipe = read_recipe(RECIPE)
    options = {**recipe.sft, **recipe.stages[-1].sft, "gradient_accumulation_steps": PROCESSES}
    options = {name: value for name, value in options.items() if name not in SCHEDULE}
    times = StepTimes()
    trainer = FavorSFTTrainer(
        model=model,
        args=FavorSFTConfig(
            output_dir=str(folder),
            max_steps=steps,
            dataloader_num_workers=workers,
            logging_steps=10**6,
            disable_tqdm=True,
            **options,
        ),
        processing_class=processor,
        data_collator=collator,
        train_dataset=rows,
        callbacks=[times],
    )
    trainer.train()
    return times


@dataclass
class Setup:
    """What both parts of the recipe are measured with."""

    recipe: Recipe
    model: FavorForConditionalGeneration
    processor: FavorProcessor
    rows: Any
    scenes: Path  # of the rows' clips
    encoded: Any
    cached: EncodedCollator


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Speeds of both ways in both parts of the recipe, and what filling the cache took."""
    recipe = read_recipe(RECIPE)
    rows, scenes, model, processor = prepare(recipe, options, folder)
    started = time.perf_counter()
    encoded, cached = encode_dataset(
        model, processor, rows, cache_dir=folder / "cache", dtype=options.dtype, workers=options.workers
    )
    filled = time.perf_counter() - started
    setup = Setup(recipe, model, processor, rows, scenes, encoded, cached)
    return {
        "machine": f"{machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "clips": options.clips,
        "samples": len(rows),
        "stored_as": options.dtype,
        "cache_megabytes": round(sum(path.stat().st_size for path in (folder / "cache").iterdir()) / 1e6, 1),
        "filling_seconds": round(filled, 1),
        "last_stage": measure_last_stage(setup, options, folder),
        "connector_pretraining": measure_connector(setup, options),
    }


def prepare(recipe: Recipe, options: argparse.Namespace, folder: Path) -> tuple[Any, Path, Any, Any]:
    """Samples of the last stage's mixture, the words of their clips, and the recipe's model, not yet trained."""
    manifest = write_split(
        folder / "data",
        "train",
        options.clips,
        seed=1,
        tasks="all,moments",
        workers=options.workers,
        progress=False,
        every_question=True,
        prompts=AVEB_PROMPTS,
    )
    rows, scenes = load_manifest(manifest), manifest.with_name("train_scenes.jsonl")
    texts = [turn["content"] for messages in rows["messages"] for turn in messages]
    model, processor = build_from_scratch(recipe.from_scratch, [*texts, *words_of_scenes(scenes)], seed=0)
    shares = {name: share for name, share in recipe.stages[-1].family_shares.items() if name in rows["family"]}
    rows = keep_shares(rows, shares, seed=0)
    batch = step_samples(recipe)
    if len(rows) < options.steps * batch:
        raise ValueError(
            f"{options.clips} clips per task have {len(rows)} samples, fewer than {options.steps} x {batch}."
        )
    # A whole number of epochs: workers must not be timed for batches that no step takes.
    rows = rows.shuffle(seed=0).select(range(options.steps * batch))
    return add_length_column(rows, processor, progress=False), scenes, model, processor


def measure_last_stage(setup: Setup, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Speed and CPU time of both ways to train connector and language model."""
    batch = step_samples(setup.recipe)
    ways = {
        "uncached": (setup.rows, FavorDataCollator(setup.processor), options.workers),
        "cached": (setup.encoded, setup.cached, 0),
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    processor_times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (data, collator, workers) in ways.items():
            before = processor_seconds()
            times = train(setup.model, setup.processor, data, collator, options.steps, workers, folder / "run")
            processor_times[way].append(1e3 * (processor_seconds() - before) / (batch * times.steps))
            speeds[way].append(batch / statistics.median(times.seconds))
    return {
        "batch": batch,
        "samples_per_second": rounded(speeds),
        "speed_ratio": ratios(speeds["cached"], speeds["uncached"]),
        "cpu_ms_a_sample": rounded(processor_times),
        "cpu_ratio": ratios(processor_times["uncached"], processor_times["cached"]),
    }


def measure_connector(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """CPU time of both ways to teach the connector alone."""
    settings = dataclasses.replace(setup.recipe.connector_pretraining, scenes=str(setup.scenes), steps=options.steps)
    ways = {
        "uncached": (setup.rows, EncodingCollator(setup.model, setup.processor)),
        "cached": (setup.encoded, setup.cached),
    }
    processor_times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (data, collator) in ways.items():
            before = processor_seconds()
            pretrain_connector(setup.model, setup.processor, setup.rows, data, collator, settings, seed=0)
            samples = settings.batch_size * settings.steps
            processor_times[way].append(1e3 * (processor_seconds() - before) / samples)
    return {
        "batch": settings.batch_size,
        "cpu_ms_a_sample": rounded(processor_times),
        "cpu_ratio": ratios(processor_times["uncached"], processor_times["cached"]),
    }


class EncodingCollator:
    """Decodes and encodes a batch when it is asked for: what pre-training the connector would do without a cache."""

    def __init__(self, model: Any, processor: Any):
        self.backbone, self.collator = model.model, FavorDataCollator(processor)

    @torch.no_grad()
    def connector_inputs(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """As [`EncodedCollator.connector_inputs`], of rows with files."""
        batch = self.collator(rows)
        media = {name: value for name, value in batch.items() if name not in TEXT}
        return self.backbone.encode_media(**media)


def step_samples(recipe: Recipe) -> int:
    """Samples of an optimisation step of the last stage."""
    return recipe.sft["per_device_train_batch_size"] * PROCESSES


def processor_seconds() -> float:
    """User and system time so far, of this process and of workers that have ended."""
    return sum(os.times()[:4])


@torch.no_grad()
def storage_effect(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Each sample's loss with states stored in each dtype, against float32, and the room that they take."""
    source = model_source(options.effect)
    model = FavorForConditionalGeneration.from_pretrained(source).eval()
    processor = FavorProcessor.from_pretrained(source)
    manifest = write_split(
        folder / "data",
        "test",
        options.clips,
        seed=1,
        workers=options.workers,
        progress=False,
        prompts=AVEB_PROMPTS,
    )
    rows, losses, report = load_manifest(manifest), {}, {}
    for dtype in ("float32", "float16", "bfloat16"):
        cache = folder / dtype
        encoded, collator = encode_dataset(model, processor, rows, cache_dir=cache, dtype=dtype, progress=False)
        losses[dtype] = torch.stack([model(**collator([row])).loss for row in encoded])
        difference = (losses[dtype] - losses["float32"]).abs()
        report[dtype] = {
            "megabytes": round(sum(path.stat().st_size for path in cache.iterdir()) / 1e6, 2),
            "mean_loss": round(losses[dtype].mean().item(), 6),
            "mean_difference": float(f"{difference.mean().item():.1e}"),
            "largest_difference": float(f"{difference.max().item():.1e}"),
        }
    return {"samples": len(rows), **report}


def ratios(more: list[float], less: list[float]) -> dict[str, float]:
    """Median, lowest and highest of the rounds' ratios."""
    found = [high / low for high, low in zip(more, less, strict=True)]
    middle = statistics.median(found)
    return {"median": round(middle, 2), "lowest": round(min(found), 2), "highest": round(max(found), 2)}


def rounded(values: dict[str, list[float]]) -> dict[str, list[float]]:
    """Each way's rounds, to a tenth."""
    return {way: [round(value, 1) for value in found] for way, found in values.items()}


def main() -> None:
    """Measures and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24, help="rendered clips of each task")
    parser.add_argument("--steps", type=int, default=8, help="optimisation steps a round, the first not counted")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="processes that decode")
    parser.add_argument("--dtype", default="float16", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--effect", metavar="MODEL", help="measure what the stored dtype does to this model's loss")
    parser.add_argument("--threads", type=int, default=1, help="of the training process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        found = storage_effect(options, Path(folder)) if options.effect else measure(options, Path(folder))
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
