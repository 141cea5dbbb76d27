# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor synth OUT_DIR`: renders a split of AVEB-mini, or of the world of real things."""

import argparse
import os
import sys
from pathlib import Path

from favor.worlds.mini.difficulty import DIFFICULTIES
from favor.worlds.mini.world import SPLITS as MINI_SPLITS
from favor.worlds.real.assets import SPLITS as REAL_SPLITS

_EPILOG = """\
--task takes names separated by commas:
  all            the eleven tasks of AVEB, COUNT items of each
  asr ac ic ocr vqa video_qa avsr avsd isqa avssd avm
                 one of them
 of --world mini:
  moments        clips of one moving shape at a time, COUNT of them
  image_video_qa audio_qa av_qa timeline, or a family of questions such as screen_word
                 moments of which at least one such question can be asked
 of --world real:
  name_picture name_sound spoken_thing
                 one thing at a time: what is shown, what sounds, what is named
  asr_free       free English sentences

--split:
  mini: train, validation; test and compositional have combinations that these have not
  real: train, validation; test (unseen vendor, sounds and voice), photos, people, joe (Piper's voice)

files in OUT_DIR:
  media/               .mp4, .png or .jpg, and .wav files
  SPLIT.jsonl          one line per question or dialogue, as favor sft reads them
  SPLIT_scenes.jsonl   one line per item: labels of every picture and sound, ground truth
  TASK.jsonl           one line per question, as favor eval reads them; not for the split train

docs/aveb-mini.md and docs/real-world.md describe the worlds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `favor synth`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("out_dir", help="folder to write to; it must not hold a rendered split")
    parser.add_argument(
        "--world",
        default="mini",
        choices=("mini", "real"),
        help="coloured shapes (default), or real things, whose pictures, sounds and voices are fetched at first",
    )
    parser.add_argument("--task", help="what to render, see below (default: moments of mini, all of real)")
    parser.add_argument("--count", type=int, default=200, help="number of items of each task (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files (default: 0)")
    parser.add_argument(
        "--split",
        default="test",
        choices=tuple(dict.fromkeys((*MINI_SPLITS, *REAL_SPLITS))),
        help="which of the world's splits, see below (default: test)",
    )
    parser.add_argument(
        "--difficulty",
        default="standard",
        choices=tuple(DIFFICULTIES),
        help="of mini: how many words and shapes, how much noise; moments have no levels (default: standard)",
    )
    parser.add_argument(
        "--assets",
        help="of real: folder for the packages it is made of, 0.8 GB (default: favor/real-world in the user's cache)",
    )
    parser.add_argument(
        "--sounds", help="of real: ESC-50's checkout, or a folder of ESC-10's recordings named CLASS-FOLD-CLIP"
    )
    parser.add_argument("--digits", help="of real: the folder of the Free Spoken Digit Dataset's recordings")
    parser.add_argument(
        "--without",
        metavar="ORIGIN",
        help="of real: leave out what is of these origins, separated by commas: stamps (GPL), noto, fluent, ...",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")
    parser.add_argument(
        "--every-question",
        action="store_true",
        help="ask all that can be asked of an item, for training; else a few questions, the task's own among them",
    )
    parser.add_argument(
        "--no-media",
        action="store_true",
        help="write questions and scenes alone, for a training stage that reads words in place of media",
    )


def run(args: argparse.Namespace) -> int:
    """Renders the split, and prints where its questions are."""
    print(_render_real(args) if args.world == "real" else _render_mini(args))
    return 0


def _render_mini(args: argparse.Namespace) -> Path:
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.mini.dataset import write_split

    for name in ("assets", "sounds", "digits", "without"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} belongs to --world real; AVEB-mini is drawn from nothing. Leave it out.")
    return write_split(
        args.out_dir,
        args.split,
        args.count,
        args.seed,
        tasks=args.task or "moments",
        workers=args.workers,
        every_question=args.every_question,
        difficulty=args.difficulty,
        render=not args.no_media,
        prompts=AVEB_PROMPTS,
    )


def _render_real(args: argparse.Namespace) -> Path:
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.real.dataset import parse_tasks, write_split
    from favor.worlds.real.prepare import prepare

    if args.difficulty != "standard":
        raise ValueError(
            f"--difficulty {args.difficulty} belongs to --world mini; real things have one. Leave it out."
        )
    tasks = args.task or "all"
    parse_tasks(tasks, args.split)  # before anything is fetched
    assets = prepare(
        args.assets or default_assets(),
        lambda text: print(text, file=sys.stderr),
        sounds=args.sounds,
        digits=args.digits,
    )
    if args.without:
        assets = assets.without([name.strip() for name in args.without.split(",")])
    return write_split(
        args.out_dir,
        args.split,
        args.count,
        args.seed,
        assets,
        tasks=tasks,
        workers=args.workers,
        every_question=args.every_question,
        render=not args.no_media,
        prompts=AVEB_PROMPTS,
    )


def default_assets() -> Path:
    """The folder of this world's packages in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "favor" / "real-world"
