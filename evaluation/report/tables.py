# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scores as tables: our runs with their intervals, and the rows that the paper published."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..json_fields import JsonObject
from ..metrics import METRICS
from ..metrics.metric import PERCENT
from ..results import TaskResult
from ..task import EvalTask
from .runs import Run

NOTHING = "-"


@dataclass(frozen=True)
class TableRow:
    """`ours` tells a measured row from a published one."""

    name: str
    cells: list[str]
    ours: bool


@dataclass(frozen=True)
class Table:
    """`header` names the columns after the first, which names the rows."""

    header: list[str]
    rows: list[TableRow]

    def to_json(self) -> JsonObject:
        return asdict(self)


def score_tables(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> list[Table]:
    """Tables of neighbouring tasks that the paper reports the same systems on."""
    groups: list[list[EvalTask]] = []
    systems: set[str] = set()
    for task in tasks:
        if not groups or not (systems & set(task.paper_rows) or systems == set(task.paper_rows)):
            groups.append([])
            systems = set()
        groups[-1].append(task)
        systems |= set(task.paper_rows)
    return [_score_table(runs, group) for group in groups]


def _score_table(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> Table:
    """A column for each task's headline and published metrics, a row for each run and each published system."""
    columns = [(task, metric) for task in tasks for metric in reported_metrics(runs, task)]
    ours = [
        TableRow(run.name, [_measured(run.entry(task.name), metric) for task, metric in columns], True) for run in runs
    ]
    systems = dict.fromkeys(system for task in tasks for system in task.paper_rows)
    published = [
        TableRow(system, [_published(task, system, metric) for task, metric in columns], False) for system in systems
    ]
    return Table([f"{task.title}, {metric_title(metric)}" for task, metric in columns], ours + published)


def explanation(tables: Sequence[Table], tasks: Sequence[EvalTask]) -> str:
    """Which rows are measured and which published; to stand after "Rows shaded" or "Rows in bold"."""
    published = any(not row.ours for table in tables for row in table.rows)
    text = "were measured, with their 95 % bootstrap intervals" + ("; the others are published." if published else ".")
    other_data = [task.title for task in tasks if task.data.size is None and not task.paper_rows]
    if other_data:
        text += f" On data of one's own, which no published result is comparable with: {', '.join(other_data)}."
    return text


def title_of(runs: Sequence[Run]) -> str:
    """What the report is on: the benchmark, unless all questions are one's own."""
    return "AVEB" if any(run.is_benchmark for run in runs) else "Evaluation on data of one's own"


def headline_of(runs: Sequence[Run], task: EvalTask) -> str:
    """The metric that runs are compared by: the task's own, or what stood in for it in one of the runs."""
    entries = [entry for run in runs if (entry := run.entry(task.name)) is not None]
    return next((entry.metric for entry in entries if entry.instead_of is not None), task.answers.metrics[0])


def headline_note(entry: TaskResult) -> str | None:
    """Why a task's number is not the headline that it should be, if so."""
    if entry.instead_of is not None:
        reason = entry.score(entry.instead_of).reason or "not computed"
        return f"{entry.metric} stands in for {entry.instead_of}, which was {reason}"
    return f"{entry.metric} was {entry.headline.reason}" if entry.headline.reason else None


def reported_metrics(runs: Sequence[Run], task: EvalTask) -> list[str]:
    """The headline or what stands in for it, and what else the paper reports of the task or a run has of these."""
    published = {metric for row in task.paper_rows.values() for metric in row}
    entries = [entry for run in runs if (entry := run.entry(task.name))]
    measured = any(entry.score(task.answers.metrics[0]).value is not None for entry in entries)
    shown = published | {headline_of(runs, task)} | ({task.answers.metrics[0]} if measured else set())
    return [metric for metric in task.answers.metrics if metric in shown]


def metric_title(metric: str) -> str:
    """The metric's name as a table shows it, with an arrow towards better."""
    known = METRICS.get(metric)
    arrow = "" if known is None else " \N{UPWARDS ARROW}" if known.higher_is_better else " \N{DOWNWARDS ARROW}"
    return f"{metric}{arrow}"


def scale_of(metric: str) -> float:
    """What a value is multiplied by to stand beside the paper's; of metrics of other programs 100."""
    known = METRICS.get(metric)
    return PERCENT if known is None else known.scale


def shown_value(entry: TaskResult, metric: str | None = None) -> str:
    """One metric, by default the headline: for example "12.3", in percent where the paper is."""
    value = entry.score(metric or entry.metric).value
    return NOTHING if value is None else _number(value, metric or entry.metric)


def shown_interval(entry: TaskResult, metric: str | None = None) -> str:
    """For example "[10.1, 14.5]"."""
    interval = entry.score(metric or entry.metric).ci95
    if interval is None:
        return NOTHING
    return f"[{', '.join(_number(bound, metric or entry.metric) for bound in interval)}]"


def _measured(entry: TaskResult | None, metric: str) -> str:
    if entry is None or entry.score(metric).value is None:
        return NOTHING
    return f"{shown_value(entry, metric)} {shown_interval(entry, metric)}"


def _published(task: EvalTask, system: str, metric: str) -> str:
    value = task.paper_rows.get(system, {}).get(metric)
    return NOTHING if value is None else f"{value:g}"


def _number(value: float, metric: str) -> str:
    scale = scale_of(metric)
    return f"{value * scale:.{1 if scale == PERCENT else 2}f}"
