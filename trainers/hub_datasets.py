# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Datasets of the Hub by their id: the card tells a split's files, all of one commit; only what is used is fetched.

Media that rows name stay on the Hub as `hf://datasets/ORG/NAME@COMMIT/PATH` until a sample is made of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast

from huggingface_hub import constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.repocard import metadata_load

Source = TypeVar("Source")  # of media: a path, bytes, or what else a sample has
CARD = "README.md"
FILE_SUFFIXES = (".jsonl", ".json", ".yaml", ".parquet", ".tar", ".csv")
_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
_ADDRESS = re.compile(r"hf://datasets/(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<file>.+)")
_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.")


@dataclass(frozen=True)
class HubSplit:
    """
    The files of one split at one commit.

    Args:
        name, commit: of the repository.
        config, split: whose files they are.
        patterns: paths in the repository, with `*`; empty if the card does not tell.
    """

    name: str
    commit: str
    config: str | None
    split: str
    patterns: tuple[str, ...]

    @property
    def address(self) -> str:
        """What paths in the repository are relative to."""
        return f"hf://datasets/{self.name}@{self.commit}"

    def file_address(self, path: str, where: str) -> str:
        """The address of a file that a row names; `ValueError` if it lies outside the repository."""
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or path.startswith("~"):
            raise ValueError(f"{where}: {path} lies outside the repository; its media paths must be relative to it.")
        return f"{self.address}/{path}"

    def files(self) -> list[Path]:
        """The split's own files, fetched; media that they name are not.

        Raises `ConnectionError` if shards are missing because the Hub cannot be reached.
        """
        if not any("*" in pattern for pattern in self.patterns):
            return [fetched(self.name, pattern, self.commit) for pattern in self.patterns]
        try:
            folder = Path(
                snapshot_download(
                    self.name, repo_type="dataset", revision=self.commit, allow_patterns=list(self.patterns)
                )
            )
        except (OSError, HfHubHTTPError) as error:
            raise ConnectionError(f"{self.name}: {first_line(error)}") from error
        files = sorted({file for pattern in self.patterns for file in folder.glob(pattern)})
        # Offline the cache may hold a part of them, from a download that was broken off.
        wanted = {(file.parent, int(found[1])) for file in files if (found := _SHARD.search(file.name))}
        if not files or sum(count for _, count in wanted) > len(files):
            raise ConnectionError(
                f"{self.name}: {len(files)} files of split {self.split!r} are in the cache, which is not all; load "
                "it once with the Hub at hand."
            )
        return files


def is_hub_id(spec: str) -> bool:
    """Whether a text may be `ORG/NAME[@REVISION]`; what exists here, or is named like a file, is a path."""
    return not Path(spec).exists() and not spec.endswith(FILE_SUFFIXES) and _ID.fullmatch(spec) is not None


def hub_splits(
    spec: str, config: str | None = None, split: str = "train", revision: str | None = None
) -> list[HubSplit]:
    """The split in each configuration that has it, or in the one named.

    Raises:
        ValueError: nothing of this id is on the Hub (or the user may not read it), no such revision, configuration or
            split.
        ConnectionError: the Hub cannot be reached, and the cache does not hold the card.
    """
    found = _ID.fullmatch(spec)
    if found is None:
        raise ValueError(f"{spec!r} is neither a file or folder here nor an id of the Hub (ORG/NAME).")
    name, revision = found["name"], revision or found["revision"] or "main"
    try:
        card = fetched(name, CARD, revision)
    except FileNotFoundError:  # no card: `datasets` looks for the files by their names
        return [HubSplit(name, revision, config, split, ())]
    configs = card_files(metadata_load(card) or {})
    commit = card.parent.name
    if not configs:
        return [HubSplit(name, commit, config, split, ())]
    if config is not None and config not in configs:
        raise ValueError(f"{name} has no configuration {config!r}; it has {', '.join(configs)}.")
    chosen = {config: configs[config]} if config is not None else configs
    having = [HubSplit(name, commit, key, split, files[split]) for key, files in chosen.items() if split in files]
    if not having:
        known = sorted({split for files in chosen.values() for split in files})
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(known)}.")
    return having


def card_files(metadata: Mapping[str, object]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Patterns by configuration and split; empty unless the card gives them for every split."""
    configs: dict[str, dict[str, tuple[str, ...]]] = {}
    for config in cast(list[Mapping[str, object]], metadata.get("configs") or []):
        files = config.get("data_files")
        if not isinstance(files, list) or not all(isinstance(entry, Mapping) for entry in files):
            return {}
        paths = {entry["split"]: entry["path"] for entry in files}
        configs[str(config.get("config_name", "default"))] = {
            split: (path,) if isinstance(path, str) else tuple(path) for split, path in paths.items()
        }
    return configs


def local_file(path: Source) -> Source | str:
    """The path (or anything else) itself; of an `hf://` address that of the cached file, which is fetched if need be.

    Raises `FileNotFoundError` if the repository has no such file, and `ConnectionError` if the Hub cannot be reached.
    """
    found = _ADDRESS.fullmatch(path) if isinstance(path, str) else None
    return path if found is None else str(fetched(found["name"], found["file"], found["revision"]))


def fetched(name: str, file: str, revision: str | None) -> Path:
    """A file of a dataset's repository, in the cache of `huggingface_hub`."""
    place = f"{name}{f'@{revision}' if revision else ''}"
    try:
        return Path(hf_hub_download(name, file, repo_type="dataset", revision=revision))
    except LocalEntryNotFoundError as error:
        reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"
        raise ConnectionError(f"{place}: {file} is not in the cache, and {reason}.") from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"{name} is no file or folder in {Path.cwd()}, and no dataset on {constants.ENDPOINT} that you may read; "
            "mend the name, or log in (`hf auth login`)."
        ) from error
    except RevisionNotFoundError as error:
        raise ValueError(f"{name} has no branch, tag or commit {revision!r}.") from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"{place} holds no {file}.") from error
    except HFValidationError as error:
        raise ValueError(f"{name!r} is no file or folder here, and no id of the Hub: {first_line(error)}") from error
    except HfHubHTTPError as error:
        raise ConnectionError(f"{place}: {file} cannot be fetched: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


__all__ = ["HubSplit", "hub_splits", "is_hub_id", "local_file"]
