# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Mixes a sound track of real sounds and speech over faint noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..scene import SAMPLING_RATE
from ..speech import resample
from .voices import Utterance, read_wave, speak

_FADE = 0.02  # seconds at both ends of a sound that was cut
_PAUSE = 0.15  # seconds of quiet after the last sound
_FASTEST = 1.35  # how much an utterance may be shortened to fit its place


@dataclass(frozen=True)
class Event:
    """A sound from `start` on, to `end` (s) at most; with `end` 0 a file or an utterance lasts as long as it does.

    Attributes:
        name: the thing it sounds like, or the text that is spoken.
        file: of a recording, relative to the folder of assets; empty for speech by an `utterance`.
        utterance: what is spoken, and by whom.
        level: peak amplitude.
        is_speech: whether someone speaks, in a recording or by `utterance`.
    """

    start: float
    end: float
    name: str
    level: float
    is_speech: bool
    file: str = ""
    utterance: Utterance | None = None


def mix(root: str, seed: int, events: Sequence[Event], noise: float, duration: float | None = None) -> np.ndarray:
    """The sound track, (samples,) float32 in [-1, 1], of `duration` seconds or until a pause after the last event.

    `noise` is the standard deviation of what lies under it.
    """
    rng = np.random.default_rng(seed)
    placed = []
    for event in events:
        place = round((event.end - event.start) * SAMPLING_RATE) if event.end else None
        samples = _spoken(root, event, place) if event.is_speech else _crop(_recording(root, event.file), place, rng)
        placed.append((round(event.start * SAMPLING_RATE), samples * event.level))
    last = max((start + len(samples) for start, samples in placed), default=0)
    length = last + round(_PAUSE * SAMPLING_RATE) if duration is None else round(duration * SAMPLING_RATE)
    track = _coloured(rng.normal(0, 1, length).astype(np.float32), rng.uniform(0, 1)) * noise
    for start, samples in placed:
        samples = samples[: max(0, length - start)]
        track[start : start + len(samples)] += samples
    return np.clip(track, -1, 1)


def _spoken(root: str, event: Event, place: int | None) -> np.ndarray:
    samples = speak(root, event.utterance) if event.utterance else _recording(root, event.file)
    if place is not None and len(samples) > place:
        if len(samples) > place * _FASTEST:
            raise ValueError(
                f"{event.name!r} takes {len(samples) / SAMPLING_RATE:.2f} s, and has {place / SAMPLING_RATE:.2f} s; "
                "give the event more time."
            )
        samples = resample(samples, place)
    return samples


def _crop(samples: np.ndarray, place: int | None, rng: np.random.Generator) -> np.ndarray:
    """So many samples: of a longer recording one of its loudest parts, of a shorter one as many rounds as fit."""
    place = len(samples) if place is None else place
    if len(samples) > place:
        energy = np.cumsum(np.square(samples, dtype=np.float64))
        starts = np.arange(0, len(samples) - place, SAMPLING_RATE // 20)
        loudness = energy[starts + place - 1] - energy[starts]
        loud = starts[loudness >= 0.7 * loudness.max()]
        start = int(rng.choice(loud))
        samples = samples[start : start + place]
    elif len(samples) * 2 <= place:
        samples = np.tile(samples, place // len(samples))
    samples = samples / max(1e-6, float(np.abs(samples).max()))  # a copy, too: recordings are kept
    fade = min(len(samples) // 4, round(_FADE * SAMPLING_RATE))
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return samples


@lru_cache(maxsize=512)
def _recording(root: str, path: str) -> np.ndarray:
    return read_wave(Path(root) / path)[0]


def _coloured(noise: np.ndarray, share: float) -> np.ndarray:
    """White noise, or noise with more of the low tones, of standard deviation 1."""
    spectrum = np.fft.rfft(noise)
    spectrum /= np.sqrt(np.arange(1, len(spectrum) + 1)) ** share
    coloured = np.fft.irfft(spectrum, len(noise)).astype(np.float32)
    return coloured / max(1e-6, float(coloured.std()))
