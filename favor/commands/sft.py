# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor sft`: trains a model by a recipe."""

import argparse
import os
import shlex
import sys
from pathlib import Path


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
    overrides = parse_overrides(arguments.overrides)
    from yaml import YAMLError

    from favor.recipes import open_recipe

    try:
        recipe = open_recipe(arguments.recipe, overrides)
    except YAMLError as error:
        raise ValueError(f"{arguments.recipe} or a value given for it is no valid YAML: {error}") from error
    from favor.trainers.recipe_run import run_recipe

    first_process = os.environ.get("RANK", "0") == "0"  # of torchrun or accelerate launch
    if first_process:
        print(f"Training by {arguments.recipe} ...", file=sys.stderr)
    try:
        folder = run_recipe(recipe, Path(arguments.recipe).name)
    except KeyboardInterrupt:
        if first_process:
            print(f"\nStopped. Go on where it was with: {command_to_go_on(arguments)}", file=sys.stderr)
        raise
    if first_process:
        print(folder)


def command_to_go_on(arguments: argparse.Namespace) -> str:
    """The command that resumes the run that these arguments started."""
    overrides = parse_overrides(arguments.overrides)
    given = [part for key, value in overrides.items() if key != "resume" for part in (f"--{key}", value)]
    return shlex.join(["favor", "sft", arguments.recipe, *given, "--resume", "auto"])


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
