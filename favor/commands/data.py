# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor data`: reads training data as training would, counts it, names what is broken, and shows samples."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", metavar="DATA", help="a manifest, a folder or an id of the Hub; see docs/training-data.md"
    )
    parser.add_argument("--model", metavar="MODEL", help="whose processor reads it (default: the bundled model's)")
    parser.add_argument(
        "--page", type=Path, metavar="FILE.html", help="write a page of samples as the model sees them"
    )
    parser.add_argument("--samples", type=int, default=12, metavar="N", help="on the page (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="read no more samples than the first N")


def run(arguments: argparse.Namespace) -> None:
    for name in ("samples", "limit"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}.")
    from tqdm import tqdm

    from favor.data_page import survey_lines, survey_page
    from favor.model_loading import model_source, source_and_revision
    from favor.processing import FavorProcessor
    from favor.trainers.data_survey import survey

    source, revision = source_and_revision(model_source(arguments.model))
    processor = FavorProcessor.from_pretrained(source, revision=revision)
    show = arguments.samples if arguments.page is not None else 0
    found = survey(
        arguments.data, processor, arguments.limit, show, lambda rows: tqdm(rows, "reading", file=sys.stderr)
    )
    if not found.samples:
        raise ValueError(f"{arguments.data} holds no sample.")
    if arguments.page is not None:
        arguments.page.parent.mkdir(parents=True, exist_ok=True)
        arguments.page.write_text(survey_page(arguments.data, found), encoding="utf-8")
    print("\n".join(survey_lines(arguments.data, found)))
    if arguments.page is not None:
        print(arguments.page)
