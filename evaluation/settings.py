# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What decides on a run's answers: stored beside them, stated in the results, and compared by a rerun."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .controls import Controls
from .json_fields import Fields, Json, JsonObject
from .sample_log import replace_file
from .systems import FAVOR

if TYPE_CHECKING:
    from .runner import TaskWork

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class RunSettings:
    """What decides on the answers of all tasks.

    Attributes:
        model: its name as the user gave it; of the constant baseline what it says.
        system: "favor", or the kind of a baseline (see `systems.SYSTEMS`).
        controls: what was withheld.
        model_revision: identifies the weights; None if it is not stated, or there are none.
        fps: frames per second, if they were changed.
        on_error: what damaged files do, if it was said.
    """

    model: str
    system: str = FAVOR
    controls: Controls = Controls()
    model_revision: str | None = None
    fps: float | None = None
    on_error: str | None = None

    def to_json(self) -> dict[str, Json]:
        stated: dict[str, Json] = {
            "controls": self.controls.to_json(),
            "fps": self.fps,
            "model": self.model,
            "model_revision": self.model_revision,
            "on_error": self.on_error,
            "system": self.system,
        }
        return {name: value for name, value in stated.items() if value is not None}

    @classmethod
    def read(cls, fields: Fields) -> "RunSettings":
        controls = fields.section("controls")
        return cls(
            model=fields.text("model"),
            system=fields.text("system", FAVOR),
            controls=Controls() if controls is None else Controls.read(controls),
            model_revision=fields.optional_text("model_revision"),
            fps=fields.optional_number("fps"),
            on_error=fields.optional_text("on_error"),
        )


@dataclass(frozen=True)
class TaskSettings:
    """What decides on the answers of one task: arguments of `generate()`, and a fingerprint of what is asked."""

    generation: JsonObject
    prompts: str

    def to_json(self) -> JsonObject:
        return {"generation": self.generation, "prompts": self.prompts}


@dataclass(frozen=True)
class StoredSettings:
    """The content of `settings.json`: the run's settings, and those of each task that the folder holds."""

    run: RunSettings
    tasks: Mapping[str, TaskSettings] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        return {**self.run.to_json(), "tasks": {name: task.to_json() for name, task in self.tasks.items()}}


def read_settings(out_dir: Path) -> StoredSettings:
    """Raises `ValueError` naming file and field if the file is broken, `FileNotFoundError` if there is none."""
    fields = Fields.of_file(out_dir / SETTINGS_FILE)
    tasks = {
        name: TaskSettings(task.mapping("generation"), task.text("prompts"))
        for name, task in fields.sections("tasks").items()
    }
    return StoredSettings(RunSettings.read(fields), tasks)


def check_settings(out_dir: Path, run: RunSettings, works: "Sequence[TaskWork]") -> StoredSettings:
    """The settings of this run together with those of tasks that the folder already holds.

    Raises `ValueError` naming each setting that differs from what the answers in `out_dir` were made with.
    """
    tasks = {work.task: TaskSettings(work.generation, work.prompts) for work in works}
    if not (out_dir / SETTINGS_FILE).exists():
        return StoredSettings(run, tasks)
    stored = read_settings(out_dir)
    new = StoredSettings(run, {**stored.tasks, **tasks})
    old = StoredSettings(stored.run, {name: stored.tasks.get(name, task) for name, task in new.tasks.items()})
    before, now = _flat(_as_written(old)), _flat(_as_written(new))
    different = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    if different:
        changes = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in different)
        raise ValueError(f"{out_dir} holds answers made with other settings: {changes}. Take another --out.")
    return new


def write_settings(out_dir: Path, settings: StoredSettings) -> None:
    """Stores what `check_settings` returned."""
    replace_file(out_dir / SETTINGS_FILE, json.dumps(settings.to_json(), indent=2, sort_keys=True) + "\n")


def _as_written(settings: StoredSettings) -> JsonObject:
    """As the file will say it: (1, 2) becomes [1, 2]."""
    return json.loads(json.dumps(settings.to_json()))


def _flat(value: JsonObject, prefix: str = "") -> dict[str, Json]:
    """`{"controls": {"audio": "on"}}` as `{"controls.audio": "on"}`."""
    flat: dict[str, Json] = {}
    for key, entry in value.items():
        flat |= _flat(entry, f"{prefix}{key}.") if isinstance(entry, dict) else {f"{prefix}{key}": entry}
    return flat
