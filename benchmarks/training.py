# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Time and memory of a training step, as ratios to the language model's own step and to the encoders alone.

    python -m benchmarks.training                       # favor-tiny, 120 rendered clips, 24 steps a way
    python -m benchmarks.training --clips 24 --steps 8  # a minute or two
    python -m benchmarks.training --grpo                # GRPO's step, to TRL's own of the bare language model

Every way is a process of its own, on the same samples in the same order, of the bundled model (all but its encoders
trained, batches of favor-tiny's recipe, AdamW). Times are medians over the steps after the first three. Ways:

- `language model`: transformers' causal language model of the same config, on as many tokens, with AdamW.
- `encoders`: vision tower, visual Q-Former and audio tower on the batch's media, without gradients.
- `FAVOR`: FavorSFTTrainer, files decoded by two loader workers. `waiting`: share of the time in which the step waited
  for the next batch.
- `FAVOR, no workers`: the same, decoding in the training process.
- `FAVOR, cached`: FavorSFTTrainer on cached encoder states (`cache_encoder_states`), two loader workers.

Memory is the peak resident memory above that before the first step, of the training process alone.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .training_grpo import GRPO_WAYS, grpo, grpo_table

REPOSITORY = Path(__file__).parents[1]
MODEL = REPOSITORY / "favor" / "favor_tiny"
WAYS = ("language model", "encoders", "FAVOR", "FAVOR, no workers", "FAVOR, cached")
WARM_UP = 3  # steps


def peak_memory() -> int:
    """Bytes of this process, the most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Stopwatch:
    """Times of steps, and of waiting for their batches."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.waits: list[float] = []
        self.memory_before = peak_memory()

    def result(self, samples: int) -> dict[str, float]:
        steps, waits = self.steps[WARM_UP:], self.waits[WARM_UP:]
        return {
            "step_seconds": statistics.median(steps),
            "samples_per_second": samples * len(steps) / sum(steps),
            "waiting_share": sum(waits) / sum(steps) if waits else 0.0,
            "memory_bytes": peak_memory() - self.memory_before,
        }


def load() -> tuple[Any, Any]:
    from favor.modeling_favor import FavorForConditionalGeneration
    from favor.processing import FavorProcessor

    return FavorForConditionalGeneration.from_pretrained(MODEL), FavorProcessor.from_pretrained(MODEL)


def batches(manifest: Path, steps: int, batch_size: int) -> tuple[Any, list[dict]]:
    """The model, and the batches that a trainer without shuffling would see."""
    from favor.trainers import FavorDataCollator, load_manifest

    model, processor = load()
    rows = load_manifest(manifest)
    collate = FavorDataCollator(processor)
    order = [number % len(rows) for number in range(steps * batch_size)]
    chunks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return model, [collate([rows[number] for number in chunk]) for chunk in chunks]


def language_model(manifest: Path, steps: int, batch_size: int) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    favor, inputs = batches(manifest, steps, batch_size)
    model = AutoModelForCausalLM.from_config(favor.config.text_config)
    del favor
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    watch = Stopwatch()
    for batch in inputs:
        start = time.perf_counter()
        ids = batch["input_ids"].clamp(max=model.config.vocab_size - 1)
        model(input_ids=ids, attention_mask=batch["attention_mask"], labels=batch["labels"]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        watch.steps.append(time.perf_counter() - start)
    return watch.result(batch_size)


def encoders(manifest: Path, steps: int, batch_size: int) -> dict[str, float]:
    import torch

    model, inputs = batches(manifest, steps, batch_size)
    model.eval()
    watch = Stopwatch()
    for batch in inputs:
        media = {n: value for n, value in batch.items() if n not in ("input_ids", "attention_mask", "labels")}
        start = time.perf_counter()
        with torch.no_grad():
            model.model.encode_media(**media)
        watch.steps.append(time.perf_counter() - start)
    return watch.result(batch_size)


def favor(manifest: Path, steps: int, batch_size: int, workers: int, cached: bool) -> dict[str, float]:
    from transformers import TrainerCallback

    from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest
    from favor.trainers.encoder_cache import encode_dataset

    model, processor = load()
    rows, collator = load_manifest(manifest), None
    if cached:
        rows, collator = encode_dataset(model, processor, rows, progress=False)

    class TimedTrainer(FavorSFTTrainer):
        def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = super().get_batch_samples(*args, **kwargs)
            watch.waits.append(time.perf_counter() - start)
            return result

    class StepEnds(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = FavorSFTConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            dataloader_num_workers=workers,
            dataloader_drop_last=True,
            dataloader_persistent_workers=workers > 0,
            learning_rate=1e-4,
            activation_checkpointing=False,
            train_sampling_strategy="sequential",
            logging_steps=1000,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = TimedTrainer(
            model=model, args=arguments, processing_class=processor, data_collator=collator, train_dataset=rows
        )
        trainer.add_callback(StepEnds())
        watch, ends = Stopwatch(), [time.perf_counter()]
        trainer.train()
    watch.steps = [end - start for start, end in zip(ends, ends[1:], strict=False)]
    return watch.result(batch_size)


def measure(way: str, manifest: Path, steps: int, batch_size: int) -> dict[str, float]:
    """One way, in this process."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if way == "language model":
        return language_model(manifest, steps, batch_size)
    if way == "encoders":
        return encoders(manifest, steps, batch_size)
    if way in GRPO_WAYS:
        return grpo(way, manifest, steps, batch_size, load, Stopwatch)
    return favor(manifest, steps, batch_size, workers=0 if "no workers" in way else 2, cached="cached" in way)


def measure_apart(way: str, manifest: Path, steps: int, batch_size: int) -> dict[str, float]:
    """One way, in a process of its own."""
    numbers = ["--steps", str(steps), "--batch-size", str(batch_size)]
    command = [sys.executable, "-m", "benchmarks.training", "--way", way, "--manifest", str(manifest), *numbers]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    floor, encoding = results["language model"]["step_seconds"], results["encoders"]["step_seconds"]
    lines = [
        "| way | step, ms | to language model | to language model + encoders | samples/s | waiting | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, found in results.items():
        step = found["step_seconds"]
        lines.append(
            f"| {way} | {1000 * step:.0f} | {step / floor:.2f} | {step / (floor + encoding):.2f} | "
            f"{found['samples_per_second']:.1f} | {100 * found['waiting_share']:.1f} % | "
            f"{found['memory_bytes'] / 1e6:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=120, help="rendered clips, six to ten questions each")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=16, help="as in favor-tiny's recipe")
    parser.add_argument("--grpo", action="store_true", help="the steps of GRPO instead")
    parser.add_argument("--way", choices=(*WAYS, *GRPO_WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--manifest", type=Path, help="instead of rendered clips")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.manifest, arguments.steps, arguments.batch_size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        manifest = arguments.manifest
        if manifest is None:
            from favor.aveb_prompts import AVEB_PROMPTS
            from favor.worlds.mini.dataset import write_split

            manifest = write_split(
                Path(folder), "train", arguments.clips, seed=7, progress=False, prompts=AVEB_PROMPTS
            )
        ways = GRPO_WAYS if arguments.grpo else WAYS
        results = {way: measure_apart(way, manifest, arguments.steps, arguments.batch_size) for way in ways}
    if arguments.grpo:
        print(f"{platform.processor() or platform.machine()}, one thread\n\n{grpo_table(results)}")
        return
    print(f"{platform.processor() or platform.machine()}, one thread and two loader workers\n\n{table(results)}")
    ratio = results["FAVOR, cached"]["samples_per_second"] / results["FAVOR"]["samples_per_second"]
    print(f"\ncached: {ratio:.1f} x the samples per second of uncached")


if __name__ == "__main__":
    main()
