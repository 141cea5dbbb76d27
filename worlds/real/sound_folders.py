# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Recordings that a user brings: ESC-10's sounds (of ESC-50), and spoken digits of the Free Spoken Digit Dataset."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEST_FOLD = 4
_THING_OF_CLASS = {  # ESC-10's classes, as ESC-50's table names them, and other spellings
    "dog": "dog",
    "dog_bark": "dog",
    "rooster": "rooster",
    "rain": "rain",
    "sea_waves": "wave",
    "crackling_fire": "fire",
    "fire_crackling": "fire",
    "crying_baby": "baby",
    "baby_cry": "baby",
    "sneezing": "sneeze",
    "person_sneeze": "sneeze",
    "clock_tick": "clock",
    "helicopter": "helicopter",
    "chainsaw": "chainsaw",
}
ESC10_THINGS = frozenset(_THING_OF_CLASS.values())
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Recording:
    """A file, the thing it sounds like, and its fold."""

    file: Path
    thing: str
    fold: int


def read_sounds(folder: Path) -> list[Recording]:
    """The recordings of ESC-10 in a folder: ESC-50's own (with meta/esc50.csv) or files named CLASS-FOLD-CLIP.

    Raises:
        ValueError: the folder holds none.
    """
    found = sorted(_of_table(folder) if (folder / "meta" / "esc50.csv").is_file() else _by_name(folder), key=_path)
    if not found:
        raise ValueError(
            f"sounds {str(folder)!r} holds no sound of ESC-10: pass a checkout of ESC-50 (audio/, meta/esc50.csv), "
            "or a folder of files named CLASS-FOLD-CLIP, such as dog-1-100032-A.wav."
        )
    return found


def read_digits(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """File, word and speaker of each recording DIGIT_SPEAKER_NUMBER.wav.

    Raises:
        ValueError: the folder holds none.
    """
    files = [file for file in sorted(folder.rglob("*.wav")) if re.fullmatch(r"\d_[a-z]+_\d+", file.stem)]
    if not files:
        raise ValueError(
            f"digits {str(folder)!r} holds no file such as 7_jackson_0.wav; pass the folder `recordings` of the Free "
            "Spoken Digit Dataset."
        )
    for file in files:
        digit, speaker, _ = file.stem.split("_")
        yield file, _DIGITS[int(digit)], speaker


def _of_table(folder: Path) -> Iterator[Recording]:
    with (folder / "meta" / "esc50.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            if row["esc10"] == "True":
                yield Recording(folder / "audio" / row["filename"], _THING_OF_CLASS[row["category"]], int(row["fold"]))


def _by_name(folder: Path) -> Iterator[Recording]:
    for file in folder.iterdir():
        parts = file.stem.split("-")
        if len(parts) >= 3 and parts[0] in _THING_OF_CLASS and parts[1].isdigit():
            yield Recording(file, _THING_OF_CLASS[parts[0]], int(parts[1]))


def _path(recording: Recording) -> str:
    return str(recording.file)
