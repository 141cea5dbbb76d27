# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Renders the sound track of a scene: beeps, hums, noise bursts, bells and spoken words over faint noise."""

from typing import Protocol

import numpy as np

from ..scene import SAMPLING_RATE
from .sound_event import SoundEvent
from .speech import speak

_RAMP = 0.006  # seconds of fade at both ends of a sound: no clicks
_PEAK = 0.45  # of a sound of level 1
_BELL_PARTIALS = ((1.0, 1.0, 3.0), (2.76, 0.55, 4.0), (5.40, 0.3, 6.0))  # frequency ratio, amplitude, decay per second
_HUM_HARMONICS = 6


class Heard(Protocol):
    """A scene with sounds: `duration` in seconds, `noise_level` the deviation of the noise under them."""

    @property
    def seed(self) -> int: ...
    @property
    def duration(self) -> float: ...
    @property
    def events(self) -> tuple[SoundEvent, ...]: ...
    @property
    def noise_level(self) -> float: ...


def render_sound(scene: Heard) -> np.ndarray:
    """The sound track of `scene`: (samples,) float32 mono in [-1, 1] at 16 kHz."""
    rng = np.random.default_rng([scene.seed, 2])
    track = rng.standard_normal(round(scene.duration * SAMPLING_RATE), dtype=np.float32) * scene.noise_level
    for event in scene.events:
        add_at(track, event.start, render_event(event, rng))
    return np.clip(track, -1.0, 1.0)


def add_at(track: np.ndarray, start: float, samples: np.ndarray) -> None:
    """Adds `samples` to the track from `start` (s) on."""
    first = round(start * SAMPLING_RATE)
    track[first : first + len(samples)] += samples


def render_event(event: SoundEvent, rng: np.random.Generator) -> np.ndarray:
    """One sound alone, from its start to its end."""
    length = round((event.end - event.start) * SAMPLING_RATE)
    time = np.arange(length, dtype=np.float32) / SAMPLING_RATE
    if event.kind == "beep":
        wave = _tone(event.pitch, time)
    elif event.kind == "hum":
        wave = np.sum([_tone(k * event.pitch, time) / k for k in range(1, _HUM_HARMONICS + 1)], axis=0)
    elif event.kind == "noise":
        wave = rng.standard_normal(length, dtype=np.float32).clip(-2.5, 2.5)
    elif event.kind == "bell":
        partials = [a * np.exp(-decay * time) * _tone(r * event.pitch, time) for r, a, decay in _BELL_PARTIALS]
        wave = np.sum(partials, axis=0)
    elif event.kind == "speech":
        wave = speak(event.word or "", event.voice or "", event.pitch, length, SAMPLING_RATE)
    else:
        raise ValueError(f"event.kind {event.kind!r} is no sound of this world; use one of world.SOUNDS.")
    ramp = np.minimum(1.0, np.minimum(np.arange(length), np.arange(length)[::-1]) / (_RAMP * SAMPLING_RATE))
    return (wave / np.abs(wave).max() * ramp * event.level * _PEAK).astype(np.float32)


def _tone(frequency: float, time: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * time)
