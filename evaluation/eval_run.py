# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What `favor eval` is asked to do: the system, the tasks, their data, the judge. Checked when it is made."""

from dataclasses import dataclass, field
from pathlib import Path

from .controls import Controls
from .json_fields import JsonObject
from .systems import SystemUnderTest


@dataclass(frozen=True)
class JudgeChoice:
    """Which judge is asked: an endpoint, a local model, or replies that were recorded before.

    Args:
        url: address of an OpenAI-compatible endpoint; without it `model` is a folder or Hub id.
        model: the judging model's name.
        replies: file of recorded replies, instead of both.
        concurrency: requests under way at a time.
    """

    url: str | None = None
    model: str | None = None
    replies: Path | None = None
    concurrency: int = 8

    def __post_init__(self) -> None:
        _check_positive("concurrency", self.concurrency, "--judge-concurrency")
        if self.replies is not None and (self.url or self.model):
            raise ValueError("The option --judge-replies goes without --judge-url and --judge-model.")
        if self.url and not self.model:
            raise ValueError("The option --judge-url needs --judge-model, the model's name there.")
        if self.replies is None and self.model is None:
            raise ValueError("No judge: name a model (--judge-model) or recorded replies (--judge-replies).")
        if self.replies is not None and not self.replies.is_file():
            raise FileNotFoundError(f"The file of recorded replies {self.replies} (--judge-replies) does not exist.")


@dataclass(frozen=True)
class EvalRun:
    """One run.

    Args:
        system: what answers.
        out: folder of the results; a run that finds its own answers there goes on.
        annotations: folder of the annotation files.
        media_root: folder that the annotations' paths lie under; None: beside the annotation files.
        tasks: names separated by commas, or "all" whose annotations are there.
        controls: what is withheld from the system.
        generation: arguments of `generate()` that are changed in all tasks.
        judge: None leaves judged metrics out.
        limit: answer only so many samples per task, an even choice.
        batch_size: samples answered together.
        num_processes: one per GPU where there are.
        allow_missing: leave out samples whose media are missing or cannot be read, instead of an error.
    """

    system: SystemUnderTest
    out: Path
    annotations: Path
    media_root: Path | None = None
    tasks: str = "all"
    controls: Controls = Controls()
    generation: JsonObject = field(default_factory=dict)
    judge: JudgeChoice | None = None
    limit: int | None = None
    batch_size: int = 8
    num_processes: int = 1
    allow_missing: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None:
            _check_positive("limit", self.limit, "--limit")
        _check_positive("batch_size", self.batch_size, "--batch-size")
        _check_positive("num_processes", self.num_processes, "--num-processes")


def _check_positive(name: str, value: int, option: str) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1 ({option}); got {value}.")
