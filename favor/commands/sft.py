# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor sft`: trains a model by a recipe; `favor dpo` and `favor grpo` come here, too."""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.rewards import RewardFunction
    from favor.trainers.recipe_sections import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE.yaml", help="what to train, on what, and how; see recipes/")
    parser.add_argument(
        "overrides",
        metavar="--key value",
        nargs=argparse.REMAINDER,
        help="entries of the recipe to change: --output_dir runs/mine --sft.max_steps 100 --stages.0.sft.max_steps 9 "
        "--resume auto",
    )


def run(arguments: argparse.Namespace) -> None:
    run_method(arguments, "sft")


def run_method(arguments: argparse.Namespace, method: str) -> None:
    """Runs a recipe of a method: "sft", "dpo" or "grpo". Raises `ValueError` for a recipe of another."""
    overrides = parse_overrides(arguments.overrides)
    from yaml import YAMLError

    from favor.recipes import open_recipe

    try:
        recipe = open_recipe(arguments.recipe, overrides)
    except YAMLError as error:
        raise ValueError(f"{arguments.recipe} or a value given for it is no valid YAML: {error}") from error
    if recipe.method != method:
        raise ValueError(
            f"{arguments.recipe} is a recipe of `{recipe.method}`: favor {recipe.method} {arguments.recipe} runs it."
        )
    rewards = []
    if recipe.rewards:
        from favor.rewards import reward_functions

        rewards = reward_functions(recipe.rewards)

    first_process = os.environ.get("RANK", "0") == "0"  # of torchrun or accelerate launch
    if first_process:
        print(f"Training by {arguments.recipe} ...", file=sys.stderr)
    try:
        folder = train(recipe, Path(arguments.recipe).name, rewards)
    except KeyboardInterrupt:
        if first_process:
            print(f"\nStopped. Go on where it was with: {command_to_go_on(arguments, method)}", file=sys.stderr)
        raise
    if first_process:
        print(folder)


def train(recipe: "Recipe", name: str, rewards: list["RewardFunction"]) -> Path:
    """Runs a recipe by the trainer of its method."""
    if recipe.method == "sft":
        from favor.trainers.recipe_run import run_recipe

        return run_recipe(recipe, name)
    from favor.trainers.recipe_preferences import run_preference_recipe

    return run_preference_recipe(recipe, name, rewards)


def command_to_go_on(arguments: argparse.Namespace, method: str = "sft") -> str:
    """The command that resumes the run that these arguments started."""
    overrides = parse_overrides(arguments.overrides)
    given = [part for key, value in overrides.items() if key != "resume" for part in (f"--{key}", value)]
    return shlex.join(["favor", method, arguments.recipe, *given, "--resume", "auto"])


def parse_overrides(arguments: list[str]) -> dict[str, str]:
    """`["--sft.max_steps", "100", "--seed=1"]` as `{"sft.max_steps": "100", "seed": "1"}`.

    Raises `ValueError` for a key without `--` or without a value.
    """
    overrides, waiting = {}, list(arguments)
    while waiting:
        key, equals, value = waiting.pop(0).partition("=")
        if not key.startswith("--") or len(key) == 2:
            raise ValueError(f"{key!r} is no --key: write overrides as --key value, for example --sft.max_steps 100.")
        if not equals:
            if not waiting or waiting[0].startswith("--"):
                raise ValueError(f"{key} has no value: write {key} VALUE.")
            value = waiting.pop(0)
        overrides[key.removeprefix("--")] = value
    return overrides
