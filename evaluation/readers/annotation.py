# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What all readers share: files read whole with errors that name the record, media found, ids made unique."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..json_fields import Json, JsonObject

Record = JsonObject
Kind = TypeVar("Kind")

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".opus", ".ogg")


def read_json(path: Path) -> Json:
    """The content of a JSON file, with or without byte order mark."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); pass the annotation file as published.") from error


def read_records(path: Path, key: str | None = None) -> list[Record]:
    """The records of a JSON file: a list, or the list under `key` of an object."""
    content = read_json(path)
    if key is not None and isinstance(content, dict):
        content = content.get(key)
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        expected = "a list of objects" + (f", or an object with such a list under {key!r}" if key else "")
        raise ValueError(f"{path} does not hold {expected}; pass the annotation file as published.")
    return content


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header that has at least `columns`."""
    rows = list(csv.DictReader(io.StringIO(read_text(path), newline=""), restkey="surplus"))
    header = set(rows[0]) if rows else set()
    absent = [column for column in columns if column not in header]
    if absent:
        raise ValueError(f"{path} lacks the column {absent[0]!r}; it needs {', '.join(columns)} in its first line.")
    for number, row in enumerate(rows, start=2):
        if "surplus" in row or any(row[column] is None for column in columns):
            raise ValueError(f"{path}, row {number}, has not as many fields as the header; check its quotes.")
    return rows


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a transcript file, each an id and the rest."""
    lines = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            key, _, text = line.strip().partition(" ")
            if not text.strip():
                raise ValueError(f"{path}, line {number}, has the id {key!r} but no transcript; restore the line.")
            lines.append((key, clean(text)))
    return lines


def take(
    record: object, names: str | Sequence[str], kind: type[Kind] | tuple[type[Kind], ...], path: Path, number: int
) -> Kind:
    """The first of `names` in a record, whose value must be of `kind`; `number` counts records from 0."""
    names = (names,) if isinstance(names, str) else names
    if not isinstance(record, dict):
        raise ValueError(f"{path}, record {number}: {record!r} is no object; pass the annotation file as published.")
    for name in names:
        if name in record:
            value = record[name]
            if not isinstance(value, kind) or value in ("", []):
                raise ValueError(
                    f"{path}, record {number}: {name!r} is {value!r}, which no answer can be compared with."
                )
            return value
    raise ValueError(f"{path}, record {number}, has no {' or '.join(map(repr, names))}; it has {', '.join(record)}.")


def clean(text: str) -> str:
    """Text with every run of white space (line separators of any kind included) as one blank, and none at the ends."""
    return " ".join(text.split())


class MediaFinder:
    """Finds media files by the names that annotations give.

    A name is looked up under the media root, then beside the annotation file; if it is not there, again without its
    first folder, and so on, since published names start with folders of their authors' machines. An absolute path that
    exists is taken as it is. Files of another type of the same kind (.flac for .wav) are taken, too. What is not found
    is named as its first candidate, to be counted.

    Args:
        annotation: the annotation file, or a folder of them.
        media_root: folder of the media; None if they lie beside the annotation file.
    """

    def __init__(self, annotation: Path, media_root: Path | None):
        beside = annotation if annotation.is_dir() else annotation.parent
        self.roots = [root.absolute() for root in (media_root, beside) if root is not None]
        self.annotation = annotation
        self.listings: dict[Path, frozenset[str]] = {}

    def find(self, *names: str, suffixes: Sequence[str] = ()) -> str:
        """The absolute path of the first of `names` that exists; of the first name, if none does."""
        for name in names:
            for candidate in self._candidates(name, suffixes):
                if candidate.name in self._list(candidate.parent):
                    return str(candidate)
        return str(next(self._candidates(names[0], suffixes)))

    def video(self, *names: str) -> str:
        return self.find(*names, suffixes=VIDEO_SUFFIXES)

    def image(self, *names: str) -> str:
        return self.find(*names, suffixes=IMAGE_SUFFIXES)

    def audio(self, *names: str) -> str:
        """A sound file; a video of the same name serves, too, by its sound."""
        return self.find(*names, suffixes=AUDIO_SUFFIXES + VIDEO_SUFFIXES)

    def _list(self, folder: Path) -> frozenset[str]:
        """The names in a folder, which is read once: thousands of media lie in few folders, often on slow disks."""
        if folder not in self.listings:
            try:
                self.listings[folder] = frozenset(entry.name for entry in os.scandir(folder))
            except OSError:
                self.listings[folder] = frozenset()
        return self.listings[folder]

    def _candidates(self, name: str, suffixes: Sequence[str]) -> Iterator[Path]:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts:
            raise ValueError(
                f"{self.annotation} names the medium {name!r}, but media must lie below the media root: name a folder "
                "above them with --media-root DIR (media_root=), and write paths from there."
            )
        if parts[0] == "/":
            yield from _with_suffixes(Path(*parts), suffixes)
        parts = tuple(part for part in parts if part != "/")
        for skipped in range(len(parts)):
            for root in self.roots:
                yield from _with_suffixes(root.joinpath(*parts[skipped:]), suffixes)


def _with_suffixes(path: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The path as it is (with the first suffix if it has none of them), then with each of the other suffixes."""
    named = path.suffix.lower() in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *AUDIO_SUFFIXES)
    stem = path.with_suffix("") if named else path
    if named or not suffixes:
        yield path
    for suffix in suffixes:
        candidate = stem.with_name(stem.name + suffix)
        if candidate != path:
            yield candidate


class Ids:
    """Makes ids unique: the first "clip" stays, the next become "clip#2", "clip#3"."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def make(self, name: str) -> str:
        self.seen[name] += 1
        return name if self.seen[name] == 1 else f"{name}#{self.seen[name]}"


def stem(path: str) -> str:
    """A media file's name without folders and type. Only media types are cut off: "clip_0.30_3.68" has none."""
    name = PurePosixPath(path.replace("\\", "/"))
    known = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *AUDIO_SUFFIXES)
    return name.stem if name.suffix.lower() in known else name.name


def media_kind(path: str) -> str:
    """ "video", "image" or "audio", by the type of the file's name."""
    suffix = PurePosixPath(path).suffix.lower()
    for kind, suffixes in (("video", VIDEO_SUFFIXES), ("image", IMAGE_SUFFIXES), ("audio", AUDIO_SUFFIXES)):
        if suffix in suffixes:
            return kind
    raise ValueError(f"{path!r} is neither a video nor an image nor a sound by its type {suffix!r}.")


def with_type(name: str, suffix: str) -> str:
    """An id as a file name: with `suffix`, unless it has the type of a medium already."""
    return name if stem(name) != name.rsplit("/", 1)[-1] else name + suffix


def user(content: str) -> dict[str, str]:
    """A turn of the user."""
    return {"role": "user", "content": content}


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a text file ({error}); pass the annotation file.") from error
