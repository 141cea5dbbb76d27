# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a data set's repository consists of: questions and their media in one of three forms, checksums and a card.

- "folder": the manifests as they are, and the media files that they name. Readers download what they use.
- "webdataset": tar shards, of each question its media and a JSON file; to be streamed.
- "parquet": one row per question with the media inside; for small sets, which the Hub's viewer then shows whole.

The last two hold a clip once for every question about it.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import get_token

from favor.processing.media_names_favor import MEDIA_KINDS

from .dataset_card import DatasetFacts, write_dataset_card
from .dataset_shards import SHARD_BYTES, write_parquet, write_webdataset
from .json_values import JsonObject, text
from .outgoing_files import Outgoing, OutgoingFile, check_contents, check_inside, write_changed
from .upload import Destination

FORMS = ("folder", "webdataset", "parquet")
DATASET_FILES = (
    "*.jsonl",
    "media/*",
    "media/*/*",
    "data/*.tar",
    "data/*.parquet",
    "data/*/*.tar",
    "SHA256SUMS",
    "README.md",
    "LICENSE",
)
SPLIT_NAME = re.compile(r"\w+")
MANY_FILES = 10_000  # in one folder: the Hub's recommended limit
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Split:
    """A manifest: its rows, and where each media file that they name lies on this machine."""

    name: str
    manifest: Path
    rows: list[JsonObject]
    media: dict[str, Path]

    @property
    def size(self) -> int:
        return sum(file.stat().st_size for file in self.media.values())


@contextmanager
def dataset_repository(
    folder: str | os.PathLike,
    destination: Destination,
    facts: DatasetFacts,
    form: str = "folder",
    overwrite_card: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Iterator[Outgoing]:
    """
    The files of a data set's repository, ready for [`upload`]; shards and card vanish when the block ends.

    Args:
        folder: holds one manifest a split (`train.jsonl`, ...) and the media that they name, as `favor synth` writes.
        destination: where it will go.
        facts: what the card shall say; the licence is required.
        form: "folder", "webdataset" or "parquet".
        overwrite_card: replace a README.md that somebody wrote by hand.
        shard_bytes: bytes of media after which the next shard begins.

    Raises:
        ValueError: no manifest, a sample without messages, media that are missing, or that lie outside the folder by
            their path or by a link.
    """
    destination.check()
    if form not in FORMS:
        raise ValueError(f"The form must be one of {', '.join(FORMS)}; got {form!r}.")
    folder = Path(folder)
    splits = read_splits(folder)
    with tempfile.TemporaryDirectory(prefix="favor-push-") as made:
        scratch = Path(made)
        outgoing, configs = _contents(folder, splits, form, shard_bytes, scratch)
        outgoing.left_out = _left_out(folder, outgoing, splits)
        write_dataset_card(outgoing, destination.repo_id, facts, form, splits, configs, overwrite_card, scratch)
        check_contents(outgoing, get_token(), folders=[folder])
        write_changed(outgoing, CHECKSUMS, _checksums(outgoing), scratch)
        yield outgoing


def read_splits(folder: Path) -> list[Split]:
    """The manifests of a folder, training data first.

    Other files, such as `test_scenes.jsonl`, or `asr.jsonl` with the references of a benchmark's task, are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"Data set folder {str(folder)!r} does not exist.")
    splits = []
    for manifest in sorted(folder.glob("*.jsonl"), key=lambda file: (file.stem != "train", file.name)):
        check_inside(manifest, folder)
        rows = _rows(manifest)
        if rows and ("messages" not in rows[0] or "references" in rows[0]):
            continue
        if not SPLIT_NAME.fullmatch(manifest.stem):
            raise ValueError(f"{manifest}: a split's name is made of letters, digits and _; rename the file.")
        if not rows:
            raise ValueError(f"{manifest}: the manifest holds no sample; take it out of the folder.")
        splits.append(Split(manifest.stem, manifest, rows, _media(folder, manifest, rows)))
    if not splits:
        raise ValueError(f"{folder} holds no manifest: put one JSON line per question into train.jsonl or test.jsonl.")
    return splits


def _rows(manifest: Path) -> list[JsonObject]:
    rows: list[JsonObject] = []
    with manifest.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{manifest}, line {number}: not valid JSON ({error}).") from error
            if not isinstance(rows[-1], dict):
                raise ValueError(f"{manifest}, line {number}: not a JSON object.")
    return rows


def _media(folder: Path, manifest: Path, rows: list[JsonObject]) -> dict[str, Path]:
    media: dict[str, Path] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{manifest}, sample {number}"
        if not row.get("messages"):
            raise ValueError(f"{where}: `messages` is missing.")
        for key in MEDIA_KINDS:
            if row.get(key) is None:
                continue
            name = text(row, key)
            if name is None:
                raise ValueError(f"{where}: `{key}` is {row[key]!r}; it must be the path of a file, or null.")
            path = Path(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{where}: {name} lies outside the folder; media paths must be relative to it.")
            if not (folder / path).is_file():
                raise ValueError(f"{where}: {name} does not exist in {folder}.")
            check_inside(folder / path, folder)
            media[path.as_posix()] = folder / path
    return media


def _contents(
    folder: Path, splits: list[Split], form: str, shard_bytes: int, scratch: Path
) -> tuple[Outgoing, dict[str, list[dict[str, str]]]]:
    """The files without card and checksums, and the configs by which the viewer and `load_dataset` find the splits."""
    outgoing = Outgoing()
    for name in ("README.md", "LICENSE"):
        if (folder / name).is_file():
            check_inside(folder / name, folder)
            outgoing.put(name, folder / name)
    if form == "folder":
        return _as_it_is(folder, splits, outgoing)
    write = write_webdataset if form == "webdataset" else write_parquet
    configs = write(splits, scratch / "shards", shard_bytes)
    made = sorted(file for file in (scratch / "shards").rglob("*") if file.is_file())
    outgoing.files += [OutgoingFile(file.relative_to(scratch / "shards").as_posix(), file) for file in made]
    return outgoing, configs


def _as_it_is(
    folder: Path, splits: list[Split], outgoing: Outgoing
) -> tuple[Outgoing, dict[str, list[dict[str, str]]]]:
    files = {file.name: file for file in folder.glob("*.jsonl")}  # ground truth beside the manifests, too
    for split in splits:
        files |= split.media
    outgoing.files += [OutgoingFile(path, source) for path, source in files.items()]
    outgoing.files.sort(key=lambda file: file.path)
    folders = [path.rpartition("/")[0] for path in files]
    crowded = next((name for name in set(folders) if folders.count(name) > MANY_FILES), None)
    if crowded is not None:
        outgoing.notes.append(f"{crowded}/ holds {folders.count(crowded):,} files; webdataset suits the Hub better")
    return outgoing, {"default": [{"split": split.name, "path": split.manifest.name} for split in splits]}


def _left_out(folder: Path, outgoing: Outgoing, splits: list[Split]) -> list[str]:
    """Top-level names of the folder of which nothing goes, and the number of media files that no question names."""
    used = {source for split in splits for source in split.media.values()}
    used |= {file.source for file in outgoing.files} | {split.manifest for split in splits}
    unused = [file for file in sorted(folder.rglob("*")) if file.is_file() and file not in used]
    names: dict[str, int] = {}
    for file in unused:
        top, *below = file.relative_to(folder).parts
        names[f"{top}/" if below else top] = names.get(f"{top}/" if below else top, 0) + 1
    return [name if count == 1 else f"{name} ({count} files)" for name, count in sorted(names.items())]


def _checksums(outgoing: Outgoing) -> str:
    """In the format of `sha256sum`, of all files but the card, which may be edited on the Hub."""
    lines = []
    for file in outgoing.files:
        if file.path in ("README.md", CHECKSUMS):
            continue
        with file.source.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {file.path}\n")
    return "".join(lines)
