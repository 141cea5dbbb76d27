# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Finished runs, read from their folders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..json_fields import JsonObject
from ..query_similarity import QuerySimilarity, read_queries
from ..results import RESULTS_FILE, RunResults, TaskResult, read_results
from ..sample_log import SampleRecord, read_samples
from ..settings import RunSettings
from ..systems import CONSTANT, FAVOR
from ..task import EvalTask, known_tasks


@dataclass(frozen=True)
class Run:
    """A run's folder and what its `results.json` says."""

    folder: Path
    results: RunResults

    @property
    def name(self) -> str:
        """The model's name, the system if it is a baseline, and what was withheld."""
        model, system = self.settings.model, self.settings.system
        if system != CONSTANT:
            model = Path(model).name or model
        parts = [model] if system in (FAVOR, CONSTANT) else [model, system]
        if self.settings.fps is not None:
            parts.append(f"{self.settings.fps:g} fps")
        return ", ".join(parts if self.control == "full" else [*parts, self.control])

    @property
    def control(self) -> str:
        return self.settings.controls.name

    @property
    def settings(self) -> RunSettings:
        return self.results.settings

    @property
    def facts(self) -> JsonObject:
        return self.results.facts

    @property
    def is_benchmark(self) -> bool:
        """Whether it answered published questions at all, and not one's own alone."""
        return any(not entry.own_data for entry in self.results.tasks.values()) or not self.results.tasks

    @property
    def not_run(self) -> list[str]:
        """Tasks that "all" left out."""
        return list(self.results.not_run)

    def entry(self, task: str) -> TaskResult | None:
        """The task's results, if it was run."""
        return self.results.tasks.get(task)

    def samples(self, task: str) -> list[SampleRecord]:
        """The task's samples that were scored, sorted by id."""
        records = read_samples(self.folder, task).values()
        return sorted((record for record in records if record.scored is not None), key=lambda record: record.id)

    def queries(self, task: str) -> QuerySimilarity | None:
        """What `measure_queries` said, if the system has queries."""
        return read_queries(self.folder, task)


def read_run(folder: Path) -> Run:
    """Raises `FileNotFoundError` if the folder holds no results, `ValueError` if they are broken."""
    path = folder / RESULTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {folder} is no finished run of favor eval.")
    return Run(folder, read_results(path))


def tasks_of(runs: Sequence[Run]) -> list[EvalTask]:
    """The tasks of any run, in the benchmark's order; without the published results if one was run on other data."""
    tasks = []
    for name, task in known_tasks().items():
        entries = [entry for run in runs if (entry := run.entry(name))]
        others = [entry.dataset for entry in entries if entry.own_data]
        if others:
            tasks.append(replace(task, data=task.data.of_ones_own(others[0]), paper_rows={}))
        elif entries:
            tasks.append(task)
    return tasks
