# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples a clip: shapes one after another, each perhaps with a sound, before anything is drawn or synthesised.

A clip is a handful of numbers. Pictures and sounds are functions of it, and so are questions and answers, so that a
reference answer can never disagree with what was rendered. Sampling needs neither a renderer nor eSpeak.
"""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from ..timeline import STEP, overlap, sound_labels, steps_of
from .sound_event import PITCHES, SoundEvent
from .world import (
    COLOURS,
    FRAME_SIZE,
    SHAPES,
    SOUNDS,
    SPEECH_PITCHES,
    TEXT_BAND,
    VOICES,
    WORDS,
    Seen,
    is_allowed,
    is_held_out_sound,
)

MEDIA = ("video", "image", "audio")
SOUND_MARGIN = 0.12  # seconds a sound keeps from the borders of its segment
SOUND_GAP = 0.2  # seconds between two sounds
CLEAR_OVERLAP = (0.08, 0.22)  # no half second holds an amount of sound between these two: every label is clear-cut
DURATIONS = {"beep": (0.3, 0.9), "hum": (0.4, 1.2), "noise": (0.3, 1.0), "bell": (0.6, 1.2), "speech": (0.45, 0.75)}

Found = TypeVar("Found")


@dataclass(frozen=True)
class Segment(Seen):
    """One shape on screen from `start` to `end` (s), its centre moving from `origin` to `target` (x, y in pixels)."""

    start: float
    end: float
    colour: str
    shape: str
    size: int
    origin: tuple[int, int]
    target: tuple[int, int]
    bend: float
    angle: float


@dataclass(frozen=True)
class ScreenWord:
    """A word in large letters from `start` to `end` (s), at the "top" or the "bottom"."""

    start: float
    end: float
    word: str
    position: str
    size: int


@dataclass(frozen=True)
class Clip:
    """A video, still or sound; `seed` drives what is left to chance in rendering."""

    split: str
    index: int
    seed: int
    medium: str
    duration: float
    segments: tuple[Segment, ...]
    events: tuple[SoundEvent, ...]
    screen_word: ScreenWord | None
    noise_level: float

    def to_dict(self) -> dict[str, Any]:
        """The clip as JSON-serialisable values."""
        return asdict(self)

    def segment_at(self, time: float) -> Segment | None:
        """The segment on screen at `time` seconds."""
        return next((s for s in self.segments if s.start <= time < s.end), None)

    def segment_of(self, event: SoundEvent) -> Segment:
        """The segment within which `event` sounds."""
        segment = self.segment_at(event.start)
        if segment is None:
            raise ValueError(
                f"event at {event.start} s has no segment: pass an event of this clip, and a clip with pictures."
            )
        return segment

    def heard_in(self, segment: Segment) -> list[SoundEvent]:
        """The sounds within `segment`."""
        return [event for event in self.events if self.segment_of(event) == segment]

    def is_held_out(self, event: SoundEvent) -> bool:
        """Whether training does not show the colour that is seen while `event` sounds."""
        return is_held_out_sound(self.segment_of(event).colour, event.kind)

    def labels(self) -> dict[str, list[str | None]]:
        """What is seen and heard in each half second: lists "colour", "shape", "screen_word" and "sound".

        None stands for no picture, no screen word or, for a still, no sound track. The sound is "silence", a kind, or
        the spoken word itself.
        """
        steps = steps_of(self.duration)
        starts = [step * STEP for step in range(steps)]
        shown = [self.segment_at(start) for start in starts]
        word = self.screen_word
        return {
            "colour": [segment.colour if segment else None for segment in shown],
            "shape": [segment.shape if segment else None for segment in shown],
            "screen_word": [word.word if word and word.start <= start < word.end else None for start in starts],
            "sound": [None] * steps if self.medium == "image" else sound_labels(self.events, steps),
        }


def clip_from_seed(split: str, index: int, seed: int) -> Clip:
    """The clip that `seed` gives; `index` only names it."""
    rng = random.Random(seed)
    medium = rng.choices(MEDIA, weights=(8, 1, 1))[0]
    duration = STEP if medium == "image" else rng.randint(8, 16) * STEP
    screen_word = _sample_screen_word(rng, duration)
    segments = _sample_segments(rng, duration, screen_word, split)
    events = () if medium == "image" else _sample_events(rng, segments, split)
    return Clip(
        split=split,
        index=index,
        seed=seed,
        medium=medium,
        duration=duration,
        segments=() if medium == "audio" else segments,
        events=events,
        screen_word=None if medium == "audio" else screen_word,
        noise_level=round(rng.uniform(0.001, 0.006), 4),
    )


def find_clip(
    rng: random.Random, split: str, index: int, segments: tuple[int, int], find: Callable[[Clip], Found | None]
) -> tuple[Clip, Found]:
    """A video of so many segments in which `find` finds something, and what it found."""
    while True:
        clip = clip_from_seed(split, index, rng.getrandbits(48))
        if clip.medium == "video" and segments[0] <= len(clip.segments) <= segments[1]:
            found = find(clip)
            if found is not None:
                return clip, found


def sample_path(rng: random.Random, size: int, position: str | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the centre of a shape of `size` pixels begins and ends, off a word at that position."""
    reach = size // 2 + 3
    top = TEXT_BAND if position == "top" else 0
    bottom = FRAME_SIZE - (TEXT_BAND if position == "bottom" else 0)
    origin, target = (
        (rng.randint(reach, FRAME_SIZE - reach), rng.randint(top + reach, bottom - reach)) for _ in range(2)
    )
    return origin, target


def sample_sway(rng: random.Random) -> tuple[float, float]:
    """How far a shape's path bends to the side (-1 to 1), and its angle in degrees."""
    return round(rng.uniform(-1, 1), 3), round(rng.uniform(-12, 12), 1)


def _sample_screen_word(rng: random.Random, duration: float) -> ScreenWord | None:
    if rng.random() >= 0.4:
        return None
    steps = round(duration / STEP)
    length = rng.randint(min(3, steps), min(6, steps))
    start = rng.randint(0, steps - length) * STEP
    position = rng.choice(("top", "bottom"))
    return ScreenWord(start, start + length * STEP, rng.choice(WORDS), position, rng.randint(26, 32))


def _segment_lengths(rng: random.Random, steps: int) -> list[int]:
    """Splits `steps` half seconds into 3-5 segments of 2-5 half seconds each."""
    if steps == 1:  # a still
        return [1]
    count = rng.choice([n for n in (3, 4, 5) if 2 * n <= steps <= 5 * n])
    lengths = [2] * count
    for _ in range(steps - 2 * count):
        lengths[rng.choice([i for i, length in enumerate(lengths) if length < 5])] += 1
    return lengths


def _sample_segments(
    rng: random.Random, duration: float, screen_word: ScreenWord | None, split: str
) -> tuple[Segment, ...]:
    lengths = _segment_lengths(rng, round(duration / STEP))
    colours = rng.sample(COLOURS, len(lengths))
    segments: list[Segment] = []
    for length, colour in zip(lengths, colours, strict=True):
        previous = segments[-1] if segments else None
        allowed = [
            shape
            for shape in SHAPES
            if is_allowed((colour, shape), split) and not (previous and previous.shape == shape)
        ]
        size = rng.randint(42, 60)
        origin, target = sample_path(rng, size, screen_word.position if screen_word else None)
        start = previous.end if previous else 0.0
        bend, angle = sample_sway(rng)
        shape = rng.choice(allowed)
        segments.append(Segment(start, start + length * STEP, colour, shape, size, origin, target, bend, angle))
    return tuple(segments)


def _sample_events(rng: random.Random, segments: tuple[Segment, ...], split: str) -> tuple[SoundEvent, ...]:
    """One to four sounds, each within one segment, no kind (for speech: no word) twice."""
    wanted = rng.choices((1, 2, 3, 4), weights=(1, 3, 4, 3))[0]
    seek_held_out = split == "compositional"
    events: list[SoundEvent] = []
    for _ in range(200):
        event = _sample_event(rng, segments, split, seek_held_out and rng.random() < 0.6)
        if event and not _conflicts(event, events):
            events.append(event)
        if len(events) == wanted:
            break
    return tuple(sorted(events, key=lambda event: event.start))


def _sample_event(rng: random.Random, segments: tuple[Segment, ...], split: str, held_out: bool) -> SoundEvent | None:
    segment = rng.choice(segments)
    kinds = [kind for kind in SOUNDS if is_held_out_sound(segment.colour, kind) == held_out]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    low, high = DURATIONS[kind]
    room = segment.end - segment.start - 2 * SOUND_MARGIN
    length = round(rng.uniform(low, min(high, room)), 2)
    start = round(segment.start + SOUND_MARGIN + rng.uniform(0, room - length), 2)
    spoken = kind == "speech"
    return SoundEvent(
        start=start,
        end=round(start + length, 2),
        kind=kind,
        level=round(rng.uniform(0.4, 1.0), 2),
        pitch=rng.choice(SPEECH_PITCHES) if spoken else round(rng.uniform(*PITCHES[kind])),
        word=rng.choice(WORDS) if spoken else None,
        voice=rng.choice(VOICES) if spoken else None,
    )


def _conflicts(event: SoundEvent, events: list[SoundEvent]) -> bool:
    """Whether `event` repeats or crowds an earlier one, or would make a half second's label a close call."""
    first, last = int(event.start / STEP), int(event.end / STEP)
    unclear, clear = CLEAR_OVERLAP
    for start in (i * STEP for i in range(first, last + 1)):
        amount = overlap(event, start)
        if unclear < amount < clear:
            return True
        if amount >= clear and any(overlap(other, start) >= clear for other in events):
            return True
    return any(
        event.name == other.name or (event.start < other.end + SOUND_GAP and other.start < event.end + SOUND_GAP)
        for other in events
    )
