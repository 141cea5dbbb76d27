# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Finished runs, read from their folders."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..controls import Controls
from ..runner import queries_path
from ..sample_log import Record, read_samples
from ..scoring import RESULTS_FILE
from ..task import EvalTask
from ..tasks import TASKS


@dataclass(frozen=True)
class Run:
    """A run's folder and what its `results.json` says."""

    folder: Path
    results: dict[str, Any]

    @property
    def name(self) -> str:
        """The model's name, the system if it is a baseline, and what was withheld."""
        model, system = self.results["model"], self.results["system"]
        if system != "constant":
            model = Path(model).name or model
        parts = [model] if system in ("favor", "constant") else [model, system]
        if self.results.get("fps") is not None:
            parts.append(f"{self.results['fps']:g} fps")
        return ", ".join(parts if self.control == "full" else [*parts, self.control])

    @property
    def control(self) -> str:
        return Controls(**self.results["controls"]).name

    @property
    def facts(self) -> dict[str, Any]:
        return self.results["facts"]

    @property
    def not_run(self) -> list[str]:
        """Tasks that "all" left out."""
        return list(self.results.get("not_run", {}))

    def entry(self, task: str) -> dict[str, Any] | None:
        """The task's results, if it was run."""
        return self.results["tasks"].get(task)

    def samples(self, task: str) -> list[Record]:
        """The task's samples that were scored, sorted by id."""
        records = read_samples(self.folder, task).values()
        return sorted((record for record in records if "answer" in record), key=lambda record: record["id"])

    def queries(self, task: str) -> dict[str, Any] | None:
        """What `measure_queries` said, if the system has queries."""
        path = queries_path(self.folder, task)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read_run(folder: Path) -> Run:
    """Raises `FileNotFoundError` if the folder holds no results."""
    path = folder / RESULTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {folder} is no finished run of favor eval.")
    return Run(folder, json.loads(path.read_text(encoding="utf-8")))


def tasks_of(runs: Sequence[Run]) -> list[EvalTask]:
    """The tasks of any run, in the benchmark's order; without the published results if one was run on other data."""
    tasks = []
    for name, task in TASKS.items():
        entries = [entry for run in runs if (entry := run.entry(name))]
        others = [entry["dataset"] for entry in entries if entry.get("own_data")]
        if others:
            tasks.append(replace(task, dataset=others[0], size=None, paper_rows={}))
        elif entries:
            tasks.append(task)
    return tasks
