# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads files of preferences and of prompts: one JSON line a row, media paths relative to the file."""

from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset
from pyarrow import ArrowException

from .manifest import ManifestFiles, as_dataset, located_media, read_samples


def load_rows(path: str | Path, check_files: bool = True) -> Dataset:
    """A file of rows for [`FavorDPOTrainer`] or [`FavorGRPOTrainer`], with absolute media paths.

    A line is `{"prompt", "chosen", "rejected"}` for preferences, or `{"prompt"}`, or `messages` as in a training
    manifest, for rewards; `video`, `image` and `audio` as there; all else is kept, for rewards to read.

    Raises `ValueError` that names the file and line of what cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of rows; give a .jsonl file.")
    rows = []
    for number, sample in read_samples(path):
        where = f"{path}, {'sample' if path.suffix == '.json' else 'line'} {number}"
        if not isinstance(sample, Mapping):
            raise ValueError(f"{where}: a row is a JSON object, but this is a {type(sample).__name__}.")
        rows.append({**sample, **located_media(sample, ManifestFiles(path, where, check_files), where)})
    if not rows:
        raise ValueError(f"{path}: the file holds no row.")
    try:
        return as_dataset(rows)
    except (ArrowException, TypeError) as error:
        raise ValueError(
            f"{path}: lines differ in the kind of a value, such as text in one and a list in another: {error}"
        ) from error
