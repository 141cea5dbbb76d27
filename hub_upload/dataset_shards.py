# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes the splits of a data set as WebDataset tar shards, or as parquet files with the media inside.

The same splits give the same bytes.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeVar

from favor.processing.media_names_favor import MEDIA_KINDS

from .json_values import Json, JsonObject, text

if TYPE_CHECKING:
    from .dataset_repo import Split

SHARD_BYTES = 500_000_000
ROWS_OF_A_GROUP = 100  # of parquet: what a reader fetches at once
Configs = dict[str, list[dict[str, str]]]
Row = JsonObject
Entry = TypeVar("Entry")


def write_webdataset(splits: list["Split"], out_dir: Path, shard_bytes: int) -> Configs:
    """`data/[KINDS/]SPLIT-00000-of-00002.tar`, a configuration for each set of media kinds; one sample per question.

    Readers of WebDataset want the same files in every sample, so that videos and stills cannot share shards.
    """
    by_kinds = {split.name: _rows_by_kinds(split.rows) for split in splits}
    kinds = sorted({name for rows in by_kinds.values() for name in rows}, key=lambda name: ("video" not in name, name))
    configs: Configs = {}
    for name in kinds:
        folder = "data" if len(kinds) == 1 else f"data/{name}"
        (out_dir / folder).mkdir(parents=True)
        present = [split for split in splits if name in by_kinds[split.name]]
        for split in present:
            rows = by_kinds[split.name][name]
            shards = list(_shards(rows, [_size(split, row) for row in rows], shard_bytes))
            for number, shard in enumerate(shards):
                _write_tar(out_dir / folder / f"{split.name}-{number:05d}-of-{len(shards):05d}.tar", split, shard)
        files = [{"split": split.name, "path": f"{folder}/{split.name}-*.tar"} for split in present]
        configs["default" if len(kinds) == 1 else name] = files
    return configs


def write_parquet(splits: list["Split"], out_dir: Path, shard_bytes: int) -> Configs:
    """`data/SPLIT-00000-of-00002.parquet`: one row per question, media as `{"bytes", "path"}`."""
    import pyarrow as pa
    import pyarrow.parquet

    (out_dir / "data").mkdir(parents=True)
    kinds = [key for key in MEDIA_KINDS if any(row.get(key) for split in splits for row in split.rows)]
    light = [_light_row(row) for split in splits for row in split.rows]
    fields = list(pa.Table.from_pylist(_with_all_fields(light)).schema)
    medium = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([*fields, *(pa.field(kind, medium) for kind in kinds)])
    for split in splits:
        shards = list(_shards(split.rows, [_size(split, row) for row in split.rows], shard_bytes))
        for number, rows in enumerate(shards):
            path = out_dir / "data" / f"{split.name}-{number:05d}-of-{len(shards):05d}.parquet"
            with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
                for start in range(0, len(rows), ROWS_OF_A_GROUP):
                    group = [_with_media(split, row, kinds) for row in rows[start : start + ROWS_OF_A_GROUP]]
                    writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return {"default": [{"split": split.name, "path": f"data/{split.name}-*.parquet"} for split in splits]}


def _rows_by_kinds(rows: list[Row]) -> dict[str, list[Row]]:
    by_kinds: dict[str, list[Row]] = {}
    for row in rows:
        by_kinds.setdefault("_".join(key for key in MEDIA_KINDS if row.get(key)) or "text", []).append(row)
    return by_kinds


def _size(split: "Split", row: Row) -> int:
    return sum(split.media[name].stat().st_size for name in media_of(row).values())


def _shards(entries: list[Entry], sizes: list[int], shard_bytes: int) -> Iterator[list[Entry]]:
    """Consecutive entries, a new shard before the one that would make it larger than `shard_bytes`."""
    shard: list[Entry] = []
    filled = 0
    for entry, size in zip(entries, sizes, strict=True):
        if shard and filled + size > shard_bytes:
            yield shard
            shard, filled = [], 0
        shard.append(entry)
        filled += size
    if shard:
        yield shard


def _write_tar(path: Path, split: "Split", rows: list[Row]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, row in enumerate(_with_all_fields([{**_light_row(row), **media_of(row)} for row in rows])):
            key = f"{path.stem}-{number:06d}"
            names = media_of(row)
            suffixes = {kind: PurePath(name).suffix.lower() for kind, name in names.items()}
            for kind, name in names.items():
                # two files of one suffix, a video and another video's sound, need names of their own
                alone = list(suffixes.values()).count(suffixes[kind]) == 1
                suffix = suffixes[kind] if alone else f".{kind}{suffixes[kind]}"
                _add(tar, f"{key}{suffix}", split.media[name].read_bytes())
            _add(tar, f"{key}.json", json.dumps(row, ensure_ascii=False).encode("utf-8"))


def media_of(row: Row) -> dict[str, str]:
    """The media files that a question names, by kind."""
    return {key: name for key in MEDIA_KINDS if (name := text(row, key))}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)  # time, owner and rights of this machine stay here
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))


def _with_all_fields(rows: Sequence[Row]) -> list[dict[str, Json]]:
    """Rows that all have the same fields, in one order: readers take the columns from the first ones."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def _light_row(row: Row) -> dict[str, Json]:
    """A question without its media. A column cannot tell `"audio": null` from no audio: `use_own_audio` does."""
    fields = {name: value for name, value in row.items() if name not in MEDIA_KINDS}
    return {**fields, "use_own_audio": not ("audio" in row and row["audio"] is None)}


def _with_media(split: "Split", row: Row, kinds: Sequence[str]) -> dict[str, object]:
    named = media_of(row)
    media = {
        kind: {"bytes": split.media[named[kind]].read_bytes(), "path": named[kind]} if kind in named else None
        for kind in kinds
    }
    return {**_light_row(row), **media}
