# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Options of every command that asks a model about media files: which model, and how the files are read."""

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from favor.model_loading import BUNDLED_NAME, PREPARED_NAME

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline
    from favor.serving import DecodingWorkers

ON_ERROR = ("raise", "warn")  # of `load_media`
DECODER_MB = 1024
MEBIBYTE = 1 << 20


def add_model_argument(parser: argparse._ActionsContainer) -> None:
    """Adds --model."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"{PREPARED_NAME} (made once, of parts that pip fetches), {BUNDLED_NAME} (default), a model folder, "
        "which goes first if it has such a name, or a Hub id",
    )


def add_media_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds --on-error."""
    parser.add_argument(
        "--on-error",
        choices=ON_ERROR,
        help="of a damaged file: refuse it, or use what can be decoded, with a warning (default: the model's own "
        "setting, else raise)",
    )


def set_media_options(pipe: "VideoTextToTextPipeline", on_error: str | None) -> None:
    """Makes the command line's option that of everything that the pipeline's processor reads."""
    if on_error is not None:
        pipe.processor.media_options = {**pipe.processor.media_options, "on_error": on_error}


def add_decoding_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds --decode-in-process and --decoder-mb, of commands that read strangers' files."""
    parser.add_argument(
        "--decode-in-process",
        action="store_true",
        help="read files in this process: for files that you trust (default: each in a confined process of its own)",
    )
    parser.add_argument(
        "--decoder-mb",
        type=float,
        metavar="MB",
        help=f"of memory that such a process may take (default: {DECODER_MB})",
    )


def decoder_bytes(arguments: argparse.Namespace) -> int | None:
    """Memory of the processes that read files; None for files that are read in this one.

    Raises:
        ValueError: for memory that is not positive, or of processes that there are none of.
    """
    memory = arguments.decoder_mb
    if memory is not None and not memory > 0:
        raise ValueError(f"--decoder-mb must be positive; got {memory}.")
    if arguments.decode_in_process:
        if memory is not None:
            raise ValueError("--decoder-mb bounds decoding processes, of which --decode-in-process makes none.")
        return None
    return int((DECODER_MB if memory is None else memory) * MEBIBYTE)


def decoding_workers(arguments: argparse.Namespace) -> "AbstractContextManager[DecodingWorkers | None]":
    """The processes that read files, or None, as the command line says.

    Raises:
        ValueError: for memory that is not positive, or of processes that there are none of.
    """
    memory_bytes = decoder_bytes(arguments)
    if memory_bytes is None:
        return nullcontext()
    from favor.serving.decoding_workers import WORKERS, DecodingWorkers

    return DecodingWorkers(WORKERS, memory_bytes)
