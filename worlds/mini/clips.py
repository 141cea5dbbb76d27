# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Moments clips for the tasks about them: shapes one after another, each perhaps with a sound."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from .picture import render_frames
from .scene import Scene, half_second_labels, scene_from_seed
from .sound import render_sound
from .task_scene import TaskScene

Found = TypeVar("Found")


@dataclass(frozen=True)
class ClipScene(TaskScene):
    """A video of scene.py's world."""

    media = ("video",)

    clip: Scene

    def pictures(self) -> np.ndarray:
        return render_frames(self.clip)

    def sound(self) -> np.ndarray:
        return render_sound(self.clip)

    def labels(self) -> dict[str, list[str | None]]:
        return half_second_labels(self.clip)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        return {**values.pop("clip"), **values}


def sample_clip(
    rng: random.Random, split: str, index: int, segments: tuple[int, int], find: Callable[[Scene], Found | None]
) -> tuple[Scene, Found]:
    """A clip of so many segments in which `find` finds something, and what it found."""
    while True:
        clip = scene_from_seed(split, index, rng.getrandbits(48))
        if clip.medium == "video" and segments[0] <= len(clip.segments) <= segments[1]:
            found = find(clip)
            if found is not None:
                return clip, found
