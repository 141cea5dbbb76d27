# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The file of a task's samples: JSON lines that survive a kill, one file per process, merged at the end.

While a run goes on, process 0 appends to `asr.jsonl`, process k to `asr.part-k.jsonl`. A batch is one write and one
fsync, so that a killed process leaves at most one broken line, the last of its file; readers pass over it and its
writer cuts it off. At the end all lines go to `asr.jsonl`, sorted by id.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .json_fields import Fields, Json, JsonObject


@dataclass(frozen=True)
class Verdict:
    """A judge's reply and what it means: 1.0 or 0.0, or a score; None for a failure."""

    value: float | None
    reply: str | None
    failure: str | None

    def to_json(self) -> JsonObject:
        return {"value": self.value, "reply": self.reply, "failure": self.failure}

    @classmethod
    def read(cls, fields: Fields) -> "Verdict":
        return cls(fields.optional_number("value"), fields.optional_text("reply"), fields.optional_text("failure"))


@dataclass(frozen=True)
class ScoredAnswer:
    """What was scored of a sample: `answer` is the text that was compared with the references.

    Attributes:
        media: kind -> path.
        scores: each metric's statistics.
        verdict: of a judged task, if one was due and there was a judge.
    """

    question: str
    references: list[str]
    answer: str
    media: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class SampleRecord:
    """One line of the log: a raw answer, or the error of a sample whose media cannot be read.

    Attributes:
        seen: what of the media reached the system, if it tells.
        scored: None until the task is scored.
    """

    id: str
    raw: str | None = None
    seen: JsonObject = field(default_factory=dict)
    error: str | None = None
    scored: ScoredAnswer | None = None

    def to_json(self) -> JsonObject:
        if self.error is not None:
            return {"id": self.id, "error": self.error}
        record: dict[str, Json] = {"id": self.id, "raw": self.raw, "seen": self.seen}
        if self.scored is not None:
            scored = self.scored
            record |= {"question": scored.question, "references": scored.references, "answer": scored.answer}
            record |= {"media": scored.media, "scores": scored.scores}
            record |= {} if scored.verdict is None else {"verdict": scored.verdict.to_json()}
        return record

    @classmethod
    def read(cls, fields: Fields) -> "SampleRecord":
        if "error" in fields:
            return cls(fields.text("id"), error=fields.text("error"))
        return cls(fields.text("id"), fields.optional_text("raw"), fields.mapping("seen"), scored=_read_scored(fields))


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

    def append(self, records: Iterable[SampleRecord]) -> None:
        """Writes all `records` at once, and returns when they are on the disk."""
        append_lines(self._file, (record.to_json() for record in records))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "SampleLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_samples(out_dir: Path, task: str) -> dict[str, SampleRecord]:
    """All records of a task by id, of whichever process; of a sample answered twice the successful one."""
    records: dict[str, SampleRecord] = {}
    for path in [part_path(out_dir, task, 0), *other_parts(out_dir, task)]:
        for record in _read_lines(path):
            if record.error is None or record.id not in records:
                records[record.id] = record
    return records


def merge_samples(out_dir: Path, task: str, records: Iterable[SampleRecord]) -> Path:
    """Replaces the files of all processes by one with `records`, sorted by id."""
    path = part_path(out_dir, task, 0)
    ordered = sorted(records, key=lambda record: record.id)
    lines = [json.dumps(record.to_json(), sort_keys=True) for record in ordered]
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


def append_lines(file: BinaryIO, records: Iterable[JsonObject]) -> None:
    """Writes all `records` at once to a file opened for appending, and returns when they are on the disk."""
    file.write("".join(json.dumps(record, sort_keys=True) + "\n" for record in records).encode())
    file.flush()
    os.fsync(file.fileno())


def cut_broken_line(file: BinaryIO) -> None:
    """Drops a last line without its end, which a killed writer left, from a file opened for reading and appending."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


def _read_lines(path: Path) -> list[SampleRecord]:
    """The complete lines of a file, or none if there is no file. A last line without its end is passed over.

    Raises `ValueError` for any other line that is no record.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            records.append(SampleRecord.read(Fields(json.loads(line), path, f"line {number}")))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}, is no sample record ({error}). Remove the file to start over."
            ) from error
    return records


def _read_scored(fields: Fields) -> ScoredAnswer | None:
    if "answer" not in fields:
        return None
    verdict = fields.section("verdict")
    return ScoredAnswer(
        question=fields.text("question"),
        references=fields.list_of("references", str, "a list of texts"),
        answer=fields.text("answer"),
        media=fields.texts_of("media"),
        scores={name: _read_statistics(values) for name, values in fields.sections("scores").items()},
        verdict=None if verdict is None else Verdict.read(verdict),
    )


def _read_statistics(fields: Fields) -> dict[str, float]:
    return {
        name: value for name in fields.names() if (value := fields.optional_number(name, finite=False)) is not None
    }
