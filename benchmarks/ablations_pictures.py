# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pictures of the ablation study: differences to the full model, and the paper's figures 3, 4 and 5."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from favor.evaluation.report.plots import COLOURS, STYLE
from favor.evaluation.tasks import TASKS

from .ablations_claims import SIMILARITY, paper_gain
from .ablations_scores import FULL, Study, metric_title

STYLE_PNG = {name: value for name, value in STYLE.items() if not name.startswith("svg.")}
BETTER, WORSE, UNDECIDED, PAPER = COLOURS[0], COLOURS[1], "#bbbbbb", "#333333"
LEGEND = {"worse": WORSE, "better": BETTER, "interval holds zero": UNDECIDED}
ROWS = {
    "without-causal-attention": "no causal attention",
    "without-windows": "no windows",
    "without-synchronisation": "no synchronisation",
    "without-diversity-loss": "no diversity loss",
    "video-llama-like": "none of causal attention,\ndiversity loss, synchronisation",
}
WINDOWS = ("half-windows", FULL, "double-windows", "fourfold-windows")
FRAME_RATES = ("fps-0.5", "fps-1", FULL, "fps-4")
WEIGHTS = ("without-diversity-loss", FULL, "diversity-loss-0.1", "diversity-loss-1")
FIGURE_4_TASKS = ("avsr", "video_qa", "avssd")
DIFFERENCES, FIGURE_3 = "Differences to the full model", "Figure 3: windows, and pictures per second"
FIGURE_4, FIGURE_5 = "Figure 4: weight of the diversity loss", "Figure 5: cosines between queries of one item"
RESOLUTION = 150  # dots an inch


def draw_pictures(study: Study, folder: Path) -> dict[str, str]:
    """Draws what the study has; returns title -> file name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        DIFFERENCES: ("ablations-differences.png", differences_picture(study)),
        FIGURE_3: ("ablations-figure-3.png", figure_3(study)),
        FIGURE_4: ("ablations-figure-4.png", figure_4(study)),
        FIGURE_5: ("ablations-figure-5.png", figure_5(study)),
    }
    drawn = {}
    for title, (name, figure) in pictures.items():
        if figure is not None:
            figure.savefig(folder / name, dpi=RESOLUTION, metadata={"Software": None})
            drawn[title] = name
    return drawn


def differences_picture(study: Study, columns: int = 4) -> Figure | None:
    """A panel a task: bars to the left are worse than the full model; diamonds are the paper's differences."""
    variants = [variant for variant in ROWS if variant in study.variants]
    if not variants:
        return None
    rows = -(-len(study.tasks) // columns)
    with rc_context(STYLE_PNG):
        figure = Figure(figsize=(2.6 + 2.1 * columns, 0.9 + (0.6 + 0.26 * len(variants)) * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes, task in zip(panels.flat, study.tasks, strict=False):
            for row, variant in enumerate(variants):
                _bar(axes, study, variant, task, row)
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_title(f"{TASKS[task].title}, {study.metrics[task]}", fontsize=9)
            axes.set_yticks(range(len(variants)), [ROWS[variant] for variant in variants])
            axes.set_ylim(len(variants) - 0.5, -0.5)
            axes.grid(axis="x", color="#e5e5e5")
            axes.set_axisbelow(True)
            axes.locator_params(axis="x", nbins=5)
            axes.use_sticky_edges = False
            axes.margins(x=0.08)
        for axes in list(panels.flat)[len(study.tasks) :]:
            axes.set_visible(False)
        handles = [Patch(color=colour, label=label) for label, colour in LEGEND.items()]
        diamond = Line2D([], [], marker="D", color=PAPER, markerfacecolor="none", linestyle="none", label="paper")
        title = "points better (right) or worse (left) than the full model"
        figure.legend(handles=[*handles, diamond], loc="outside lower center", ncols=4, title=title)
        return figure


def _bar(axes: Axes, study: Study, variant: str, task: str, row: int) -> None:
    gain = study.gain(variant, task)
    if gain is not None:
        colour = {-1: WORSE, 0: UNDECIDED, 1: BETTER}[gain.sign]
        axes.barh(row, gain.mean, 0.7, color=colour, xerr=gain.half_width, error_kw={"elinewidth": 1, "capsize": 2})
    paper = paper_gain(variant, task)
    if paper is not None:
        axes.plot(paper, row, "D", color=PAPER, markerfacecolor="none", markersize=5)


def figure_3(study: Study) -> Figure | None:
    """(a) speech and (b) video QA along the window size, (c) video QA along the pictures per second."""
    windows = [variant for variant in WINDOWS if variant in study.variants]
    rates = [variant for variant in FRAME_RATES if variant in study.variants]
    panels = [
        ("(a)", "asr", windows, "window_frames", "frames per window, k"),
        ("(b)", "video_qa", windows, "window_frames", "frames per window, k"),
        ("(c)", "video_qa", rates, "fps", "pictures per second"),
    ]
    panels = [panel for panel in panels if panel[1] in study.tasks and len(panel[2]) > 1]
    if not panels:
        return None
    with rc_context(STYLE_PNG):
        figure = Figure(figsize=(2.9 * len(panels), 2.6), layout="constrained")
        for axes, (letter, task, variants, fact, label) in zip(
            figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True
        ):
            facts = [study.fact(variant, fact) for variant in variants]
            _line(axes, study, task, variants)
            axes.set_xticks(range(len(facts)), [f"{value:g}" for value in facts])
            axes.set_xlabel(label)
            axes.set_title(f"{letter} {metric_title(study, task)}", fontsize=9)
        return figure


def figure_4(study: Study) -> Figure | None:
    """Scores along lambda, and the mean cosine of the queries."""
    variants = [variant for variant in WEIGHTS if variant in study.variants]
    tasks = [task for task in FIGURE_4_TASKS if task in study.tasks]
    if len(variants) < 2 or not tasks:
        return None
    with rc_context(STYLE_PNG):
        figure = Figure(figsize=(3.3 * len(tasks), 2.8), layout="constrained")
        for letter, axes, task in zip("abc", figure.subplots(1, len(tasks), squeeze=False).flat, tasks, strict=False):
            _line(axes, study, task, variants)
            axes.set_xticks(
                range(len(variants)), [f"{study.fact(variant, 'diversity_loss_weight'):g}" for variant in variants]
            )
            axes.set_xlabel("lambda")
            axes.tick_params(axis="y", colors=COLOURS[0])
            axes.set_title(f"({letter}) {metric_title(study, task)}", fontsize=9)
            other = axes.twinx()
            _line(other, study, task, variants, SIMILARITY, COLOURS[1], "^--", shift=0.08)
            other.spines["right"].set_visible(True)
            other.tick_params(axis="y", colors=COLOURS[1])
            if axes is figure.axes[len(tasks) - 1]:
                other.set_ylabel("mean cosine of queries", color=COLOURS[1])
        return figure


def figure_5(study: Study) -> Figure | None:
    """Cosines between the queries of one item's windows, for each lambda; lines part the windows."""
    found: dict[str, dict[str, Any]] = {entry["variant"]: entry for entry in study.raw["similarities"]}
    variants = [variant for variant in WEIGHTS if variant in found]
    if len(variants) < 2:
        return None
    with rc_context(STYLE_PNG):
        figure = Figure(figsize=(2.4 * len(variants) + 0.8, 2.7), layout="constrained")
        panels = list(figure.subplots(1, len(variants), squeeze=False).flat)
        image: Any = None
        for axes, variant in zip(panels, variants, strict=True):
            matrix, queries = found[variant]["similarity"], found[variant]["queries"]
            image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
            for edge in range(queries, len(matrix), queries):
                axes.axhline(edge - 0.5, color="black", linewidth=0.6)
                axes.axvline(edge - 0.5, color="black", linewidth=0.6)
            axes.set_xticks(range(0, len(matrix), queries))
            axes.set_yticks(range(0, len(matrix), queries))
            axes.spines[:].set_visible(False)
            axes.set_title(f"lambda {study.fact(variant, 'diversity_loss_weight'):g}", fontsize=9)
        figure.colorbar(image, ax=panels, label="cosine", shrink=0.8)
        return figure


def _line(
    axes: Axes,
    study: Study,
    task: str,
    variants: Sequence[str],
    quantity: str = "value",
    colour: str = COLOURS[0],
    style: str = "o-",
    shift: float = 0.0,
) -> None:
    """Means with their intervals at places 0, 1, ..., `shift` to the right, and the seeds as rings beside them."""
    for place, variant in enumerate(variants):
        seeds = study.values(variant, task, quantity)
        beside = [place + shift + 0.12] * len(seeds)
        axes.plot(beside, seeds, "o", color=colour, markersize=2.5, markerfacecolor="none")
    points = [(p, mean) for p, v in enumerate(variants) if (mean := study.mean(v, task, quantity)) is not None]
    if not points:
        return
    axes.errorbar(
        [place + shift for place, _ in points],
        [mean.mean for _, mean in points],
        yerr=[mean.half_width or 0.0 for _, mean in points],
        fmt=style,
        color=colour,
        markersize=4,
        capsize=2,
        elinewidth=1,
    )
    axes.set_xlim(-0.4, len(variants) - 0.6)
