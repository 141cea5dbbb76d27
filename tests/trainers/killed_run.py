# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A training run that is killed with SIGKILL at a step, or in the middle of saving its checkpoint."""

import json
import os
import signal
import sys
from pathlib import Path

from transformers import Trainer

from favor.rewards import reward_functions
from favor.trainers import FavorDPOTrainer, FavorGRPOTrainer, FavorSFTTrainer
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_preferences import run_preference_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.recipe_sections import Recipe

TRAINERS = {"sft": FavorSFTTrainer, "dpo": FavorDPOTrainer, "grpo": FavorGRPOTrainer}


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(recipe: Recipe) -> Path:
    """As the commands do."""
    if recipe.method == "sft":
        return run_recipe(recipe)
    return run_preference_recipe(recipe, reward_funcs=reward_functions(recipe.rewards))


def die_at_step(trainer_class: type, stage: int, step: int) -> None:
    """After the optimiser's step, before a checkpoint of that step."""
    training_step = trainer_class.training_step

    def step_and_die(trainer, *args, **kwargs):
        loss = training_step(trainer, *args, **kwargs)
        here = Path(trainer.args.output_dir).name
        if trainer.state.global_step == step and (stage == 0 or here == f"stage-{stage}"):
            kill()
        return loss

    trainer_class.training_step = step_and_die


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
    recipe = parse_recipe(json.loads(Path(sys.argv[1]).read_text()))
    if how == "saving":
        die_while_saving(at)
    else:
        die_at_step(TRAINERS[recipe.method], stage, at)
    run(recipe)
