# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor doctor`: versions, accelerator, codecs and what is missing, in one block to paste into a report."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> None:
    from favor.diagnosis import diagnose

    found = diagnose()
    print("\n".join(found.lines()))
    if found.problems:
        raise ValueError(f"{len(found.problems)} problems, see above.")
