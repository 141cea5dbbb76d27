# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples that cannot be trained on: why, and a log of the skipped ones that loader workers share with the trainer."""

import json
import os
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

BAD_SAMPLES = "bad_samples.jsonl"  # in a run's output_dir
MAX_LINE = 4000  # bytes: appends of less than a page are not torn between processes


class BadSampleError(ValueError):
    """A sample that cannot be used; the message names where it comes from, its file and the remedy.

    Attributes:
        reason (`str`): "missing file", "unreadable media", "no answer", "too long", "wrong columns" or "malformed".
        origin (`str`): manifest and line, or what else tells where the sample stands.
        file (`str` or None): the media file.
    """

    def __init__(self, reason: str, detail: str, origin: str = "a sample without origin", file: str | None = None):
        super().__init__(f"{origin}: {detail}" if file is None else f"{origin}, {file}: {detail}")
        self.reason, self.detail, self.origin, self.file = reason, detail, origin, file

    def __reduce__(self):  # crosses process borders
        return type(self), (self.reason, self.detail, self.origin, self.file)


@contextmanager
def reading(origin: str, file: str | None, before_media: bool = False) -> Iterator[None]:
    """Makes errors of what is read within those of a sample that cannot be used.

    Args:
        origin, file: of the sample.
        before_media: its files are only looked for: that the Hub cannot be reached is no fault of the sample.
    """
    try:
        yield
    except BadSampleError:
        raise
    except FileNotFoundError as error:
        raise BadSampleError("missing file", str(error), origin, file) from error
    except (ValueError, OSError) as error:
        if before_media:
            raise
        raise BadSampleError("unreadable media" if file else "malformed", str(error), origin, file) from error


class BadSample(TypedDict):
    """A skipped sample as it stands in the log; see [`BadSampleError`]."""

    reason: str
    origin: str
    file: str | None
    detail: str


class BadSampleLog:
    """
    A file of one JSON line a skipped sample, written by any process and read by all.

    A count in memory would stay in the loader worker that made it.

    Args:
        path: where to keep the log, made with the first skipped sample; what other runs left in it stays and is not
            read. By default a temporary file that goes with this object.
    """

    def __init__(self, path: str | Path | None = None):
        if path is None:
            handle, name = tempfile.mkstemp(prefix="favor-bad-samples-", suffix=".jsonl")
            os.close(handle)
            self.path = Path(name)
            weakref.finalize(self, _remove_as, os.getpid(), name)
        else:
            self.path = Path(path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.start = self.path.stat().st_size if self.path.exists() else 0

    def add(self, error: BadSampleError) -> None:
        """Writes one skipped sample down."""
        entry: BadSample = {
            "reason": error.reason,
            "origin": error.origin,
            "file": error.file,
            "detail": error.detail[:500],
        }
        line = json.dumps(entry).encode()
        if len(line) > MAX_LINE:
            line = json.dumps({**entry, "origin": error.origin[:500], "file": None, "detail": ""}).encode()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line + b"\n")
        finally:
            os.close(handle)

    def read(self) -> list[BadSample]:
        """Every skipped sample so far."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes()[self.start :].decode().split("\n")
        return [json.loads(line) for line in lines[:-1]]  # the last one is empty, or still being written

    def summary(self) -> str:
        """One line: how many samples were skipped for which reason, and the first files."""
        entries = self.read()
        if not entries:
            return "no sample was skipped"
        reasons = Counter(entry["reason"] for entry in entries)
        files = list(dict.fromkeys(entry["file"] or entry["origin"] for entry in entries))
        counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        return f"{len(entries)} samples skipped ({counted}): {', '.join(files[:3])}{more}; see {self.path}"


def _remove_as(process: int, name: str) -> None:
    """Forked loader workers hold a copy of the log, and must not take its file away."""
    if os.getpid() == process and os.path.exists(name):
        os.remove(name)
