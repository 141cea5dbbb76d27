# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scenes whose files show and sound a clip: those of `moments`, Video QA and AVSD."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .clip import Clip
from .picture import render_frames
from .scene import MiniScene
from .sound import render_sound
from .sound_event import SoundEvent


@dataclass(frozen=True)
class ClipScene(MiniScene):
    """A clip, and what a subclass asks about it."""

    clip: Clip

    @property
    def media(self) -> tuple[str, ...]:
        return (self.clip.medium,)

    def heard(self) -> tuple[SoundEvent, ...]:
        return self.clip.events

    def pictures(self) -> np.ndarray:
        return render_frames(self.clip)

    def sound(self) -> np.ndarray:
        return render_sound(self.clip)

    def labels(self) -> dict[str, list[str | None]]:
        return self.clip.labels()

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values.pop("clip"), **values}
