# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report as one HTML file: figures and thumbnails are inside it, no script is, and all text is escaped."""

import base64
import hashlib
from collections import Counter
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
from .marks import PARTLY, RIGHT, WRONG, Mark, mark_of
from .runs import Run
from .sweeps import Sweep
from .tables import Table, explanation, metric_title, shown_interval, shown_value, title_of
from .thumbnails import frame_images, loudness_bars

SHOWN_SAMPLES = 4  # per task, with pictures
LISTED_ANSWERS = 1000  # per task; of more, those that are not right come first


@dataclass(frozen=True)
class ShownSample:
    """A sample with pictures of its media; a file that is gone by now has none."""

    scored: ScoredAnswer
    mark: Mark | None
    pictures: list[str]
    bars: list[float]
    files: list[str]


@dataclass(frozen=True)
class ListedAnswer:
    """An answer in the list of all: what the metric says of it, and what was compared."""

    id: str
    mark: Mark
    scored: ScoredAnswer
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
    answers: list[ListedAnswer]
    counts: str


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
        title=title_of(runs),
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
    records = run.samples(task.name)
    samples = sorted(records, key=lambda record: hashlib.sha256(record.id.encode()).hexdigest())
    answers = _listed(records, entry.metric)
    counts = Counter(answer.mark.name for answer in answers)
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
        samples=[_sample(record, record.scored, entry.metric) for record in samples[:SHOWN_SAMPLES] if record.scored],
        answers=sorted(answers, key=_not_right_first)[:LISTED_ANSWERS],
        counts=", ".join(f"{counts[name]} {name}" for name in (RIGHT, PARTLY, WRONG) if counts[name]),
    )


def _listed(records: Sequence[SampleRecord], metric: str) -> list[ListedAnswer]:
    """The answers of which the headline metric says whether they are right."""
    listed = []
    for record in records:
        mark = None if record.scored is None else mark_of(metric, record.scored.scores)
        if record.scored is not None and mark is not None:
            listed.append(ListedAnswer(record.id, mark, record.scored, _names(record.scored)))
    return listed


def _not_right_first(answer: ListedAnswer) -> tuple[float, str]:
    return min(answer.mark.share, 1.0), answer.id


def _names(scored: ScoredAnswer) -> list[str]:
    return [Path(path).name for path in scored.media.values()]


def _sample(record: SampleRecord, scored: ScoredAnswer, metric: str) -> ShownSample:
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
    return ShownSample(scored, mark_of(metric, scored.scores), pictures, bars, _names(scored))


def _image(svg: str | None) -> str | None:
    """A figure as a data URL, in which no script could run."""
    return None if svg is None else f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
