# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""transformers' own tests of models, generation and processors, on FAVOR's classes.

    git clone --depth 1 --branch v5.24.0 https://github.com/huggingface/transformers ../transformers
    pip install parameterized
    python -m benchmarks.shared_tests ../transformers -k "generate or sdpa"

The checkout is of the release that is installed. What follows the folder goes to pytest, which prints why it
skips. The tests come beside those in `tests/`, which know what a row of a batch should answer: these would not notice.
"""

import argparse
import contextlib
import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import transformers

from favor.worlds.video_file import write_picture, write_sound, write_video

REPOSITORY = Path(__file__).resolve().parent.parent
VIDEOS = ("big_buck_bunny_320x240_10s.mp4", "sample_demo_1_320x240.mp4", "tiny_video_320x240.mp4")
SOUNDS = ("glass-breaking-151256.mp3", "f2641_0_throatclearing.wav")
PICTURES = ("australia.jpg", "coco_sample.png")
RATE = 16000  # Hz
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
NEEDED = ("tests/test_modeling_common.py", "tests/generation/test_utils.py", "tests/test_processing_common.py")


def use_tests_of(folder: Path) -> None:
    """Makes `tests` the package of `folder`, and ours a part of it: the shared tests import each other by that name.

    Raises:
        ValueError: if `folder` lacks one of the shared tests, as transformers' source distribution does.
    """
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} has no {name}: give a checkout of transformers {transformers.__version__} "
                "(its source distribution lacks some of the tests)."
            )
    sys.path.insert(0, str(folder))
    importlib.import_module("tests").__path__.append(str(REPOSITORY / "tests"))


def write_media(folder: Path) -> None:
    """Small files by the names that the shared tests would download: they take what lies in the current folder."""
    random = np.random.default_rng(0)
    for name in VIDEOS:
        write_video(folder / name, random.integers(256, size=(11, 64, 64, 3), dtype=np.uint8), 30, TONE, RATE)
    for name in SOUNDS:
        write_sound(folder / name, TONE, RATE)  # whatever the name: the content tells the format
    for name in PICTURES:
        write_picture(folder / name, random.integers(256, size=(64, 64, 3), dtype=np.uint8))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a checkout of transformers, at the release that is installed")
    arguments, of_pytest = parser.parse_known_args()
    use_tests_of(arguments.folder.resolve())
    # Not this repository's settings: they make errors of warnings that the shared tests provoke.
    own = [
        "-c",
        "/dev/null",
        "--rootdir",
        str(REPOSITORY),
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-rsf",
    ]
    classes = str(Path(__file__).resolve().with_name("shared_test_classes.py"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_media(Path(folder))
        return int(pytest.main([classes, *own, *of_pytest]))


if __name__ == "__main__":
    sys.exit(main())
