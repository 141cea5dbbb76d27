# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Speaks words with eSpeak NG, through the shared library of the package espeakng-loader.

eSpeak NG is GPL-3 software and an optional run-time dependency: it is loaded on first use, by the process using it.
Its output depends on all that it has said before, since a process cannot reset its flutter and noise. Therefore a
world has a fixed order in which it speaks all its words once, and looks up what follows; and a process in which one
world has spoken is not one for another.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

LIBRARY_RATE = 22050  # Hz, of what eSpeak NG returns
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _PITCH = 1, 3
_SILENCE = 0.02  # of the peak, below which the ends of a word are cut off
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def load_loader() -> ModuleType:
    """The package that brings eSpeak NG; a ValueError says how to install it."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ValueError(
            "spoken words need eSpeak NG, which is missing: run `pip install espeakng-loader`."
        ) from error
    return espeakng_loader


class Engine:
    """The loaded library, and the samples that its callback has collected."""

    def __init__(self) -> None:
        espeakng_loader = load_loader()
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = espeakng_loader.get_data_path().encode()
        rate = self.library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, 0)
        if rate != LIBRARY_RATE:
            raise ValueError(
                f"eSpeak NG started with {rate} Hz instead of {LIBRARY_RATE}: "
                "reinstall it by `pip install --force-reinstall espeakng-loader`."
            )
        self.chunks: list[np.ndarray] = []
        self.callback = _CALLBACK(self._collect)  # kept: ctypes callbacks die with their last reference
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def speak(self, word: str, voice: str, speed: int, pitch: int) -> np.ndarray:
        """The word as int16 samples at the library's rate, silence cut off at both ends."""
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"voice {voice!r} is not known to eSpeak NG; see `espeak-ng --voices` for names.")
        self.library.espeak_SetParameter(_RATE, speed, 0)
        self.library.espeak_SetParameter(_PITCH, pitch, 0)
        self.chunks = []
        text = word.encode() + b"\0"
        self.library.espeak_Synth(text, len(text), 0, 0, 0, _CHARS_UTF8, None, None)
        self.library.espeak_Synchronize()
        if not self.chunks:
            raise ValueError(f"word {word!r} was spoken as silence; pass a word of letters.")
        samples = np.concatenate(self.chunks)
        amplitude = np.abs(samples.astype(np.int32))
        loud = np.flatnonzero(amplitude > _SILENCE * amplitude.max())
        return samples[loud[0] : loud[-1] + 1]


@cache
def engine() -> Engine:
    """The one engine of this process: its words must be spoken in one order."""
    return Engine()


Recordings = dict[tuple[str, str, int], list[np.ndarray]]  # (word, voice, pitch) at every speed, as `Engine.speak`


def speak_all(
    engine: Engine, words: Sequence[str], voices: Sequence[str], pitches: Sequence[int], speeds: Sequence[int]
) -> Recordings:
    """Every word in every voice, pitch (0-100) and speed (words per minute): voice by voice, in it word by word."""
    return {
        (word, voice, pitch): [engine.speak(word, voice, speed, pitch) for speed in speeds]
        for voice in voices
        for word in words
        for pitch in pitches
    }


def fit(recordings: Sequence[np.ndarray], length: int, sampling_rate: int) -> np.ndarray:
    """A recorded word in exactly `length` samples at `sampling_rate`, peak 1.

    Of the recordings the one of the nearest length is taken; what is then still too long or too short is resampled.
    """
    target = length / sampling_rate * LIBRARY_RATE
    recorded = min(recordings, key=lambda samples: abs(np.log(len(samples) / target)))
    samples = resample(recorded.astype(np.float32), length)
    return samples / np.abs(samples).max()


def resample(samples: np.ndarray, length: int) -> np.ndarray:
    """Band-limited resampling of the whole of `samples` to `length` samples."""
    padding = len(samples) // 8  # keeps the two ends, which meet in the Fourier transform, apart
    padded = np.pad(samples, padding)
    target = round(len(padded) * length / len(samples))
    spectrum = np.fft.rfft(padded)[: target // 2 + 1]
    start = round(padding * length / len(samples))
    return np.fft.irfft(spectrum, target)[start : start + length].astype(np.float32)
