# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A training run that is killed with SIGKILL at a step, or in the middle of saving its checkpoint."""

import json
import os
import signal
import sys
from pathlib import Path

from transformers import Trainer

from favor.trainers import FavorSFTTrainer
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(stage: int, step: int) -> None:
    """After the optimiser's step, before a checkpoint of that step."""
    training_step = FavorSFTTrainer.training_step

    def step_and_die(trainer, *args, **kwargs):
        loss = training_step(trainer, *args, **kwargs)
        here = Path(trainer.args.output_dir).name
        if trainer.state.global_step == step and (stage == 0 or here == f"stage-{stage}"):
            kill()
        return loss

    FavorSFTTrainer.training_step = step_and_die


def die_while_saving(step: int) -> None:
    """The weights are written, the optimiser's state is torn."""
    save = Trainer._save_optimizer_and_scheduler

    def save_and_die(trainer, output_dir):
        save(trainer, output_dir)
        if trainer.state.global_step == step:
            with open(Path(output_dir) / "optimizer.pt", "rb+") as file:
                file.truncate(100)
            kill()

    Trainer._save_optimizer_and_scheduler = save_and_die


if __name__ == "__main__":
    how, stage, at = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if how == "saving":
        die_while_saving(at)
    else:
        die_at_step(stage, at)
    run_recipe(parse_recipe(json.loads(Path(sys.argv[1]).read_text())))
