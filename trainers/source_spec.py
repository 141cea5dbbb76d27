# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Training data as a recipe describes them (docs/training-data.md): sources, and how they are mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from .augmentations import TransformSpec
from .section_parser import parse_section

KINDS = ("path", "dataset", "webdataset")


@dataclass(frozen=True)
class SourceSpec:
    """
    One source of samples: `path`, `dataset` or `webdataset` tells where they are.

    Args:
        path: of a manifest.
        dataset: id on the Hub, or a folder.
        webdataset: tar shards.
        name: by which transforms of other sources call it; by default its place in the list, from 0.
        config, split, revision: of a `dataset`.
        columns: {our name: theirs}.
        prompt: question of every sample of a table that has answers alone.
        media_root: folder of the media that rows name.
        streaming: whether it is read while training goes on.
        shuffle_buffer: rows of a stream that are held to shuffle them.
        weight, samples: see [`DataMixture`].
        subset: a random choice of so many rows, the same in every epoch.
        family_shares: see [`keep_shares`].
        questions_per_clip: samples of a manifest about the same media are joined to one with up to so many questions
            (see [`join_questions`]); by default 1, each sample stays alone.
        transforms: see [`build_transforms`].
    """

    path: str | Path | None = None
    dataset: str | Path | None = None
    webdataset: list[str] | str | None = None
    name: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    prompt: str | None = None
    media_root: str | Path | None = None
    streaming: bool = False
    shuffle_buffer: int | None = None
    weight: float | None = None
    samples: int | None = None
    subset: int | None = None
    family_shares: dict[str, float] = field(default_factory=dict)
    questions_per_clip: int = 1
    transforms: Sequence[TransformSpec] = ()

    def __post_init__(self) -> None:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"it names {kinds or 'no data'}; a source has one of {', '.join(KINDS)}.")
        if self.weight is not None and self.samples is not None:
            raise ValueError("give `weight` or `samples`, not both.")
        if (self.weight or 0) < 0 or (self.samples or 0) < 0:
            raise ValueError("`weight` and `samples` must not be negative.")
        if self.questions_per_clip < 1:
            raise ValueError(f"`questions_per_clip` must be at least 1, but it is {self.questions_per_clip}.")
        refused = [name for name in ("subset", "family_shares") if getattr(self, name)]
        refused += ["questions_per_clip"] if self.questions_per_clip > 1 else []
        if self.streaming and refused:
            raise ValueError(f"{', '.join(refused)} need the whole data; leave `streaming` out.")


@dataclass(frozen=True)
class MixtureSpec:
    """Sources of training data that are mixed.

    Args:
        sources: at least one.
        epoch_samples: see [`DataMixture`].
    """

    sources: list[SourceSpec]
    epoch_samples: int | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(
                "no sources; it is a path, an id of the Hub, a list of sources, or a mapping with epoch_samples and "
                "sources."
            )


TrainingData: TypeAlias = str | MixtureSpec  # the path of a manifest or folder, or an id of the Hub; or a mixture


def with_sources(data: object) -> object:
    """A list of sources in its long form, a mapping; all else as it is."""
    return {"sources": list(data)} if isinstance(data, (list, tuple)) else data


def parse_training_data(data: object, name: str = "train_data") -> TrainingData:
    """`train_data` as it stands in a recipe.

    Raises `ValueError` for an option that no source has, and for options that contradict each other.
    """
    if isinstance(data, MixtureSpec):
        return data
    if isinstance(data, (str, Path)):
        return str(data)
    data = with_sources(data)
    if isinstance(data, Mapping) and not data.get("sources"):
        data = {"sources": [], **data}
    return parse_section(MixtureSpec, data, name)
