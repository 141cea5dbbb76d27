# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What tests of DPO and GRPO share: rows, plain references, and an optimisation step in one process or several."""

import copy
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from datasets import Dataset

from favor.trainers import (
    FavorDataCollator,
    FavorDPOConfig,
    FavorDPOTrainer,
    FavorGRPOConfig,
    FavorGRPOTrainer,
)
from favor.trainers.preference_manifest import load_rows
from favor.trainers.sample_tokens import IGNORED_LABEL
from tests.trainers.one_step import KeepGradients, start

QUIET = {
    "max_steps": 1,
    "optim": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
    "weight_decay": 0.0,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "activation_checkpointing": False,
}
ANSWERS = ("red", "the bell", "a circle, then a star", "yes")  # of a group, in turn
GROUP = len(ANSWERS)


def pair_rows(media: Path) -> list[dict[str, Any]]:
    """Four pairs: a video with its sound, one without, a still beside a sound, a sound."""
    files = [
        {"video": "clip.mp4"},
        {"video": "long_clip.mp4", "use_own_audio": False},
        {"image": "photo.png", "audio": "sound.wav"},
        {"audio": "sound.wav"},
    ]
    rows = []
    for number, held in enumerate(files):
        paths = {name: str(media / value) if isinstance(value, str) else value for name, value in held.items()}
        row = {
            "prompt": [{"role": "user", "content": "Which sound is heard first?" * (1 + number % 2)}],
            "chosen": [{"role": "assistant", "content": ANSWERS[number]}],
            "rejected": [{"role": "assistant", "content": ANSWERS[(number + 1) % GROUP]}],
            **dict.fromkeys(("video", "image", "audio")),
            "use_own_audio": True,
            "answer": ANSWERS[number],
        }
        rows.append({**row, **paths})
    return rows


def word_reward(completions: Sequence[Any], **columns: Any) -> list[float]:
    """Depends on the answer alone, wherever it is made."""
    return [len(completion[-1]["content"]) / 10 for completion in completions]


class GivenAnswers(FavorGRPOTrainer):
    """Answers of a table in place of sampled ones: the same in one process and in several."""

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        tokenizer, first = self.processing_class.tokenizer, self.accelerator.process_index * len(prompt_ids)
        answers = [ANSWERS[(first + number) % GROUP] for number in range(len(prompt_ids))]
        ends = [tokenizer.eos_token_id]
        return [tokenizer(answer, add_special_tokens=False)["input_ids"] + ends for answer in answers], None


def answer_log_probs(model: Any, processor: Any, row: dict, answer: Sequence[dict]) -> torch.Tensor:
    """(tokens,) log-probabilities of an answer's tokens, by the model's own forward on one supervised sample."""
    media = {name: row[name] for name in ("video", "image", "audio", "use_own_audio")}
    batch = FavorDataCollator(processor)([{"messages": [*row["prompt"], *answer], **media}])
    labels = batch.pop("labels")[0]
    logits = model(**batch).logits[0].float().log_softmax(-1)
    places = (labels != IGNORED_LABEL).nonzero()[:, 0]
    return logits[places - 1, labels[places]]


def token_log_probs(model: Any, processor: Any, row: dict, ids: Sequence[int]) -> torch.Tensor:
    """(tokens,) log-probabilities of tokens after a row's prompt, by the model's own forward on the row alone."""
    blocks = [{"type": kind, "path": row[kind]} for kind in ("video", "image", "audio") if row.get(kind)]
    asked = [{"role": "user", "content": [*blocks, {"type": "text", "text": row["prompt"][0]["content"]}]}]
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True}
    inputs = processor.apply_chat_template([asked], load_audio_from_video=row["use_own_audio"], **options)
    start_of_answer = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat((inputs["input_ids"], torch.tensor([list(ids)])), 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    logits = model(**inputs).logits[0].float().log_softmax(-1)
    return logits[start_of_answer - 1 : -1].gather(1, torch.tensor(ids)[:, None])[:, 0]


def preference_step(method: str, model: Any, processor: Any, rows: Any, folder: Path, **options: Any) -> Any:
    """A trainer after its steps (one by default), with the last step's `gradients`."""
    rows = rows if isinstance(rows, Dataset) else Dataset.from_list(rows)
    shared = {"model": copy.deepcopy(model), "processing_class": processor, "train_dataset": rows}
    shared |= {
        name: options.pop(name)
        for name in ("peft_config", "data_collator", "encoder_states", "reward_funcs")
        if name in options
    }
    if method == "dpo":
        defaults = {"train_sampling_strategy": "sequential", "diversity_loss_weight": 0.7, "beta": 0.5}
        arguments = FavorDPOConfig(output_dir=str(folder), **{**QUIET, **defaults, **options})
        trainer = FavorDPOTrainer(args=arguments, **shared)
    else:
        defaults = {"num_generations": GROUP, "shuffle_dataset": False, "beta": 0.1}
        arguments = FavorGRPOConfig(output_dir=str(folder), **{**QUIET, **defaults, **options})
        shared.setdefault("reward_funcs", word_reward)
        trainer = GivenAnswers(args=arguments, **shared)
    trainer.add_callback(KeepGradients(trainer))
    trainer.train()
    return trainer


def main(folder: Path, method: str, batch_size: int) -> None:
    """A process among others; the first writes its gradients and logs (started by torchrun)."""
    model, processor = start(folder / "model")
    rows = load_rows(folder / "rows.jsonl")
    trainer = preference_step(method, model, processor, rows, folder / "run", per_device_train_batch_size=batch_size)
    if trainer.args.world_size != 2 or dist.get_world_size() != 2:
        raise SystemExit(f"expected 2 processes, found {trainer.args.world_size}")
    if trainer.args.process_index == 0:
        logged = {name: value for name, value in trainer.state.log_history[0].items() if isinstance(value, float)}
        torch.save({"gradients": trainer.gradients, "logged": logged}, folder / "result.pt")


def write_rows(path: Path, rows: Sequence[dict]) -> Path:
    """A file of rows; a video that is not heard has `"audio": null`."""
    lines = []
    for row in rows:
        line = {name: value for name, value in row.items() if value is not None and name != "use_own_audio"}
        lines.append(line if row["use_own_audio"] else {**line, "audio": None})
    path.write_text("".join(json.dumps(line) + os.linesep for line in lines), encoding="utf-8")
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
