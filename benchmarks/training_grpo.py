# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Time of a GRPO step of FAVOR beside TRL's own of the bare language model on as many tokens; see benchmarks.training.

Each answer has ANSWER_TOKENS tokens, whatever is said, each prompt as many tokens as FAVOR's, and each answer a random
reward: sampling and the step cost the same but for media, encoders and connector. Times are the process's own, on one
thread and without loader workers, so that what else the machine does is not in them.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GRPO_WAYS = ("GRPO, language model", "GRPO, FAVOR", "GRPO, FAVOR, cached")
ANSWERS = 8  # to a prompt
ANSWER_TOKENS = 16


def chance(completions: Sequence[Any], **columns: Any) -> list[float]:
    """A reward that says nothing, and is never the same for a whole group."""
    return [random.random() for _ in completions]


def options(folder: str, steps: int, batch_size: int) -> dict[str, Any]:
    """Of both trainers."""
    return {
        "output_dir": folder,
        "max_steps": steps,
        "per_device_train_batch_size": batch_size,
        "num_generations": ANSWERS,
        "max_completion_length": ANSWER_TOKENS,
        "generation_kwargs": {"min_new_tokens": ANSWER_TOKENS},
        "learning_rate": 1e-6,
        "shuffle_dataset": False,
        "logging_steps": 1000,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "activation_checkpointing": False,
        "use_cpu": True,
    }


def grpo(way: str, manifest: Path, steps: int, batch_size: int, load: Any, stopwatch: Any) -> dict[str, float]:
    """One way, in this process."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from favor.trainers import FavorGRPOConfig, FavorGRPOTrainer, encode_prompts, load_manifest

    model, processor = load()
    rows, states = load_manifest(manifest), None
    asked = batch_size // ANSWERS
    rows = rows.select([number % len(rows) for number in range(steps * asked)])
    if "cached" in way:
        rows, states = encode_prompts(model, processor, rows, workers=0, progress=False)

    class StepEnds(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        shared = options(folder, steps, batch_size)
        favor_arguments = FavorGRPOConfig(**shared, logged_answers=0)
        trainer: Any = FavorGRPOTrainer(
            model=model,
            args=favor_arguments,
            reward_funcs=chance,
            processing_class=processor,
            train_dataset=rows,
            encoder_states=states,
        )
        if way == GRPO_WAYS[0]:
            ids = [trainer.ask(row).input_ids for row in rows]
            trainer = bare_trainer(GRPOTrainer, ids)(
                model=AutoModelForCausalLM.from_config(model.config.text_config),
                args=GRPOConfig(**shared),
                reward_funcs=chance,
                processing_class=processor.tokenizer,
                train_dataset=Dataset.from_dict({"prompt": [str(number) for number in range(len(ids))]}),
            )
        trainer.add_callback(StepEnds())
        watch, ends = stopwatch(), [time.process_time()]
        trainer.train()
    watch.steps = [end - start for start, end in zip(ends, ends[1:], strict=False)]
    return watch.result(batch_size)


def bare_trainer(base: type, ids: list[list[int]]) -> type:
    """TRL's trainer on prompts of given tokens: a prompt's text is its number."""

    class BareTrainer(base):  # type: ignore[misc]  # a class of TRL
        def _tokenize_prompts(self, prompts: list) -> tuple:
            largest = self.model.config.vocab_size - 1
            return [[min(token, largest) for token in ids[int(prompt)]] for prompt in prompts], None, {}

    return BareTrainer


def grpo_table(results: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    floor = results[GRPO_WAYS[0]]["step_seconds"]
    lines = ["| way | step, ms | to TRL's of the language model | answers/s | memory, MB |", "|---|---|---|---|---|"]
    for way, found in results.items():
        step = found["step_seconds"]
        answers, memory = found["samples_per_second"], found["memory_bytes"] / 1e6
        lines.append(f"| {way} | {1000 * step:.0f} | {step / floor:.2f} | {answers:.1f} | {memory:.0f} |")
    return "\n".join(lines)
