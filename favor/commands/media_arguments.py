# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Options that say how media files are read, for every command that reads some by a pipeline."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline

ON_ERROR = ("raise", "warn")  # of `load_media`


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
