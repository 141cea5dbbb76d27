# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The grid of half seconds on which everything in a world changes, and what is heard in each of them."""

from collections.abc import Sequence
from typing import Protocol

STEP = 0.5  # seconds: borders, captions and labels lie on this grid
NOTHING = "nothing"  # label of a moment or place in which nothing is seen
SILENCE = "silence"


class Timed(Protocol):
    """A sound from `start` to `end` (s), under a name."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def name(self) -> str: ...


def steps_of(duration: float) -> int:
    """Half seconds in so many seconds."""
    return round(duration / STEP)


def overlap(event: Timed, start: float) -> float:
    """Seconds of `event` within the half second that begins at `start`."""
    return max(0.0, min(event.end, start + STEP) - max(event.start, start))


def sound_labels(events: Sequence[Timed], steps: int) -> list[str | None]:
    """The name of the sound in each half second, or "silence".

    Every half second must be clear-cut: one sound fills more than a quarter of it, or none does.
    """
    labels: list[str | None] = []
    for start in (step * STEP for step in range(steps)):
        heard = [event.name for event in events if overlap(event, start) > STEP / 4]
        labels.append(heard[0] if heard else SILENCE)
    return labels
