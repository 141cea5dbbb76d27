# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads folders of media with a metadata file, as imagefolder, audiofolder and videofolder of `datasets` have them.

`datasets` itself wants torchcodec for folders of sounds, and takes a folder of clips and sounds for sounds alone.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as parquet

from .manifest import ManifestFiles, read_samples
from .sample_columns import kind_of_file

FILE_NAME, FILE_NAMES = "file_name", "file_names"  # keys of a row, or the ends of keys
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def metadata_files(folder: Path, split: str) -> list[Path]:
    """The metadata files of a split: in its folder or below, or of the whole folder; empty if there are none."""
    own = folder / split
    found = sorted(file for name in METADATA for file in own.rglob(name)) if own.is_dir() else []
    return found or [folder / name for name in METADATA if (folder / name).is_file()]


def folder_rows(folder: Path, split: str, check_files: bool = True) -> Iterator[dict[str, object]]:
    """The rows of a split's metadata, with media under the names that `datasets` gives them.

    `file_name` is the column of its kind, told by its suffix (`image`, `audio` or `video`), and `NAME_file_name` the
    column NAME; lists of them in `file_names` are `images`, `audios` or `videos`, in `NAME_file_names` again NAME.

    Raises `ValueError` that names the line of a row without a file, and of a file that is not there.
    """
    for file in metadata_files(folder, split):
        shared = file.parent == folder and (folder / split).is_dir()  # with other splits
        for number, row in read_metadata(file):
            where = f"{file}, line {number}"
            named = {key: value for key, value in row.items() if key.endswith((FILE_NAME, FILE_NAMES)) and value}
            if not named:
                raise ValueError(f"{where}: no {FILE_NAME}; a row of a folder of media names its file.")
            if shared and not any(Path(name).parts[0] == split for value in named.values() for name in _names(value)):
                continue
            rest = {key: value for key, value in row.items() if key not in named}
            yield rest | _columns(named, ManifestFiles(file, where, check_files))


def read_metadata(file: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Line (or row, from 1) and values."""
    if file.suffix == ".parquet":
        yield from enumerate(parquet.read_table(file).to_pylist(), start=1)
    elif file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            yield from enumerate(csv.DictReader(lines), start=2)
    else:
        for number, row in read_samples(file):
            if not isinstance(row, Mapping):
                raise ValueError(f"{file}, line {number}: a row is a JSON object, but this is a {type(row).__name__}.")
            yield number, row


def _names(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(map(str, value))  # type: ignore[call-overload]


def _columns(named: Mapping[str, object], locate: ManifestFiles) -> dict[str, object]:
    """Media columns of a row's file names."""
    columns: dict[str, object] = {}
    for key, value in named.items():
        end = FILE_NAMES if key.endswith(FILE_NAMES) else FILE_NAME
        kinds = [kind_of_file(name) for name in _names(value)]
        if None in kinds:
            raise ValueError(f"{locate.where}: cannot tell from {value!r} whether it is video, image or sound.")
        files = [locate(name, str(kind)) for name, kind in zip(_names(value), kinds, strict=True)]
        column = key.removesuffix(end).removesuffix("_") or f"{kinds[0]}{'s' if end == FILE_NAMES else ''}"
        columns[column] = files if end == FILE_NAMES else files[0]
    return columns


__all__ = ["folder_rows", "metadata_files"]
