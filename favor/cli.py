# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The command `favor`: finds the subcommand, runs it, and turns bad input into one line on stderr and exit status 2.

Each subcommand is a module of this package with `add_arguments(parser)` and `run(arguments)`. Only the module of the
subcommand asked for is imported, and it imports torch and transformers inside `run`: `favor --help` stays quick.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from . import __version__
from .extras import extra_of
from .third_party_noise import silence_announcements

COMMANDS = {
    "demo": "ask the package's models about files and clips that no training used, and score the answers",
    "ask": "answer a question about a video, an image or a sound",
    "app": "open a web page to talk to a video",
    "data": "look at training data: counts, lengths, what is broken, and samples as the model sees them",
    "sft": "train a model by a recipe",
    "dpo": "train a model on preferences between answers, by a recipe",
    "grpo": "train a model on rewards of its own answers, by a recipe",
    "eval": "score a model on the AVEB benchmark or on your own questions, and write the report",
    "serve": "answer chat completions over HTTP, as OpenAI's API does",
    "synth": "render training and test clips with known answers: AVEB-mini, or the world of real things",
    "assemble": "make a model folder of public checkpoints: a language model, a Whisper and a vision tower",
    "convert": "put a released FAVOR checkpoint on top of the public checkpoints it was trained with",
    "export": "write a model folder in the layout of the Hub, code included",
    "doctor": "say what is installed, what it can do, and what is missing",
    "push": "upload a model folder or an adapter to the Hub, with its code and its card",
    "push-dataset": "upload questions and their media to the Hub as a data set",
}
BAD_INPUT = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `favor` with the arguments of the command line, or with `argv`; returns the exit status."""
    if argv is None:  # a command line of its own, not a call of another program
        silence_announcements()
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(argv).parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"favor: error: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="favor", description="FAVOR, an audio-visual large language model.")
    parser.add_argument("--version", action="version", version=f"favor {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked_for = next((argument for argument in argv if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == asked_for:
            command = importlib.import_module(f"favor.commands.{name.replace('-', '_')}")
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    return parser


def _one_line(error: Exception) -> str:
    """The error's message on one line, with the file first and the remedy for a package that is not installed."""
    if isinstance(error, ModuleNotFoundError):
        extra = extra_of(error)
        if extra is None:
            raise error
        return f"this command needs the package {error.name}, which is not installed: pip install 'favor[{extra}]'"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
