# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""ISQA: a still as in VQA, and a question about it that is only spoken."""

from dataclasses import dataclass
from typing import Self

from ..question import Prompts, Question, lesson, single
from .grid_still import StillScene, ask_cells
from .scene import Draw, Sounding
from .sound_event import SoundEvent
from .vocabulary import duration_of, utterance
from .vqa import LOOKED_UP, choose, find_facts, sample_pieces


@dataclass(frozen=True)
class IsqaScene(Sounding, StillScene):
    """Shapes in different cells, and a spoken question of the kind `kind` with its answer."""

    task = "isqa"
    media = ("image", "audio")

    kind: str
    answer: str
    held_out: bool
    duration: float
    events: tuple[SoundEvent, ...]
    noise_level: float

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng, level, split = draw.rng, draw.level, draw.split
        kind = draw.balanced(LOOKED_UP)
        pieces = sample_pieces(rng, split, rng.randint(*level.shapes), (kind,))
        (fact,) = choose([fact for fact in find_facts(pieces, split) if fact.kind == kind], rng)
        events = utterance(rng, fact.spoken, level.tempo)
        noise = round(rng.uniform(*level.speech_noise), 4)
        return cls(*draw.base, pieces, kind, fact.answer, fact.held_out, duration_of(events), events, noise)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        spoken = " ".join(event.name for event in self.events)
        extra = {"source": "gqa", "type": self.kind, "spoken": spoken}
        asked = [single(f"isqa_{self.kind}", "both", prompts.isqa, self.answer, extra=extra, held_out=self.held_out)]
        lessons = [lesson("isqa_heard", "audio", "What is being asked?", spoken), ask_cells(self.task, self.pieces)]
        return self.with_lesson(asked, lessons, every)
