# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tells checkpoints that were written to the end from those of a process that was killed while it saved."""

import json
import os
import re
from pathlib import Path

MARKER = "complete.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def mark_complete(folder: Path) -> None:
    """Writes the sizes of a folder's files down, once they are on the disk; from then on it counts as complete.

    The marker appears at once, by a rename: a torn marker cannot be.
    """
    sizes = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MARKER:
            with open(file, "rb+") as opened:
                os.fsync(opened.fileno())
            sizes[str(file.relative_to(folder))] = file.stat().st_size
    partial = folder / (MARKER + ".partial")
    partial.write_text(json.dumps({"files": sizes}), encoding="utf-8")
    partial.replace(folder / MARKER)


def unmark(folder: Path) -> None:
    """Before a folder is written again."""
    (folder / MARKER).unlink(missing_ok=True)


def fault_of(folder: Path) -> str | None:
    """Why a checkpoint must not be used, or None if it is complete."""
    try:
        sizes = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (FileNotFoundError, NotADirectoryError):
        return f"it has no {MARKER}, so it was not written to the end"
    except (ValueError, KeyError, TypeError):
        return f"its {MARKER} cannot be read"
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            return f"{name} has {found} bytes instead of {size}" if found is not None else f"{name} is missing"
    return None


def checkpoints(folder: Path) -> list[Path]:
    """`checkpoint-N` folders, newest step first."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and _CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)


def last_complete(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest complete checkpoint of an output folder, and why newer ones are passed over."""
    passed_over: list[str] = []
    for path in checkpoints(folder):
        fault = fault_of(path)
        if fault is None:
            return path, passed_over
        passed_over.append(f"{path} is passed over: {fault}.")
    return None, passed_over
