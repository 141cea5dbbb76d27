# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor push-dataset`: uploads questions and their media to the Hub as one commit, with a card and checksums."""

import argparse
from pathlib import Path

from .push import add_card_facts, add_destination, destination_of, print_list, print_uploaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="train.jsonl, test.jsonl, ... and the media that they name")
    add_destination(parser)
    parser.add_argument(
        "--format",
        default="folder",
        choices=("folder", "webdataset", "parquet"),
        help="files as they are (default), tar shards to be streamed, or parquet with the media inside",
    )
    parser.add_argument("--overwrite-card", action="store_true", help="replace a README.md that you wrote by hand")
    card = parser.add_argument_group("facts for the card; what is left out is stated as missing")
    add_card_facts(card, license_required=True)
    card.add_argument("--source", metavar="TEXT", help="where the media come from")
    card.add_argument(
        "--about", metavar="FILE", type=Path, help="Markdown on what the data are and how they were checked"
    )


def run(arguments: argparse.Namespace) -> None:
    from favor.hub_upload.dataset_card import DatasetFacts
    from favor.hub_upload.dataset_repo import DATASET_FILES, dataset_repository
    from favor.hub_upload.upload import upload

    facts = DatasetFacts(
        license=arguments.license,
        license_name=arguments.license_name,
        license_link=arguments.license_link,
        languages=tuple(arguments.language),
        source=arguments.source,
        about=arguments.about.read_text(encoding="utf-8") if arguments.about else None,
    )
    destination = destination_of(arguments, "dataset")
    with dataset_repository(
        arguments.folder, destination, facts, arguments.format, arguments.overwrite_card
    ) as outgoing:
        print_list(outgoing)
        if not arguments.dry_run:
            print_uploaded(upload(outgoing, destination, DATASET_FILES))
