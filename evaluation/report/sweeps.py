# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What changes from run to run: media withheld (controls), frame rate, window or diversity loss (figures 3 and 4)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from ..controls import Controls
from ..json_fields import JsonObject
from ..results import MetricScore
from ..settings import RunSettings
from ..task import EvalTask
from .runs import Run
from .tables import Table, TableRow, headline_of, scale_of, shown_interval, shown_value

SWEPT = {  # fact of the model -> axis title
    "fps": "frames per second",
    "window_frames": "frames per window, k",
    "diversity_loss_weight": "diversity loss weight, lambda",
}


@dataclass(frozen=True)
class SweepLine:
    """One task along a sweep: `values` and `intervals` in the units of the tables, `similarities` of the queries."""

    task: str
    metric: str
    positions: list[float]
    values: list[float]
    intervals: list[list[float]]
    similarities: list[float | None]


@dataclass(frozen=True)
class Sweep:
    """Runs that differ in `fact` and in no other fact of the model but the number of queries."""

    fact: str
    title: str
    lines: list[SweepLine]

    def to_json(self) -> JsonObject:
        return asdict(self)


def control_table(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> Table | None:
    """Runs of the first run's model with and without sound or pictures; None if there is only one control."""
    chosen = control_runs(runs)
    if len(chosen) < 2:
        return None
    columns = [(task, headline_of(chosen, task)) for task in tasks]
    rows = [
        TableRow(
            run.control,
            [
                f"{shown_value(entry, metric)} {shown_interval(entry, metric)}"
                if (entry := run.entry(task.name))
                else "-"
                for task, metric in columns
            ],
            True,
        )
        for run in chosen
    ]
    return Table([f"{task.title}, {metric}" for task, metric in columns], rows)


def control_runs(runs: Sequence[Run]) -> list[Run]:
    """The first run of each control among those of the first run's system, model and frame rate; "full" first."""

    def identity(run: Run) -> RunSettings:
        return replace(run.settings, controls=Controls())

    first_of = {run.control: run for run in reversed(runs) if identity(run) == identity(runs[0])}
    return sorted(first_of.values(), key=lambda run: (run.control != "full", run.control))


def find_sweeps(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> list[Sweep]:
    """All sweeps that the runs make, with media complete and at least two positions."""
    sweeps = []
    for fact, title in SWEPT.items():
        groups: dict[tuple[str | None, ...], dict[float, Run]] = {}
        for run in runs:
            position = run.facts.get(fact)
            if run.control == "full" and isinstance(position, int | float):
                groups.setdefault(_held_fixed(run, fact), {}).setdefault(float(position), run)
        for group in groups.values():
            if len(group) > 1:
                lines = [line for task in tasks if (line := _line(task, dict(sorted(group.items()))))]
                sweeps.append(Sweep(fact, title, lines))
    return sweeps


def _held_fixed(run: Run, fact: str) -> tuple[str | None, ...]:
    """What the runs of a sweep have in common. The frame rate is changed at inference, of the same weights."""
    fixed = [str(run.facts.get(other)) for other in SWEPT if other != fact]
    return (run.settings.system, *fixed, run.settings.model_revision if fact == "fps" else None)


def _line(task: EvalTask, group: dict[float, Run]) -> SweepLine | None:
    metric = headline_of(list(group.values()), task)
    scale = scale_of(metric)
    points = []
    for position, run in group.items():
        entry = run.entry(task.name)
        score = entry.score(metric) if entry else MetricScore(None)
        if score.value is not None:
            queries = run.queries(task.name)
            value, (low, high) = score.value, score.ci95 or (score.value, score.value)
            similarity = queries.mean_similarity if queries else None
            points.append((position, value * scale, [low * scale, high * scale], similarity))
    if len(points) < 2:
        return None
    positions, values, intervals, similarities = map(list, zip(*points, strict=True))
    return SweepLine(
        task=task.name,
        metric=metric,
        positions=positions,
        values=values,
        intervals=intervals,
        similarities=similarities,
    )
