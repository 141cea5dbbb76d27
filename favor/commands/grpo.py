# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor grpo`: trains a model on rewards of its own answers, by a recipe."""

import argparse

from .sft import add_arguments, run_method

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> None:
    run_method(arguments, "grpo")
