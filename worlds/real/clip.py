# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips: things shown one after another, each perhaps with a sound or a spoken word; the base of all video tasks."""

from dataclasses import dataclass

import numpy as np

from ..timeline import STEP, sound_labels, steps_of
from .picture import FRAME_SIZE, Sprite, draw_background, draw_things
from .scene import FRAME_RATE, Draw, RealScene
from .sound import Event, mix

_MARGIN = 0.2  # seconds that a sound keeps from the borders of its segment


@dataclass(frozen=True)
class Segment:
    """One thing on screen from `start` to `end` (s), moving to (x, y) from where its sprite is."""

    start: float
    end: float
    sprite: Sprite
    x: float
    y: float

    @property
    def thing(self) -> str:
        return self.sprite.thing


@dataclass(frozen=True)
class Clip:
    """Segments one after another, and at most one sound within each."""

    segments: tuple[Segment, ...]
    events: tuple[Event, ...]

    @property
    def duration(self) -> float:
        return self.segments[-1].end

    def segment_of(self, event: Event) -> Segment:
        """The segment within which the event is heard."""
        return next(segment for segment in self.segments if segment.start <= event.start < segment.end)

    def heard_in(self, segment: Segment) -> Event | None:
        """The sound within the segment."""
        return next((event for event in self.events if segment.start <= event.start < segment.end), None)


def sample_clip(draw: Draw, least_events: int = 2) -> Clip:
    """Three or four things, and so many sounds at least; what sounds is not what is shown anywhere in the clip.

    Where a split has too few real sounds, more words are said.
    """
    rng = draw.rng
    count = rng.randint(3, 4)
    shown = rng.sample(draw.pool.seen, count)
    others = [name for name in draw.pool.heard if name not in shown]
    sounding = rng.sample(others, min(count, len(others)))
    said = rng.sample([name for name in draw.pool.named if name not in {*shown, *sounding} and len(name) < 14], count)
    with_event = set(rng.sample(range(count), rng.randint(least_events, count)))
    segments, events, start = [], [], 0.0
    for place, thing in enumerate(shown):
        end = start + rng.randint(4, 6) * STEP
        segments.append(_segment(draw, thing, start, end))
        if place in with_event:
            heard = sounding[place] if place < len(sounding) else None
            events.append(_event(draw, heard, said[place], start, end))
        start = end
    return Clip(tuple(segments), tuple(events))


def _segment(draw: Draw, thing: str, start: float, end: float) -> Segment:
    size = draw.rng.uniform(0.4, 0.75)
    reach = (1 - size) / 2
    x, y, to_x, to_y = (round(0.5 + draw.rng.uniform(-reach, reach), 3) for _ in range(4))
    return Segment(start, end, draw.sprite(thing, x, y, size), to_x, to_y)


def _event(draw: Draw, sounding: str | None, said: str, start: float, end: float) -> Event:
    """A real sound, or a word that is said: each fills most of the shortest segment, wherever it is."""
    late = draw.rng.uniform(0, end - start - 2.0)
    first = round(start + _MARGIN + late, 2)
    if sounding is None or draw.rng.random() < 0.5:
        return draw.spoken(said, first, round(first + 2.0 - 2 * _MARGIN, 2))
    return draw.sounding(sounding, first, round(first + 2.0 - 2 * _MARGIN, 2))


@dataclass(frozen=True)
class ClipScene(RealScene):
    """A video of a clip."""

    media = ("video",)

    clip: Clip
    noise_level: float

    def things(self) -> tuple[Sprite, ...]:
        return tuple(segment.sprite for segment in self.clip.segments)

    def heard(self) -> tuple[Event, ...]:
        return self.clip.events

    def pictures(self) -> np.ndarray:
        return draw_clip(self.root, self.seed, self.clip)

    def sound(self) -> np.ndarray:
        return mix(self.root, self.seed, self.clip.events, self.noise_level, self.clip.duration)

    def labels(self) -> dict[str, list[str | None]]:
        """What is seen and heard in each half second."""
        times = [step * STEP for step in range(steps_of(self.clip.duration))]
        seen: list[str | None] = [
            next(one.thing for one in self.clip.segments if one.start <= time < one.end) for time in times
        ]
        return {"seen": seen, "sound": sound_labels(self.clip.events, len(times))}


def draw_clip(root: str, seed: int, clip: Clip) -> np.ndarray:
    """The clip's frames, (frames, 224, 224, 3) uint8, on one background."""
    background = draw_background(root, seed, [segment.sprite for segment in clip.segments])
    frames = []
    for number in range(round(clip.duration * FRAME_RATE)):
        time = number / FRAME_RATE
        segment = next(one for one in clip.segments if one.start <= time < one.end)
        frames.append(draw_things(root, background, (_moved(segment, time),)))
    return np.stack(frames)


def _moved(segment: Segment, time: float) -> Sprite:
    """The segment's sprite where it is at that time, to the pixel."""
    share = (time - segment.start) / (segment.end - segment.start)
    sprite = segment.sprite
    x, y = sprite.x + (segment.x - sprite.x) * share, sprite.y + (segment.y - sprite.y) * share
    x, y = (round(value * FRAME_SIZE) / FRAME_SIZE for value in (x, y))
    return Sprite(sprite.thing, sprite.file, x, y, sprite.size, sprite.angle, sprite.flipped, sprite.tone)
