# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples a scene: the ground truth of one clip, before anything is drawn or synthesised.

A scene is a handful of numbers. Pictures and sounds are functions of it, and so are questions and answers, so that a
reference answer can never disagree with what was rendered. Sampling needs neither a renderer nor eSpeak.

Held-out combinations: some (colour, sound) and (colour, shape) pairs never occur at the same moment in the splits
"train" and "validation". The split "test" has the held-out (colour, shape) pairs, too; "compositional" is built to
contain many held-out pairs of both kinds: a model that answers there has combined what it sees with what it hears, not
recalled a pair.
"""

import hashlib
import random
from dataclasses import asdict, dataclass

SPLITS = ("train", "validation", "test", "compositional")
MEDIA = ("video", "image", "audio")
COLOURS = ("red", "green", "blue", "yellow", "white", "purple")
SHAPES = ("circle", "square", "triangle", "star")
SOUNDS = ("beep", "hum", "noise", "bell", "speech")
WORDS = ("apple", "seven", "river", "window", "tiger", "music", "pencil", "garden", "doctor", "banana")
# Not f2, f3 and f5: variants with "breath" differ from process to process, for eSpeak NG reads uninitialised memory.
VOICES = ("en-us", "en-us+f1", "en-us+f4", "en-us+linda", "en-us+m2", "en-us+m3", "en-us+m7", "en", "en+f4")

FRAME_RATE = 8
FRAME_SIZE = 128  # pixels, width and height
SAMPLING_RATE = 16000
STEP = 0.5  # seconds: segment borders, screen words and labels lie on this grid
SOUND_MARGIN = 0.12  # seconds a sound keeps from the borders of its segment
SOUND_GAP = 0.2  # seconds between two sounds
LABEL_OVERLAP = 0.15  # seconds of a sound within a half second from which it is that half second's label
CLEAR_OVERLAP = (0.08, 0.22)  # no half second holds an amount of sound between these two: every label is clear-cut
TEXT_BAND = 34  # pixels at the top or bottom that a screen word has for itself

DURATIONS = {"beep": (0.3, 0.9), "hum": (0.4, 1.2), "noise": (0.3, 1.0), "bell": (0.6, 1.2), "speech": (0.45, 0.75)}
PITCHES = {"beep": (900, 1100), "hum": (120, 160), "noise": (0, 0), "bell": (550, 650)}
SPEECH_PITCHES = (30, 50, 70)  # on eSpeak's scale of 0-100


@dataclass(frozen=True)
class Segment:
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
class SoundEvent:
    """One sound from `start` to `end` (s). `pitch` is in Hz, for speech 0-100; only speech has `word` and `voice`."""

    start: float
    end: float
    kind: str
    level: float
    pitch: int
    word: str | None = None
    voice: str | None = None

    @property
    def name(self) -> str:
        """What tells the sound from all others of its scene: the spoken word, or the kind."""
        return self.word or self.kind


@dataclass(frozen=True)
class ScreenWord:
    """A word in large letters from `start` to `end` (s), at the "top" or the "bottom"."""

    start: float
    end: float
    word: str
    position: str
    size: int


@dataclass(frozen=True)
class Scene:
    """Ground truth of one clip, still or sound; `seed` drives what is left to chance in rendering and in questions."""

    split: str
    index: int
    seed: int
    medium: str
    duration: float
    segments: tuple[Segment, ...]
    events: tuple[SoundEvent, ...]
    screen_word: ScreenWord | None
    noise_level: float

    def to_dict(self) -> dict:
        """The scene as JSON-serialisable values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Scene":
        """The scene that `to_dict` wrote, also after a round trip through JSON."""
        segments = tuple(
            Segment(**{**s, "origin": tuple(s["origin"]), "target": tuple(s["target"])}) for s in values["segments"]
        )
        word = values["screen_word"]
        return cls(
            **{
                **values,
                "segments": segments,
                "events": tuple(SoundEvent(**event) for event in values["events"]),
                "screen_word": ScreenWord(**word) if word else None,
            }
        )

    def segment_at(self, time: float) -> Segment | None:
        """The segment on screen at `time` seconds."""
        return next((s for s in self.segments if s.start <= time < s.end), None)

    def segment_of(self, event: SoundEvent) -> Segment:
        """The segment within which `event` sounds."""
        segment = self.segment_at(event.start)
        if segment is None:
            raise ValueError(
                f"event at {event.start} s has no segment: pass an event of this scene, and a scene of video."
            )
        return segment


def is_held_out_sound(colour: str, sound: str) -> bool:
    """Whether `sound` (one of SOUNDS) never coincides with `colour` in training."""
    return (COLOURS.index(colour) + 2 * SOUNDS.index(sound)) % 5 == 0


def is_held_out_shape(colour: str, shape: str) -> bool:
    """Whether `shape` never has `colour` in training."""
    return (COLOURS.index(colour) + SHAPES.index(shape)) % 6 == 0


def sample_scene(split: str, seed: int, index: int) -> Scene:
    """Samples scene number `index` of a split.

    Args:
        split: "train", "validation", "test" or "compositional". Scenes of two splits never share a random seed.
        seed: seed of the whole split.
        index: number of the scene, from 0.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}; pass one of these.")
    return scene_from_seed(split, index, hashed_seed(f"0/{split}/{seed}/{index}"))


def hashed_seed(key: str) -> int:
    """A random seed that belongs to `key` alone."""
    digest = hashlib.sha256(f"aveb-mini/{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def scene_from_seed(split: str, index: int, scene_seed: int) -> Scene:
    """The scene that `scene_seed` gives; `index` only names it."""
    rng = random.Random(scene_seed)
    medium = rng.choices(MEDIA, weights=(8, 1, 1))[0]
    duration = STEP if medium == "image" else rng.randint(8, 16) * STEP
    screen_word = _sample_screen_word(rng, duration)
    segments = _sample_segments(rng, duration, screen_word, split)
    events = () if medium == "image" else _sample_events(rng, segments, split)
    return Scene(
        split=split,
        index=index,
        seed=scene_seed,
        medium=medium,
        duration=duration,
        segments=() if medium == "audio" else segments,
        events=events,
        screen_word=None if medium == "audio" else screen_word,
        noise_level=round(rng.uniform(0.001, 0.006), 4),
    )


def half_second_labels(scene: Scene) -> dict[str, list[str | None]]:
    """What is seen and heard in each half second: lists "colour", "shape", "screen_word" and "sound".

    None stands for no picture, no screen word or, for a still, no sound track. The sound is "silence", a kind, or the
    spoken word itself.
    """
    starts = [i * STEP for i in range(round(scene.duration / STEP))]
    shown = [scene.segment_at(start) for start in starts]
    word = scene.screen_word
    return {
        "colour": [segment.colour if segment else None for segment in shown],
        "shape": [segment.shape if segment else None for segment in shown],
        "screen_word": [word.word if word and word.start <= start < word.end else None for start in starts],
        "sound": [None if scene.medium == "image" else _sound_label(scene.events, start) for start in starts],
    }


def overlap(event: SoundEvent, start: float) -> float:
    """Seconds of `event` within the half second that begins at `start`."""
    return max(0.0, min(event.end, start + STEP) - max(event.start, start))


def _sound_label(events: tuple[SoundEvent, ...], start: float) -> str:
    loudest = max(events, key=lambda event: overlap(event, start), default=None)
    if loudest is None or overlap(loudest, start) < LABEL_OVERLAP:
        return "silence"
    return loudest.name


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
    top = TEXT_BAND if screen_word and screen_word.position == "top" else 0
    bottom = FRAME_SIZE - (TEXT_BAND if screen_word and screen_word.position == "bottom" else 0)
    segments: list[Segment] = []
    for length, colour in zip(lengths, colours, strict=True):
        previous = segments[-1] if segments else None
        allowed = [
            shape
            for shape in SHAPES
            if (split in ("test", "compositional") or not is_held_out_shape(colour, shape))
            and not (previous and previous.shape == shape)
        ]
        size = rng.randint(42, 60)
        reach = size // 2 + 3
        origin, target = (
            (rng.randint(reach, FRAME_SIZE - reach), rng.randint(top + reach, bottom - reach)) for _ in range(2)
        )
        start = previous.end if previous else 0.0
        bend, angle = round(rng.uniform(-1, 1), 3), round(rng.uniform(-12, 12), 1)
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
