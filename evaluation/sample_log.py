# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The file of a task's samples: JSON lines that survive a kill, one file a process, merged at the end.

While a run goes on, process 0 appends to `asr.jsonl`, process k to `asr.part-k.jsonl`. A batch is one write and one
fsync, so that a killed process leaves at most one broken line, the last of its file; readers pass over it and its
writer cuts it off. At the end all lines go to `asr.jsonl`, sorted by id.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

Record = dict[str, Any]


class SampleLog:
    """Appends records to the file of one process. A second writer of the same file is refused with `ValueError`."""

    def __init__(self, out_dir: Path, task: str, rank: int = 0):
        self.path = part_path(out_dir, task, rank)
        self._file = open(self.path, "a+b")  # noqa: SIM115  # closed by `close`
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise ValueError(
                f"{self.path} is being written by another run. Wait for it, or take another --out."
            ) from error
        cut_broken_line(self._file)

    def append(self, records: Iterable[Record]) -> None:
        """Writes all `records` at once, and returns when they are on the disk."""
        append_lines(self._file, records)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "SampleLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_samples(out_dir: Path, task: str) -> dict[str, Record]:
    """All records of a task by id, of whichever process; of a sample answered twice the successful one."""
    records: dict[str, Record] = {}
    for path in [part_path(out_dir, task, 0), *other_parts(out_dir, task)]:
        for record in _read_lines(path):
            if "error" not in record or record["id"] not in records:
                records[record["id"]] = record
    return records


def merge_samples(out_dir: Path, task: str, records: Iterable[Record]) -> Path:
    """Replaces the files of all processes by one with `records`, sorted by id."""
    path = part_path(out_dir, task, 0)
    lines = [json.dumps(record, sort_keys=True) for record in sorted(records, key=lambda record: record["id"])]
    replace_file(path, "".join(line + "\n" for line in lines))
    for part in other_parts(out_dir, task):
        part.unlink()
    return path


def replace_file(path: Path, text: str) -> None:
    """Writes `text` so that a reader finds the old file or the new one, never a part."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    with waiting.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(path)


def part_path(out_dir: Path, task: str, rank: int) -> Path:
    """The file that process `rank` appends to."""
    return out_dir / (f"{task}.jsonl" if rank == 0 else f"{task}.part-{rank}.jsonl")


def other_parts(out_dir: Path, task: str) -> list[Path]:
    """The files of the processes other than 0."""
    return sorted(out_dir.glob(f"{task}.part-*.jsonl"))


def append_lines(file: BinaryIO, records: Iterable[Record]) -> None:
    """Writes all `records` at once to a file opened for appending, and returns when they are on the disk."""
    file.write("".join(json.dumps(record, sort_keys=True) + "\n" for record in records).encode())
    file.flush()
    os.fsync(file.fileno())


def cut_broken_line(file: BinaryIO) -> None:
    """Drops a last line without its end, which a killed writer left, from a file opened for reading and appending."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


def _read_lines(path: Path) -> list[Record]:
    """The complete lines of a file, or none if there is no file. A last line without its end is passed over.

    Raises `ValueError` for any other line that is no record.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            records.append(json.loads(line))
            records[-1]["id"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}, line {number}, is no sample record. Remove the file to start over.") from error
    return records
