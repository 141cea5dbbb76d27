# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Moments: clips that are asked about in many ways, which belong to no task of the benchmark.

About a tenth of them are stills, and a tenth sounds.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from ..question import Prompts, Question
from .clip import clip_from_seed
from .clips import ClipScene
from .questions import FAMILIES, TASK_OF, sample_questions
from .scene import Draw


@dataclass(frozen=True)
class MomentsScene(ClipScene):
    """A clip, and the families of questions that may be asked about it. There are no levels of difficulty."""

    task = "moments"

    families: frozenset[str] = FAMILIES

    @classmethod
    def sample_asked(cls, families: frozenset[str], split: str, seed: int, index: int, difficulty: str) -> Self:
        """As `sample`, with these families alone."""
        return replace(cls.sample(split, seed, index, difficulty), families=families)

    @classmethod
    def _key(cls, split: str, seed: int, index: int, difficulty: str) -> str:
        # Moments are older than the tasks and have no levels; the bundled model was trained on scenes of these names.
        return f"0/{split}/{seed}/{index}"

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        return cls(*draw.base, clip_from_seed(draw.split, draw.index, draw.seed))

    @property
    def name(self) -> str:
        return f"{self.index:06d}"

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        return sample_questions(self.clip, self.families, every)

    def is_asked(self) -> bool:
        return bool(sample_questions(self.clip, self.families))

    def task_of(self, question: Question) -> str:
        return TASK_OF[question.family]

    def to_dict(self) -> dict[str, Any]:
        return self.clip.to_dict()
