# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor synth OUT_DIR`: renders a split of AVEB-mini."""

import argparse

from favor.worlds.mini.difficulty import DIFFICULTIES
from favor.worlds.mini.world import SPLITS

_EPILOG = """\
--task takes names separated by commas:
  all            the eleven tasks of AVEB, COUNT items of each
  asr ac ic ocr vqa video_qa avsr avsd isqa avssd avm
                 one of them
  moments        clips of one moving shape at a time, COUNT of them
  image_video_qa audio_qa av_qa timeline, or a family of questions such as screen_word
                 moments of which at least one such question can be asked

files in OUT_DIR:
  media/               .mp4, .png and .wav files
  SPLIT.jsonl          one line per question or dialogue, as favor sft reads them
  SPLIT_scenes.jsonl   one line per item: labels of every picture and sound, ground truth
  TASK.jsonl           one line per question, as favor eval reads them; not for the split train

docs/aveb-mini.md describes the tasks, the labels and the levels of difficulty.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `favor synth`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("out_dir", help="folder to write to; it must not hold a rendered split")
    parser.add_argument("--task", default="moments", help="what to render, see below (default: moments)")
    parser.add_argument("--count", type=int, default=200, help="number of items of each task (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files (default: 0)")
    parser.add_argument(
        "--split",
        default="test",
        choices=SPLITS,
        help="test (default) and compositional have combinations that train and validation do not have",
    )
    parser.add_argument(
        "--difficulty",
        default="standard",
        choices=tuple(DIFFICULTIES),
        help="how many words and shapes, how much noise; moments have no levels (default: standard)",
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
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.mini.dataset import write_split

    path = write_split(
        args.out_dir,
        args.split,
        args.count,
        args.seed,
        tasks=args.task,
        workers=args.workers,
        every_question=args.every_question,
        difficulty=args.difficulty,
        render=not args.no_media,
        prompts=AVEB_PROMPTS,
    )
    print(path)
    return 0
