# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The content of `results.json`, defined once: what `favor eval` writes, and report, model card and benchmarks read.

Least of all a file says `{"model": ..., "tasks": {"asr": {"metric": "wer", "value": 0.1, "ci95": [0.08, 0.12],
"n": 200}}}`; other programs may write so much. Fields that are not named here are passed over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .json_fields import Fields, Json, JsonObject
from .sample_log import replace_file
from .settings import RunSettings
from .systems import FAVOR

RESULTS_FILE = "results.json"
WRITTEN_BY = "give the results.json that `favor eval` wrote"


@dataclass(frozen=True)
class MetricScore:
    """One metric's value over a task.

    Attributes:
        value: None where it could not be computed, for the `reason` given.
        ci95: 95 % confidence interval, if there is one.
        n: how many samples were scored; None if it is not stated.
        higher_is_better: None if it is not stated.
    """

    value: float | None
    ci95: tuple[float, float] | None = None
    n: int | None = None
    higher_is_better: bool | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Json]:
        stated: dict[str, Json] = {"value": self.value, "ci95": self.ci95 and list(self.ci95), "n": self.n}
        more: dict[str, Json] = {"higher_is_better": self.higher_is_better, "reason": self.reason}
        return stated | {name: value for name, value in more.items() if value is not None}

    @classmethod
    def read(cls, fields: Fields) -> "MetricScore":
        if "value" not in fields:
            raise ValueError(f"{fields.where('value')} is missing; it must be a number or null.")
        return cls(
            value=fields.optional_number("value"),
            ci95=fields.optional_interval("ci95"),
            n=fields.optional_count("n"),
            higher_is_better=fields.optional_flag("higher_is_better"),
            reason=fields.optional_text("reason"),
        )


@dataclass(frozen=True)
class JudgeCounts:
    """Who judged, how many answers have a verdict, and of how many it could not be had."""

    name: str
    judged: int
    failed: int

    def to_json(self) -> JsonObject:
        return {"name": self.name, "judged": self.judged, "failed": self.failed}

    @classmethod
    def read(cls, fields: Fields) -> "JudgeCounts":
        return cls(fields.text("name"), fields.count("judged"), fields.count("failed"))


@dataclass(frozen=True)
class TaskResult:
    """One task's results.

    Attributes:
        title: as in tables.
        dataset: name of the data set, or of the file of one's own samples.
        metric: name of the headline among `metrics`.
        metrics: every metric's score by name.
        instead_of: the metric that should be the headline and could not be computed, if another stands in for it.
        own_data: whether the samples are one's own, which no published result is comparable with.
        generation: arguments of `generate()`.
        published_samples: how many the benchmark has; None if unknown, and of one's own data.
        answered: how many samples have an answer; None if it is not stated.
        missing_samples: left out because their media are not there.
        unreadable_samples: left out because their media cannot be read.
        judge: of a judged task, if there was a judge.
    """

    title: str
    dataset: str
    metric: str
    metrics: Mapping[str, MetricScore]
    instead_of: str | None = None
    own_data: bool = False
    generation: JsonObject = field(default_factory=dict)
    published_samples: int | None = None
    answered: int | None = None
    missing_samples: int = 0
    unreadable_samples: int = 0
    judge: JudgeCounts | None = None

    @property
    def headline(self) -> MetricScore:
        return self.metrics[self.metric]

    def score(self, metric: str) -> MetricScore:
        """A metric's score; one without a value if the run did not compute it."""
        return self.metrics.get(metric, MetricScore(None, n=0))

    def to_json(self) -> JsonObject:
        entry: dict[str, Json] = {
            "title": self.title,
            "dataset": self.dataset,
            "own_data": self.own_data,
            "metric": self.metric,
        }
        if self.instead_of is not None:
            entry["instead_of"] = self.instead_of
        entry |= self.headline.to_json()
        entry |= {
            "metrics": {name: score.to_json() for name, score in self.metrics.items()},
            "generation": self.generation,
            "published_samples": self.published_samples,
            "answered": self.answered,
            "missing_samples": self.missing_samples,
            "unreadable_samples": self.unreadable_samples,
            "judge": None if self.judge is None else self.judge.to_json(),
        }
        return entry

    @classmethod
    def read(cls, name: str, fields: Fields) -> "TaskResult":
        metric, headline = fields.text("metric"), MetricScore.read(fields)
        metrics = {key: MetricScore.read(score) for key, score in fields.sections("metrics").items()}
        if metrics and metrics.get(metric) != headline:
            raise ValueError(
                f"{fields.where('value')} is {headline.value}, and {fields.where(f'metrics.{metric}')} does not say "
                f"the same: {WRITTEN_BY}."
            )
        instead_of = fields.optional_text("instead_of")
        if instead_of is not None and metrics and instead_of not in metrics:
            raise ValueError(
                f"{fields.where('instead_of')} is {instead_of!r}; it must be one of {', '.join(metrics)}."
            )
        answered = fields.optional_count("answered")
        judge = fields.section("judge")
        return cls(
            title=fields.text("title", name),
            dataset=fields.text("dataset", name),
            metric=metric,
            metrics=metrics or {metric: headline},
            instead_of=instead_of,
            own_data=fields.flag("own_data", False),
            generation=fields.mapping("generation"),
            published_samples=fields.optional_count("published_samples"),
            answered=headline.n if answered is None else answered,
            missing_samples=fields.count("missing_samples", 0),
            unreadable_samples=fields.count("unreadable_samples", 0),
            judge=None if judge is None else JudgeCounts.read(judge),
        )


@dataclass(frozen=True)
class RunResults:
    """The whole file.

    Attributes:
        settings: model, system, controls.
        tasks: results by the name of the task.
        facts: what the system tells of itself (frame rate, frames per window, ...).
        not_run: task -> why "all" left it out.
        measured_with: the command, if another program than `favor eval` measured.
    """

    settings: RunSettings
    tasks: Mapping[str, TaskResult]
    facts: JsonObject = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    measured_with: str | None = None

    def to_json(self) -> JsonObject:
        content: dict[str, Json] = {
            **self.settings.to_json(),
            "facts": self.facts,
            "tasks": {name: task.to_json() for name, task in self.tasks.items()},
            "not_run": self.not_run,
        }
        return content if self.measured_with is None else {**content, "measured_with": self.measured_with}

    @classmethod
    def read(cls, fields: Fields) -> "RunResults":
        if "tasks" not in fields:
            raise ValueError(f"{fields.file} has no `tasks`: {WRITTEN_BY}.")
        return cls(
            settings=RunSettings.read(fields),
            tasks={name: TaskResult.read(name, task) for name, task in fields.sections("tasks").items()},
            facts=fields.mapping("facts"),
            not_run=fields.texts_of("not_run"),
            measured_with=fields.optional_text("measured_with"),
        )


def read_results(path: Path) -> RunResults:
    """Reads `results.json`, or that of the folder `path`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is broken; names the file, the field, and what was wrong.
    """
    file = path / RESULTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such results; {WRITTEN_BY}.")
    return RunResults.read(Fields.of_file(file))


def read_model_results(path: Path) -> RunResults:
    """`read_results` of a model as it is: what may be stated as its scores.

    Raises `ValueError`, too, for a control run, for a baseline, and for a file without any task.
    """
    results = read_results(path)
    settings = results.settings
    if settings.system != FAVOR:
        raise ValueError(f"{path} was measured on the system {settings.system!r}: give the results of the model.")
    if settings.controls.name != "full":
        withheld = f"audio {settings.controls.audio!r}, video {settings.controls.video!r}"
        raise ValueError(
            f"{path} is of a control run, {settings.controls.name} (controls: {withheld}): give the results of the "
            "model as it is."
        )
    if not results.tasks:
        raise ValueError(f"{path} has no `tasks` that were scored: {WRITTEN_BY}.")
    return results


def write_results(out_dir: Path, results: RunResults) -> None:
    """Writes `results.json` at once. The same results give the same bytes."""
    replace_file(out_dir / RESULTS_FILE, json.dumps(results.to_json(), indent=2, allow_nan=False) + "\n")
