# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One system on one test set through the benchmark's harness, and the file that keeps what is scored already."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from favor.evaluation.answerer import Answerer
from favor.evaluation.controls import Controls
from favor.evaluation.json_fields import Fields, Json, JsonObject
from favor.evaluation.results import MetricScore, TaskResult
from favor.evaluation.runner import TaskWork, answer_share, check_missing, prepare_task
from favor.evaluation.sample import EvalSample
from favor.evaluation.sample_log import replace_file
from favor.evaluation.scoring import score_task
from favor.evaluation.settings import RunSettings, check_settings, write_settings

from .favor_135m_sets import ALL, SETS, Chosen, TestSet, chance, items_key


@dataclass(frozen=True)
class Run:
    """Which system answers which set, with what withheld: names alone, so that processes can hand it on.

    Attributes:
        set_name: in `SETS`.
        system: one of the names of `favor_135m_sets`.
        model: what it was loaded from, for the results.
        revision: of its weights, and of the examples of a nearest neighbour.
    """

    set_name: str
    system: str
    controls: Controls
    model: str
    revision: str

    @property
    def test_set(self) -> TestSet:
        return SETS[self.set_name]

    @property
    def key(self) -> str:
        return f"{self.set_name} | {self.system} | {self.controls.name}"


@dataclass(frozen=True)
class SetScores:
    """What a run scored.

    Attributes:
        revision, items: fingerprints of the weights and of the questions with their media: other ones are scored anew.
        limit: of the samples; None: all.
        cpu_seconds: of the process that answered, without loading the model; None if the answers were there already.
        parts: part -> metric -> score.
        chance: part -> what guessing scores, from 0 to 1.
    """

    set_name: str
    system: str
    controls: str
    model: str
    revision: str
    items: str
    limit: int | None
    cpu_seconds: float | None
    parts: Mapping[str, Mapping[str, MetricScore]]
    chance: Mapping[str, float]

    @property
    def key(self) -> str:
        return f"{self.set_name} | {self.system} | {self.controls}"

    def to_json(self) -> JsonObject:
        parts: dict[str, Json] = {
            part: {name: score.to_json() for name, score in scores.items()} for part, scores in self.parts.items()
        }
        return {
            "set": self.set_name,
            "system": self.system,
            "controls": self.controls,
            "model": self.model,
            "revision": self.revision,
            "items": self.items,
            "limit": self.limit,
            "cpu_seconds": self.cpu_seconds,
            "parts": parts,
            "chance": dict(self.chance),
        }

    @classmethod
    def read(cls, fields: Fields) -> "SetScores":
        known = fields.section("chance")
        chances = {} if known is None else {name: known.optional_number(name) for name in known.names()}
        return cls(
            set_name=fields.text("set"),
            system=fields.text("system"),
            controls=fields.text("controls"),
            model=fields.text("model"),
            revision=fields.text("revision"),
            items=fields.text("items"),
            limit=fields.optional_count("limit"),
            cpu_seconds=fields.optional_number("cpu_seconds"),
            parts={
                part: {name: MetricScore.read(score) for name, score in scores.all_sections().items()}
                for part, scores in fields.sections("parts").items()
            },
            chance={name: value for name, value in chances.items() if value is not None},
        )


@dataclass
class ScoreFile:
    """All that is scored, in one JSON file; every set is written as soon as it is scored.

    Attributes:
        scores: by `SetScores.key`.
    """

    path: Path
    command: str
    scores: dict[str, SetScores]

    @classmethod
    def open(cls, path: Path, command: str) -> "ScoreFile":
        """Raises `ValueError` for a file that is something else."""
        if not path.exists():
            return cls(path, command, {})
        fields = Fields.of_file(path)
        scores = [SetScores.read(entry) for entry in fields.sections("scores").values()]
        return cls(path, command, {entry.key: entry for entry in scores})

    def holds(self, run: Run, data: Path, limit: int | None) -> bool:
        """Whether these weights were scored on these items."""
        entry = self.scores.get(run.key)
        items = items_key(run.test_set.annotation(data))
        return entry is not None and (entry.revision, entry.items, entry.limit) == (run.revision, items, limit)

    def add(self, entry: SetScores) -> None:
        """Writes the file with the entry, beside what another run may have added meanwhile."""
        self.scores = {**ScoreFile.open(self.path, self.command).scores, entry.key: entry}
        content = {"measured_with": self.command, "scores": {key: self.scores[key].to_json() for key in self.scores}}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, json.dumps(content, indent=1) + "\n")

    def find(self, set_name: str, system: str, controls: str = "full") -> SetScores | None:
        return self.scores.get(f"{set_name} | {system} | {controls}")


def answers_folder(root: Path, run: Run, items: str) -> Path:
    """Where the harness keeps the answers: other weights or items have another folder, whose answers stay."""
    system = "".join(letter if letter.isalnum() else "-" for letter in run.system)
    return root / f"{system}-{run.revision}" / f"{run.set_name.replace('/', '-')}-{items}" / run.controls.name


def score_set(
    run: Run, answerer: Answerer, data: Path, answers: Path, limit: int | None = None, batch_size: int = 16
) -> SetScores:
    """Answers what has no answer yet, and scores the set and its parts.

    Args:
        data: folder of `SPLIT/TASK/TASK.jsonl`.
        answers: folder of the harness's files.
        limit: only so many samples, an even choice.

    Raises `ValueError` or `OSError` for annotations or media that are missing or broken.
    """
    task, annotation = run.test_set.eval_task, run.test_set.annotation(data)
    work = prepare_task(task, annotation, None, run.controls, limit)
    check_missing([work], allowed=False)
    if run.test_set.only is not None:
        work = _part(work, run.test_set.only)
    items = items_key(annotation)
    folder = answers_folder(answers, run, items)
    folder.mkdir(parents=True, exist_ok=True)
    settings = RunSettings(run.model, run.system, run.controls, run.revision)
    write_settings(folder, check_settings(folder, settings, [work]))
    started = time.process_time()
    answer_share([by_length(work)], answerer, folder, batch_size=batch_size, progress=False)
    spent = time.process_time() - started
    parts = {ALL: work} | {name: _part(work, chosen) for name, chosen in run.test_set.parts.items()}
    parts = {name: part for name, part in parts.items() if part.samples}
    # The whole comes last: its scores are those that stay in the file of answers.
    results = {name: score_task(task, part, folder) for name, part in reversed(parts.items())}
    chances = {name: guess for name, part in parts.items() if (guess := chance(part.samples)) is not None}
    return SetScores(
        set_name=run.set_name,
        system=run.system,
        controls=run.controls.name,
        model=run.model,
        revision=run.revision,
        items=items,
        limit=limit,
        cpu_seconds=round(spent, 1),
        parts={name: results[name].metrics for name in parts},
        chance=chances,
    )


def by_length(work: TaskWork) -> TaskWork:
    """The same samples, those of like size of files together: little of a batch is padding."""
    return replace(work, samples=sorted(work.samples, key=lambda sample: (_media_bytes(sample), sample.id)))


def _media_bytes(sample: EvalSample) -> int:
    timed = [path for kind, path in sample.media.items() if kind != "image"]
    return sum(Path(path).stat().st_size for path in timed)


def _part(work: TaskWork, chosen: Chosen) -> TaskWork:
    return replace(work, samples=[sample for sample in work.samples if chosen(sample)])


def result_of(entry: SetScores, part: str, metric: str, title: str) -> TaskResult:
    """As a task of `results.json`, which model cards are made of."""
    scores = entry.parts[part]
    return TaskResult(title, entry.set_name, metric, scores, own_data=True, answered=scores[metric].n)
