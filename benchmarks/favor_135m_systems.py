# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The systems that answer favor-135m's test sets, loaded once per process: the model and its baselines."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from favor.evaluation.answerer import Answerer, FavorAnswerer
from favor.evaluation.baselines import TextOnlyAnswerer, WhisperAnswerer
from favor.evaluation.neighbours import NeighbourAnswerer
from favor.evaluation.runner import model_revision
from favor.evaluation.sample import EvalSample
from favor.model_loading import load_pipeline, model_source
from favor.modeling_favor import VideoTextToTextPipeline
from favor.processing.media_names_favor import MEDIA_KINDS

from .encoder_memory import EncoderMemory
from .favor_135m_sets import BLIND, FAVOR, FULL, MUTED, NEIGHBOUR, TEXT_ONLY, WHISPER, TestSet


@dataclass(frozen=True)
class Sources:
    """Where systems come from; what is None is not measured.

    Attributes:
        model: folder, adapter or name of the trained model.
        parts: model folder whose frozen towers the nearest neighbour uses: the untrained one serves.
        whisper: folder or Hub id of the whole Whisper.
        language_model: folder or Hub id of the bare language model.
        train: folder of the training data, `train.jsonl`, or `TASK/train.jsonl` for each task.
        dtype: name of what all compute in.
    """

    model: str | None = None
    parts: str | None = None
    whisper: str | None = None
    language_model: str | None = None
    train: Path | None = None
    dtype: str = "bfloat16"

    def of(self, system: str) -> str | None:
        """What a system is loaded from."""
        if system == NEIGHBOUR and self.train is None:
            return None
        known = {FAVOR: self.model, NEIGHBOUR: self.parts, WHISPER: self.whisper, TEXT_ONLY: self.language_model}
        return known[system]

    def revision(self, system: str, test_set: TestSet) -> str:
        """Fingerprint of what decides on a system's answers: its weights, their precision, a neighbour's examples."""
        parts = [model_revision(model_source(self.of(system))), self.dtype]
        if system == NEIGHBOUR and self.train is not None:
            parts.append(examples_file(self.train, test_set.task).read_text(encoding="utf-8"))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@dataclass
class Systems:
    """Loads systems when they are first asked for, and keeps them."""

    sources: Sources
    _loaded: dict[str, Answerer] = field(default_factory=dict)
    _pipes: dict[str, VideoTextToTextPipeline] = field(default_factory=dict)

    def answerer(self, system: str, test_set: TestSet) -> Answerer:
        """The system, ready for the set."""
        key = f"{system} {test_set.task}" if system == NEIGHBOUR else system
        if key not in self._loaded:
            loaders: dict[str, Callable[[TestSet], Answerer]] = {
                FAVOR: lambda _: FavorAnswerer(self._pipe(self._source(FAVOR))),
                WHISPER: self._whisper,
                TEXT_ONLY: self._text_only,
                NEIGHBOUR: self._neighbour,
            }
            self._loaded[key] = loaders[system](test_set)
        return self._loaded[key]

    def _source(self, system: str) -> str:
        source = self.sources.of(system)
        if source is None:
            raise ValueError(f"The system {system!r} has no source: name its folder.")
        return source

    def _pipe(self, source: str) -> VideoTextToTextPipeline:
        if source not in self._pipes:
            pipe = load_fast_pipeline(source, self.sources.dtype)
            EncoderMemory(pipe.model.model)
            self._pipes[source] = pipe
        return self._pipes[source]

    def _whisper(self, _: TestSet) -> Answerer:
        answerer = WhisperAnswerer.from_pretrained(self._source(WHISPER))
        answerer.model.to(getattr(torch, self.sources.dtype))
        return answerer

    def _text_only(self, _: TestSet) -> Answerer:
        answerer = TextOnlyAnswerer.from_pretrained(self._source(TEXT_ONLY))
        answerer.pipe.model.to(getattr(torch, self.sources.dtype))
        return answerer

    def _neighbour(self, test_set: TestSet) -> Answerer:
        if self.sources.train is None:
            raise ValueError("A nearest neighbour needs the training data: name their folder.")
        examples = read_examples(examples_file(self.sources.train, test_set.task), test_set.task)
        return NeighbourAnswerer(self._pipe(self._source(NEIGHBOUR)), examples)


def load_fast_pipeline(model: str, dtype: str) -> VideoTextToTextPipeline:
    """A model that answers on a CPU as fast as it can: windows of a second are too short for fused attention."""
    pipe = load_pipeline(model)
    pipe.model.to(getattr(torch, dtype)).eval()
    pipe.model.set_attn_implementation("eager")
    return pipe


def runs_of(test_set: TestSet, sources: Sources) -> list[tuple[str, str]]:
    """(system, control) of all that is measured of a set, as far as the systems have sources."""
    wanted = [(FAVOR, FULL), *((FAVOR, control) for control in test_set.controls)]
    wanted += [(baseline, FULL) for baseline in test_set.baselines]
    return [(system, control.name) for system, control in wanted if sources.of(system) is not None]


CONTROLS = {control.name: control for control in (FULL, MUTED, BLIND)}


def examples_file(train: Path, task: str) -> Path:
    """The training manifest that holds a task."""
    return train / "train.jsonl" if (train / "train.jsonl").is_file() else train / task / "train.jsonl"


def read_examples(manifest: Path, family: str) -> list[EvalSample]:
    """A family's rows of a training manifest, as samples whose reference is their answer.

    Raises `OSError` for a missing file, `ValueError` for a row without media, and if there is no row of the family.
    """
    examples = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        if row.get("family") != family:
            continue
        media = {kind: str(manifest.parent / row[kind]) for kind in MEDIA_KINDS if row.get(kind)}
        if not media:
            raise ValueError(f"{manifest}, line {number} has no media, which a nearest neighbour needs.")
        turns = row["messages"]
        examples.append(EvalSample(f"{number:06d}", turns[:-1], media, [turns[-1]["content"]]))
    if not examples:
        raise ValueError(f"{manifest} holds no row of the family {family!r}, which a nearest neighbour needs.")
    return examples
