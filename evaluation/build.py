# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Builds the tasks that have no published files, or whose pairs can be drawn anew: ISQA and AVM.

    python -m favor.evaluation.build isqa TEXTVQA.json GQA.json OUT_DIR --voice "en=espeak-ng -v en -w {out} {text}"
    python -m favor.evaluation.build avm SpokenCOCO_val.json vggss.json OUT_DIR

OUT_DIR is `--annotations` of `favor eval` afterwards.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .readers.sounds import build_matching
from .readers.spoken_questions import Speaker, build_isqa, tts_command
from .tasks import TASKS

BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Builds what the arguments say, and prints the annotation file; one line on stderr and 2 for bad input."""
    arguments = _parser().parse_args(argv)
    try:
        print(arguments.build(arguments))
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"evaluation.build: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m favor.evaluation.build", description="Build tasks of AVEB.")
    subparsers = parser.add_subparsers(title="tasks", metavar="TASK", required=True)
    isqa = subparsers.add_parser("isqa", help="have questions of TextVQA and GQA spoken")
    isqa.add_argument("textvqa", type=Path, metavar="TEXTVQA", help="TextVQA's or SAVEBench's questions")
    isqa.add_argument("gqa", type=Path, metavar="GQA", help="GQA's or SAVEBench's questions")
    isqa.add_argument(
        "--voice",
        action="append",
        required=True,
        metavar="NAME=COMMAND",
        help="a voice: its name for the file, and the command that speaks {text} to the file {out}, run without a "
        "shell; of several, each question gets one by lot",
    )
    isqa.add_argument("--textvqa-images", type=Path, metavar="DIR", help="default: beside the questions")
    isqa.add_argument("--gqa-images", type=Path, metavar="DIR", help="default: beside the questions")
    isqa.set_defaults(build=_build_isqa)
    avm = subparsers.add_parser("avm", help="draw pairs of picture and sound that match or do not")
    avm.add_argument("spoken_coco", type=Path, metavar="SPOKENCOCO", help="SpokenCOCO_val.json")
    avm.add_argument("vggss", type=Path, metavar="VGGSS", help="vggss.json")
    avm.set_defaults(build=_build_avm)
    for task, count in ((isqa, 1000), (avm, 500)):
        task.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="folder to write to")
        task.add_argument("--count", type=int, default=count, metavar="N", help=f"of each file (default: {count})")
        task.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn (default: 0)")
    return parser


def _build_isqa(arguments: argparse.Namespace) -> Path:
    return build_isqa(
        arguments.textvqa,
        arguments.gqa,
        arguments.out_dir,
        _voices(arguments.voice),
        arguments.textvqa_images,
        arguments.gqa_images,
        arguments.count,
        arguments.seed,
        progress=True,
    )


def _build_avm(arguments: argparse.Namespace) -> Path:
    out = arguments.out_dir / TASKS["avm"].data.annotation
    build_matching(arguments.spoken_coco, arguments.vggss, out, arguments.count, arguments.seed)
    return out


def _voices(entries: Sequence[str]) -> dict[str, Speaker]:
    """`["en=espeak-ng -w {out} {text}"]` as speakers by name."""
    voices: dict[str, Speaker] = {}
    for entry in entries:
        name, equals, command = (part.strip() for part in entry.partition("="))
        if not name or not equals or not command or name in voices:
            raise ValueError(f"--voice {entry!r} is not NAME=COMMAND with a name of its own.")
        voices[name] = tts_command(command)
    return voices


if __name__ == "__main__":
    sys.exit(main())
