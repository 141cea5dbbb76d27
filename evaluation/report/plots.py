# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report's figures, each an SVG for a page: scores beside published ones, controls, sweeps, query similarities."""

import io
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..metrics.metric import PERCENT
from ..query_similarity import QuerySimilarity
from ..results import MetricScore, TaskResult
from ..task import EvalTask
from .runs import Run
from .sweeps import Sweep, SweepLine, control_runs
from .tables import headline_of, metric_title, scale_of

PUBLISHED = {"FAVOR 13B": ("D", "#555555"), "FAVOR 7B": ("s", "#aaaaaa")}  # rows of the paper drawn beside ours
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, for all eyes
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "favor",  # the same figure gives the same file
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollar signs
}
WIDTH = 5.2  # inches; narrow enough that a phone shrinks the text little
MAX_COLUMNS = 3
LIMIT = 120.0  # percent; a word error rate beyond it would press all else together, and is an arrow at the edge


def score_plot(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> str | None:
    """Headlines with intervals, one line per task, beside the paper's; None if none is in percent."""
    shown = _shown(runs, tasks)
    if not shown:
        return None
    with rc_context(STYLE):
        figure = Figure(
            figsize=(WIDTH, 0.9 + 0.17 * (len(runs) + 3) // 2 + (0.2 + 0.12 * len(runs)) * len(shown)),
            layout="constrained",
        )
        axes = figure.add_subplot()
        for system, (marker, colour) in PUBLISHED.items():
            rows = [row for row, (task, metric) in enumerate(shown) if metric in task.paper_rows.get(system, {})]
            values = [task.paper_rows[system][metric] for task, metric in (shown[row] for row in rows)]
            if values:
                axes.plot(values, rows, marker, color=colour, markersize=5, label=f"{system}, published")
        for index, run in enumerate(runs):
            offset = 0.7 * ((index + 0.5) / len(runs) - 0.5)
            colour = COLOURS[index % len(COLOURS)]
            axes.plot([], [], "o", color=colour, label=run.name)
            for row, (task, metric) in enumerate(shown):
                _interval(axes, _score(run.entry(task.name), metric), row + offset, colour)
        axes.set_yticks(range(len(shown)), [f"{task.title}, {metric_title(metric)}" for task, metric in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(axis="x", color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.set_xlim(0, min(LIMIT, max(PERCENT, *_values(runs, shown)) * 1.02))
        axes.set_xlabel("value in %")
        figure.legend(loc="outside lower center", ncols=2)
        return _svg(figure)


def control_plot(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> str | None:
    """Bars of each control, task by task; None with only one control."""
    chosen = control_runs(runs)
    shown = _shown(chosen, tasks)
    if len(chosen) < 2 or not shown:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 0.2 * len(shown) * (len(chosen) + 1)), layout="constrained")
        axes = figure.add_subplot()
        height = 0.8 / len(chosen)
        for index, run in enumerate(chosen):
            for row, (task, metric) in enumerate(shown):
                bar = _percent(_score(run.entry(task.name), metric))
                if bar is None:
                    continue
                value, low, high = bar
                place = row - 0.4 + (index + 0.5) * height
                if value > LIMIT:
                    axes.plot(LIMIT, place, ">", color=COLOURS[index % len(COLOURS)], markersize=7, clip_on=False)
                axes.barh(
                    place,
                    value,
                    height * 0.92,
                    color=COLOURS[index % len(COLOURS)],
                    xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
                    error_kw={"elinewidth": 1, "ecolor": "#333333"},
                    label=run.control if row == 0 else None,
                )
        axes.set_yticks(range(len(shown)), [f"{task.title}, {metric_title(metric)}" for task, metric in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, min(LIMIT, max(PERCENT, *_values(chosen, shown)) * 1.02))
        axes.set_xlabel("value in %")
        figure.legend(loc="outside lower center", ncols=2)
        return _svg(figure)


def sweep_columns(sweep: Sweep) -> int:
    """Panels side by side."""
    return min(MAX_COLUMNS, len(sweep.lines))


def sweep_plot(sweep: Sweep) -> str:
    """A panel per task, with intervals; along the diversity loss also the queries' mean similarity (figure 4)."""
    columns = sweep_columns(sweep)
    rows = -(-len(sweep.lines) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.4 * columns, 2.1 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).flat
        for line, axes in zip(sweep.lines, panels, strict=False):
            low, high = zip(*line.intervals, strict=True)
            axes.fill_between(line.positions, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
            axes.plot(line.positions, line.values, "o-", color=COLOURS[0], markersize=4)
            axes.set_title(f"{line.task}, {metric_title(line.metric)}", fontsize=9)
            axes.set_xticks(line.positions, [f"{position:g}" for position in line.positions])
            if sweep.fact == "diversity_loss_weight":
                _similarity_axis(axes, line)
        for axes in list(panels):
            axes.set_visible(False)
        figure.supxlabel(sweep.title, fontsize=9)
        return _svg(figure)


def similarity_plot(queries: QuerySimilarity) -> str:
    """A matrix of cosine similarities (figure 5) from -1, blue, to 1, red; lines part the windows."""
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6, 2.6))
        axes = figure.add_axes((0.12, 0.1, 0.86, 0.86))
        size = len(queries.similarity)
        axes.imshow(queries.similarity, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        for edge in range(queries.queries, size, queries.queries):
            axes.axhline(edge - 0.5, color="black", linewidth=0.6)
            axes.axvline(edge - 0.5, color="black", linewidth=0.6)
        ticks = range(0, size, queries.queries)
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.spines[:].set_visible(False)
        return _svg(figure)


def _score(entry: TaskResult | None, metric: str) -> MetricScore:
    return MetricScore(None) if entry is None else entry.score(metric)


def _percent(score: MetricScore) -> tuple[float, float, float] | None:
    """Value and interval in percent; a value whose interval is not stated is its own."""
    if score.value is None:
        return None
    low, high = score.ci95 or (score.value, score.value)
    return score.value * PERCENT, low * PERCENT, high * PERCENT


def _interval(axes: Axes, score: MetricScore, row: float, colour: str) -> None:
    shown = _percent(score)
    if shown is None:
        return
    value, low, high = shown
    if value > LIMIT:
        axes.plot(LIMIT, row, ">", color=colour, markersize=7, clip_on=False)
        return
    bounds = [[max(0.0, value - low)], [max(0.0, high - value)]]
    axes.errorbar(value, row, xerr=bounds, fmt="o", color=colour, markersize=5, capsize=2, elinewidth=1.4)


def _similarity_axis(axes: Axes, line: SweepLine) -> None:
    points = [(x, y) for x, y in zip(line.positions, line.similarities, strict=True) if y is not None]
    if points:
        other = axes.twinx()
        other.plot(*zip(*points, strict=True), "^--", color=COLOURS[1], markersize=4)
        other.set_ylabel("mean cosine", color=COLOURS[1])


def _shown(runs: Sequence[Run], tasks: Sequence[EvalTask]) -> list[tuple[EvalTask, str]]:
    """The tasks with their headlines, where that is in percent and any run has a value."""
    columns = [(task, headline_of(runs, task)) for task in tasks]
    return [
        (task, metric) for task, metric in columns if scale_of(metric) == PERCENT and _values(runs, [(task, metric)])
    ]


def _values(runs: Sequence[Run], columns: Sequence[tuple[EvalTask, str]]) -> list[float]:
    """All headlines there are, in percent: an interval may leave the plot, a value must not."""
    values = [_score(run.entry(task.name), metric).value for run in runs for task, metric in columns]
    return [value * PERCENT for value in values if value is not None]


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
