# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVSR: spoken words in strong noise; captions show some of them, among them all that the noise drowns.

Neither stream tells all words: some are heard and not shown, others are shown and cannot be heard.
"""

import random
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, lesson, single
from ..scene import SAMPLING_RATE
from ..timeline import STEP, sound_labels, steps_of
from .clip import ScreenWord, Segment, sample_path, sample_sway
from .difficulty import Difficulty
from .grid_still import sample_look
from .picture import backdrop, draw_segment, write_word
from .scene import Draw, MiniScene
from .sound import add_at, render_event
from .sound_event import SoundEvent
from .speech import speak
from .world import FRAME_RATE, SPEECH_PITCHES, VOICES, WORDS

NOISES = ("white", "babble")
DROWNED_SNR = (-25.0, -21.0)  # decibels
_TIMELINE = "List the written and the spoken word for every half second."
_SHOWN_TIMELINE = "List only the written word for every half second."
MARK = ". . . . ."  # on the screen during a word without a caption
_COUNT = (2, 4)  # words of a clip
_SLOT = 2  # half seconds that a word has for itself
_LENGTHS = (0.5, 0.75)  # seconds of a word
_CLEAR = 0.22  # seconds of a word in each of its two half seconds, at least
_NOISE_RMS = 0.08
_VOICES_OF_BABBLE = 8
_DISTRACTED = 0.15  # share of clips with a moving shape, which says nothing


@dataclass(frozen=True)
class NoisyWord:
    """A word spoken from `start` to `end` (s), `snr` decibels above the noise; on screen, or a mark, for its slot."""

    start: float
    end: float
    word: str
    snr: float
    drowned: bool
    captioned: bool
    slot: int

    @property
    def shown(self) -> str | None:
        return self.word if self.captioned else None


@dataclass(frozen=True)
class AvsrScene(MiniScene):
    """Words in noise, each in a whole second of its own that begins on the half-second grid."""

    task = "avsr"
    media = ("video",)

    duration: float
    words: tuple[NoisyWord, ...]
    events: tuple[SoundEvent, ...]
    noise: str
    position: str
    size: int
    distractor: Segment | None

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng, level = draw.rng, draw.level
        words, step = [], rng.randint(0, 1)
        for word in rng.sample(WORDS, rng.randint(*_COUNT)):
            words.append(_sample_word(rng, level, word, step))
            step += _SLOT + rng.randint(0, 1)
        duration = (words[-1].slot + _SLOT + rng.randint(0, 1)) * STEP
        voice, pitch = rng.choice(VOICES), rng.choice(SPEECH_PITCHES)
        events = tuple(SoundEvent(w.start, w.end, "speech", 1.0, pitch, w.word, voice) for w in words)
        position, size = rng.choice(("top", "bottom")), rng.randint(*level.letters)
        distractor = _sample_distractor(rng, draw.split, duration, position) if rng.random() < _DISTRACTED else None
        return cls(*draw.base, duration, tuple(words), events, rng.choice(NOISES), position, size, distractor)

    def heard(self) -> tuple[SoundEvent, ...]:
        return self.events

    def pictures(self) -> np.ndarray:
        rng = np.random.default_rng([self.seed, 1])
        frames = backdrop(rng, round(self.duration * FRAME_RATE))
        captions = [
            ScreenWord(w.slot * STEP, (w.slot + _SLOT) * STEP, w.shown or MARK, self.position, self.size)
            for w in self.words
        ]
        if self.distractor:
            draw_segment(frames, self.distractor, captions[0], rng)
        for caption in captions:
            write_word(frames, caption)
        return frames

    def sound(self) -> np.ndarray:
        rng = np.random.default_rng([self.seed, 2])
        track = _render_noise(self.noise, round(self.duration * SAMPLING_RATE), rng)
        for word, event in zip(self.words, self.events, strict=True):
            samples = render_event(event, rng)
            samples *= _NOISE_RMS * 10 ** (word.snr / 20) / np.sqrt(np.mean(samples**2))
            add_at(track, event.start, samples)
        return (track * min(1.0, 0.95 / np.abs(track).max())).astype(np.float32)

    def labels(self) -> dict[str, list[str | None]]:
        steps = steps_of(self.duration)
        shown = {step: word.shown for word in self.words for step in range(word.slot, word.slot + _SLOT)}
        return {"screen_word": [shown.get(step) for step in range(steps)], "sound": sound_labels(self.events, steps)}

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        labels = self.labels()
        shown = [word or "none" for word in labels["screen_word"]]
        both = [f"{word} {heard}" for word, heard in zip(shown, labels["sound"], strict=True)]
        said = " ".join(word.word for word in self.words)
        lessons = [
            lesson("avsr_timeline", "both", _TIMELINE, ", ".join(both)),
            lesson("avsr_timeline_shown", "visual", _SHOWN_TIMELINE, ", ".join(shown)),
        ]
        return self.with_lesson([single("avsr", "both", prompts.avsr, said)], lessons, every)


def _sample_word(rng: random.Random, level: Difficulty, word: str, slot: int) -> NoisyWord:
    """The word in the middle of the second from half second `slot` on: both halves clearly hold it."""
    drowned = rng.random() < level.drowned
    captioned = drowned or rng.random() < level.captioned
    snr = round(rng.uniform(*(DROWNED_SNR if drowned else level.snr)), 1)
    length = rng.uniform(*_LENGTHS)
    offset = rng.uniform(max(0.05, STEP + _CLEAR - length), min(STEP - _CLEAR, 2 * STEP - 0.05 - length))
    start = round(slot * STEP + offset, 2)
    return NoisyWord(start, round(start + length, 2), word, snr, drowned, captioned, slot)


def _sample_distractor(rng: random.Random, split: str, duration: float, position: str) -> Segment:
    """A shape that moves below or above the captions all the time."""
    size = rng.randint(42, 60)
    origin, target = sample_path(rng, size, position)
    bend, angle = sample_sway(rng)
    return Segment(0.0, duration, *sample_look(rng, split), size, origin, target, bend, angle)


def _render_noise(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """White noise, or many voices at once; of the same loudness."""
    if kind == "white":
        track = rng.standard_normal(length)
    else:
        track = np.sum([_murmur(length, rng) for _ in range(_VOICES_OF_BABBLE)], axis=0)
    return track * (_NOISE_RMS / np.sqrt(np.mean(track**2)))


def _murmur(length: int, rng: np.random.Generator) -> np.ndarray:
    """One voice that says any words without a pause, from the middle of one on."""
    voice, pitch = rng.choice(VOICES), int(rng.choice(SPEECH_PITCHES))
    words, total = [], 0
    skipped = int(rng.integers(0, SAMPLING_RATE // 2))
    while total < length + skipped:
        words.append(
            speak(rng.choice(WORDS), voice, pitch, int(rng.uniform(*_LENGTHS) * SAMPLING_RATE), SAMPLING_RATE)
        )
        total += len(words[-1])
    return np.concatenate(words)[skipped : skipped + length]
