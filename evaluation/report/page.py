# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report as one HTML file: figures and thumbnails are inside it, no script is, and all text is escaped."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..query_similarity import QuerySimilarity
from ..results import TaskResult
from ..sample_log import SampleRecord, ScoredAnswer
from ..task import EvalTask
from . import plots
from .markdown import notes_on, shown_generation
from .runs import Run
from .sweeps import Sweep
from .tables import Table, explanation, metric_title, shown_interval, shown_value
from .thumbnails import frame_images, loudness_bars

SHOWN_SAMPLES = 4  # per task


@dataclass(frozen=True)
class ShownSample:
    """A sample with pictures of its media; a file that is gone by now has none."""

    scored: ScoredAnswer
    pictures: list[str]
    bars: list[float]
    files: list[str]


@dataclass(frozen=True)
class TaskSection:
    """A task's part of the page: its numbers as they are shown, and some of its samples."""

    name: str
    title: str
    dataset: str
    metric: str
    value: str
    interval: str
    entry: TaskResult
    generation: str
    notes: list[str]
    samples: list[ShownSample]


def html_page(
    runs: Sequence[Run],
    tasks: Sequence[EvalTask],
    tables: Sequence[Table],
    controls: Table | None,
    sweeps: Sequence[Sweep],
) -> str:
    """The whole page. Samples and query matrices are the first run's."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        runs=runs,
        tables=tables,
        explanation=explanation(tables, tasks),
        controls=controls,
        score_plot=_image(plots.score_plot(runs, tasks)),
        control_plot=_image(plots.control_plot(runs, tasks)),
        sweeps=[
            (sweep.title, plots.sweep_columns(sweep), _image(plots.sweep_plot(sweep)))
            for sweep in sweeps
            if sweep.lines
        ],
        tasks=[_task_section(task, entry, runs[0]) for task in tasks if (entry := runs[0].entry(task.name))],
        queries=[
            (title, queries, _image(plots.similarity_plot(queries)))
            for title, queries in _different_queries(runs[0], tasks)
        ],
    )


def _different_queries(run: Run, tasks: Sequence[EvalTask]) -> list[tuple[str, QuerySimilarity]]:
    """The similarities of each task's queries; of tasks that ask the same of the same clip, the first's."""
    found: dict[str, tuple[str, QuerySimilarity]] = {}
    for task in tasks:
        queries = run.queries(task.name)
        if queries is not None:
            found.setdefault(str(queries.similarity), (task.title, queries))
    return list(found.values())


def _task_section(task: EvalTask, entry: TaskResult, run: Run) -> TaskSection:
    samples = sorted(run.samples(task.name), key=lambda record: hashlib.sha256(record.id.encode()).hexdigest())
    return TaskSection(
        name=task.name,
        title=task.title,
        dataset=task.data.name,
        metric=metric_title(entry.metric),
        value=shown_value(entry),
        interval=shown_interval(entry),
        entry=entry,
        generation=shown_generation(entry),
        notes=notes_on(task, entry),
        samples=[_sample(record, record.scored) for record in samples[:SHOWN_SAMPLES] if record.scored],
    )


def _sample(record: SampleRecord, scored: ScoredAnswer) -> ShownSample:
    media = scored.media
    pictures: list[str] = []
    bars: list[float] = []
    try:
        if "video" in media or "image" in media:
            pictures = frame_images(media.get("video") or media["image"])
        if "audio" in media:
            bars = loudness_bars(media["audio"])
        elif "video" in media and record.seen.get("audio_seconds"):
            bars = loudness_bars(media["video"])
    except (ValueError, OSError):
        pass
    return ShownSample(scored, pictures, bars, [Path(path).name for path in media.values()])


def _image(svg: str | None) -> str | None:
    """A figure as a data URL, in which no script could run."""
    return None if svg is None else f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
