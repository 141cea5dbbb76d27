# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Keeps `datasets` from decoding media: our processor does, without torchcodec and with a video's sound."""

from collections.abc import Mapping
from typing import Any, TypeVar

import datasets
from datasets import Audio, Dataset, Image, IterableDataset, Video

Rows = TypeVar("Rows")


def undecoded(rows: Rows) -> Rows:
    """The dataset with media as `{"path", "bytes"}`, also those in lists and dicts; of several by name, each.

    What is no dataset of `datasets`, or has a transform, and columns that are no media, stay as they are.
    """
    if isinstance(rows, Mapping):
        kept: Any = {name: undecoded(part) for name, part in rows.items()}
        return kept if type(rows) is dict else type(rows)(kept)  # type: ignore[call-arg]
    own = isinstance(rows, Dataset) and rows.format["type"] == "custom"  # a transform, which wants what it was told
    if own or not isinstance(rows, (Dataset, IterableDataset)):
        return rows
    found: Any = rows
    for name, feature in (rows.features or {}).items():
        plain = without_decoding(feature)
        if plain != feature:
            found = found.cast_column(name, plain)
    return found


def without_decoding(feature: Any) -> Any:
    """A feature whose media are not decoded."""
    if isinstance(feature, (Audio, Video, Image)):
        return type(feature)(decode=False) if feature.decode else feature
    if isinstance(feature, Mapping):
        return {name: without_decoding(inner) for name, inner in feature.items()}
    if isinstance(feature, (datasets.List, datasets.LargeList)):
        return type(feature)(without_decoding(feature.feature))
    if isinstance(feature, list):
        return [without_decoding(inner) for inner in feature]
    return feature
