# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report as Markdown: tables, and one line per task on how its number came about."""

from collections.abc import Sequence

from ..results import TaskResult
from ..task import EvalTask
from .runs import Run
from .sweeps import Sweep
from .tables import Table, explanation, headline_note, metric_title, shown_interval, shown_value, title_of


def markdown(
    runs: Sequence[Run],
    tasks: Sequence[EvalTask],
    tables: Sequence[Table],
    controls: Table | None,
    sweeps: Sequence[Sweep],
) -> str:
    """The whole report."""
    parts = [
        f"# {title_of(runs)}",
        "",
        f"Rows in bold {explanation(tables, tasks)}",
    ]
    for table in tables:
        parts += ["", *_table("system", table)]
    if controls is not None:
        parts += ["", "## What each modality contributes", "", *_table("given", controls)]
    for sweep in sweeps:
        parts += ["", f"## {sweep.title[0].upper()}{sweep.title[1:]}", "", *_sweep(sweep)]
    for run in runs:
        parts += ["", f"## {_escaped(run.name)}", ""]
        rows = [TASK_HEADER, ["---"] * len(TASK_HEADER)]
        rows += [_task_row(task, entry) for task in tasks if (entry := run.entry(task.name))]
        parts += [_line(row) for row in rows]
        notes = [
            f"- {task.title}: {_escaped(note)}"
            for task in tasks
            if (entry := run.entry(task.name))
            for note in notes_on(task, entry)
        ]
        parts += ["", *notes] if notes else []
        if run.not_run:
            parts += ["", f"Not run for want of annotations: {_escaped(', '.join(run.not_run))}."]
    return "\n".join(parts) + "\n"


TASK_HEADER = ["task", "data set", "metric", "value", "95 % interval", "n", "published n", "generation"]


def notes_on(task: EvalTask, entry: TaskResult) -> list[str]:
    """What a reader of the task's number must know: other metrics, judge, what was left out."""
    note = headline_note(entry)
    notes = [note] if note else []
    for metric in task.answers.metrics:
        if metric in (entry.metric, entry.instead_of):
            continue
        shown = f"{shown_value(entry, metric)} {shown_interval(entry, metric)}"
        if metric not in entry.metrics:
            continue
        reason = entry.metrics[metric].reason
        if note and reason and note.endswith(reason):
            continue
        notes.append(f"{metric_title(metric)} {reason or shown}")
    if entry.judge is not None:
        notes.append(f"judged by {entry.judge.name}, {entry.judge.judged} answers; {entry.judge.failed} failed")
    for kind, count in (("missing", entry.missing_samples), ("unreadable", entry.unreadable_samples)):
        if count:
            notes.append(f"{count} samples left out, their media are {kind}")
    return notes


def shown_generation(entry: TaskResult) -> str:
    """For example "max_new_tokens 32, num_beams 5"."""
    return ", ".join(f"{key} {value}" for key, value in sorted(entry.generation.items())) or "the model's own"


def _task_row(task: EvalTask, entry: TaskResult) -> list[str]:
    counts = ["-" if entry.headline.n is None else str(entry.headline.n), str(entry.published_samples or "-")]
    numbers = [shown_value(entry), shown_interval(entry), *counts]
    return [_escaped(cell) for cell in [task.title, task.data.name, metric_title(entry.metric), *numbers]] + [
        _escaped(shown_generation(entry))
    ]


def _table(corner: str, table: Table) -> list[str]:
    rows = [[corner, *table.header], ["---"] * (1 + len(table.header))]
    for row in table.rows:
        name = _escaped(row.name)
        rows.append([f"**{name}**" if row.ours else name, *map(_escaped, row.cells)])
    return [_line(row) for row in rows]


def _sweep(sweep: Sweep) -> list[str]:
    positions = sorted({position for line in sweep.lines for position in line.positions})
    rows = [["task", *(f"{position:g}" for position in positions)], ["---"] * (1 + len(positions))]
    for line in sweep.lines:
        values = dict(zip(line.positions, line.values, strict=True))
        cells = [f"{values[position]:.1f}" if position in values else "-" for position in positions]
        rows.append([f"{line.task}, {line.metric}", *cells])
    return [_line(row) for row in rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
