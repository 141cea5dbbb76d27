# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tux Paint's stamps: cut-out photos and drawings, what each shows, its real sound, people who read its name."""

from dataclasses import dataclass
from pathlib import Path

from .names import noun_phrase, stamp_thing

_LEFT_OUT = ("symbols", "town/roadsigns", "town/flags", "military", "hobbies/knitting", "seasonal/hanukkah/dreydl-")
_SOUNDS = ("animals/", "hobbies/music/", "vehicles/", "household/tools/", "seasonal/halloween/blackcat")


@dataclass(frozen=True)
class Stamp:
    """A stamp that shows one thing; `sound` and `reading` are files or None. A reading says `text`."""

    key: str
    thing: str
    picture: Path | None
    is_drawing: bool
    sound: Path | None
    reading: Path | None
    text: str


def read_stamps(package: Path, known: frozenset[str]) -> list[Stamp]:
    """All stamps of a package that show one thing, in the order of their names.

    Args:
        known: names of things that others show, too: a stamp of one of them is given that name.
    """
    root = next(package.rglob("tuxpaint/stamps"), None)
    if root is None:
        raise ValueError(f"{package} holds no folder tuxpaint/stamps; remove it, and it is unpacked anew.")
    stamps = []
    for file in sorted(root.rglob("*.txt")):
        key = file.relative_to(root).with_suffix("").as_posix()
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines or key.startswith(_LEFT_OUT):
            continue
        thing, phrase = stamp_thing(lines[0].strip(), known), noun_phrase(lines[0].strip())
        if thing is None or phrase is None:
            continue
        picture, sound, reading = (file.with_name(file.stem + end) for end in (".png", ".ogg", "_desc.ogg"))
        stamps.append(
            Stamp(
                key,
                thing,
                picture if picture.is_file() else None,
                "cartoon" in key or "_drawing" in key,
                sound if sound.is_file() and key.startswith(_SOUNDS) else None,
                reading if reading.is_file() else None,
                thing if phrase == thing.replace(" ", "") else phrase,  # "mountaingoat" is said in two words
            )
        )
    return stamps
