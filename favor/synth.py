# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor synth OUT_DIR`: renders a split of AVEB-mini."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `favor synth`."""
    parser.add_argument("out_dir", help="folder to write to")
    parser.add_argument("--task", default="all", help='"all", or tasks or question families separated by commas')
    parser.add_argument("--count", type=int, default=200, help="number of clips")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same clips")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test", "compositional"))
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument(
        "--every-question", action="store_true", help="ask all that can be asked of a clip, not six to ten questions"
    )


def run(args: argparse.Namespace) -> int:
    """Renders the split, and prints where its questions are."""
    from evaluation.aveb_mini.dataset import write_split

    path = write_split(
        args.out_dir,
        args.split,
        args.count,
        args.seed,
        tasks=args.task,
        workers=args.workers,
        every_question=args.every_question,
    )
    print(path)
    return 0
