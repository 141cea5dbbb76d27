# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""ISQA: a still as in VQA, and a question about it that is only spoken."""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from favor.evaluation.readers.spoken_questions import PROMPT

from .difficulty import Difficulty
from .grid_still import Piece, ask_cells, cell_labels, draw_still
from .scene import SoundEvent
from .sound import render_sound
from .task_scene import TaskQuestion, TaskScene, balanced, lesson, single
from .vocabulary import duration_of, utterance
from .vqa import LOOKED_UP, choose, find_facts, sample_pieces


@dataclass(frozen=True)
class IsqaScene(TaskScene):
    """Shapes in different cells, and a spoken question of the kind `kind` with its answer."""

    task = "isqa"
    media = ("image", "audio")

    pieces: tuple[Piece, ...]
    kind: str
    answer: str
    held_out: bool
    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float

    @classmethod
    def _sample(cls, rng: random.Random, level: Difficulty, base: tuple[str, int, int, str], seed: int) -> Self:
        split, index, _, difficulty = base
        kind = balanced(f"isqa/{split}/{seed}/{difficulty}", index, LOOKED_UP)
        pieces = sample_pieces(rng, split, rng.randint(*level.shapes), (kind,))
        (fact,) = choose([fact for fact in find_facts(pieces, split) if fact.kind == kind], rng)
        events = utterance(rng, fact.spoken, level.tempo)
        noise = round(rng.uniform(*level.speech_noise), 4)
        return cls(*base, pieces, kind, fact.answer, fact.held_out, duration_of(events), events, noise)

    def pictures(self) -> np.ndarray:
        return draw_still(self.seed, self.pieces)

    def sound(self) -> np.ndarray:
        return render_sound(self)

    def labels(self) -> dict[str, list[str | None]]:
        return cell_labels(self.pieces)

    def questions(self, every: bool) -> list[TaskQuestion]:
        spoken = " ".join(event.name for event in self.events)
        extra = {"source": "gqa", "type": self.kind, "spoken": spoken}
        asked = [single(f"isqa_{self.kind}", "both", PROMPT, self.answer, extra=extra, held_out=self.held_out)]
        lessons = [lesson("isqa_heard", "audio", "What is being asked?", spoken), ask_cells(self.task, self.pieces)]
        return self.with_lesson(asked, lessons, every)
