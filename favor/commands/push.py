# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor push`: uploads a model folder or an adapter to the Hub as one commit, with its code and its card."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.hub_upload.model_card import ModelScores
    from favor.hub_upload.outgoing_files import Outgoing
    from favor.hub_upload.upload import Destination, Uploaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model_dir", metavar="MODEL_DIR", help="folder of a model, or of a PEFT adapter")
    add_destination(parser)
    parser.add_argument("--merge", action="store_true", help="publish an adapter merged into its base model")
    parser.add_argument("--base-model", metavar="ID", help="Hub id of the model that this one was made from")
    parser.add_argument("--card-only", action="store_true", help="write the card into MODEL_DIR and upload nothing")
    parser.add_argument("--overwrite-card", action="store_true", help="replace a README.md that you wrote by hand")
    card = parser.add_argument_group("facts for the model card; what is left out is stated as missing")
    add_card_facts(card)
    card.add_argument("--relation", metavar="HOW", help="to the base model: finetune, adapter, merge or quantized")
    card.add_argument(
        "--dataset", action="append", default=[], metavar="ID", help="Hub id of training data; repeatable"
    )
    card.add_argument("--recipe", type=Path, metavar="FILE", help="the recipe of `favor sft` that trained it")
    card.add_argument("--results", type=Path, metavar="FILE", help="results.json of `favor eval`")
    card.add_argument("--eval-dataset", metavar="ID", help="Hub id of the benchmark, for .eval_results")


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Arguments that `favor push` and `favor push-dataset` share."""
    parser.add_argument("repo_id", metavar="ORG/NAME", help="repository; made if it does not exist")
    parser.add_argument("--public", action="store_true", help="let everybody see a new repository (default: private)")
    parser.add_argument("--dry-run", action="store_true", help="list what would be done, and do nothing")
    parser.add_argument("--revision", metavar="BRANCH", help="an existing branch (default: main)")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead of changing main")
    parser.add_argument("--message", metavar="TEXT", help="title of the commit")


def add_card_facts(card: argparse._ArgumentGroup, license_required: bool = False) -> None:
    card.add_argument(
        "--license", metavar="NAME", required=license_required, help="the Hub's name of it: apache-2.0, cc-by-4.0, ..."
    )
    card.add_argument("--license-name", metavar="TEXT", help="with --license other: its name")
    card.add_argument("--license-link", metavar="URL", help="with --license other: where it can be read")
    card.add_argument("--language", action="append", default=[], metavar="CODE", help="ISO 639 code; repeatable")


def run(arguments: argparse.Namespace) -> None:
    from transformers.utils import logging

    from favor.hub_upload.model_card import CardFacts
    from favor.hub_upload.outgoing_files import MODEL_FILES
    from favor.hub_upload.push import model_repository
    from favor.hub_upload.upload import upload
    from favor.model_loading import named_folder

    logging.set_verbosity_error()
    facts = CardFacts(
        license=arguments.license,
        license_name=arguments.license_name,
        license_link=arguments.license_link,
        relation=arguments.relation,
        datasets=tuple(arguments.dataset),
        languages=tuple(arguments.language),
        recipe=arguments.recipe,
        scores=None if arguments.results is None else read_scores(arguments.results),
        eval_dataset=arguments.eval_dataset,
    )
    destination, folder = destination_of(arguments, "model"), named_folder(arguments.model_dir)
    with model_repository(
        folder, destination, facts, arguments.merge, arguments.base_model, arguments.overwrite_card
    ) as outgoing:
        if arguments.card_only:
            _write_card_files(outgoing, Path(folder), dry_run=arguments.dry_run)
            return
        print_list(outgoing)
        if not arguments.dry_run:
            print_uploaded(upload(outgoing, destination, MODEL_FILES))


def read_scores(path: Path) -> "ModelScores":
    """What the card states of a results.json, or of its folder.

    Raises `ValueError` for a broken file, a baseline or a control run: these are not the model's scores.
    """
    from favor.evaluation.results import read_model_results
    from favor.hub_upload.model_card import ModelScores, TaskScore

    results = read_model_results(path)
    command = results.measured_with or "favor eval"
    fps = results.settings.fps
    return ModelScores(
        measured_with=f"`{command}`" + ("" if fps is None else f" at {fps:g} frames per second"),
        tasks=tuple(
            TaskScore(
                task=task,
                dataset=entry.dataset,
                metric=entry.metric,
                value=entry.headline.value,
                interval=entry.headline.ci95,
                samples=entry.headline.n,
                published_samples=entry.published_samples,
                reason=entry.headline.reason,
            )
            for task, entry in results.tasks.items()
        ),
    )


def destination_of(arguments: argparse.Namespace, kind: str) -> "Destination":
    """What `add_destination` declared."""
    from favor.hub_upload.upload import Destination

    return Destination(
        arguments.repo_id, kind, arguments.public, arguments.revision, arguments.create_pr, arguments.message
    )


def print_list(outgoing: "Outgoing") -> None:
    """What will be uploaded and what stays, with sizes in bytes."""
    for file in outgoing.files:
        print(f"{file.size:>14,}  {file.path}")
    print(f"{outgoing.size:>14,}  bytes in {len(outgoing.files)} files")
    for name in outgoing.left_out:
        print(f"left out: {name}")
    for note in outgoing.notes:
        print(f"note: {note}")
    sys.stdout.flush()


def print_uploaded(uploaded: "Uploaded") -> None:
    for path in uploaded.deleted:
        print(f"deleted there: {path}")
    print(f"{uploaded.url} ({'private' if uploaded.private else 'public'}, commit {uploaded.commit})")


def _write_card_files(outgoing: "Outgoing", folder: Path, dry_run: bool) -> None:
    """Writes the card's files that differ from the folder's, or only names them."""
    from favor.hub_upload.export import CARD_FILES

    for path in CARD_FILES:
        source, target = outgoing.source(path), folder / path
        if source is None or source == target:
            continue
        if dry_run:
            print(f"would be written: {target}")
            continue
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        print(target)
