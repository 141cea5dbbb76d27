# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Speaks the words of the world with eSpeak NG, through the shared library of the package espeakng-loader.

eSpeak NG is GPL-3 software and an optional run-time dependency: it is loaded on first use, by the process using it.
Its output depends on all that it has said before, since a process cannot reset its flutter and noise. Therefore the
first use speaks every word in every voice once, in a fixed order (about a second), and all that follows is looked up:
first the ten words of scene.WORDS; then, when one of them is needed, all other words of vocabulary.py.
"""

import ctypes
from functools import cache
from types import ModuleType

import numpy as np

from .scene import SPEECH_PITCHES, VOICES, WORDS
from .vocabulary import OTHER_WORDS

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _PITCH = 1, 3
_LIBRARY_RATE = 22050  # Hz, of what eSpeak NG returns
_SPEEDS = (110, 140, 175, 215)  # words a minute
_OTHER_SPEEDS = (130, 185)  # of the words beyond WORDS: fewer, for a quick start
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


class _Engine:
    """The loaded library, and the samples that its callback has collected."""

    def __init__(self) -> None:
        espeakng_loader = load_loader()
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = espeakng_loader.get_data_path().encode()
        rate = self.library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, 0)
        if rate != _LIBRARY_RATE:
            raise ValueError(
                f"eSpeak NG started with {rate} Hz instead of {_LIBRARY_RATE}: "
                "reinstall it by `pip install --force-reinstall espeakng-loader`."
            )
        self.chunks: list[np.ndarray] = []
        self.callback = _CALLBACK(self._collect)  # kept: ctypes callbacks die with their last reference
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count: int, _events) -> int:
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
def _engine() -> _Engine:
    """The one engine of this process: its words must be spoken in one order."""
    return _Engine()


@cache
def _bank() -> dict[tuple[str, str, int], list[np.ndarray]]:
    """Each (word, voice, pitch) of WORDS at every speed."""
    return _speak_all(WORDS, _SPEEDS)


@cache
def _other_bank() -> dict[tuple[str, str, int], list[np.ndarray]]:
    """Each (word, voice, pitch) of OTHER_WORDS at every speed; spoken after WORDS, always."""
    _bank()
    return _speak_all(OTHER_WORDS, _OTHER_SPEEDS)


def _speak_all(words: tuple[str, ...], speeds: tuple[int, ...]) -> dict[tuple[str, str, int], list[np.ndarray]]:
    engine = _engine()
    return {
        (word, voice, pitch): [engine.speak(word, voice, speed, pitch) for speed in speeds]
        for voice in VOICES
        for word in words
        for pitch in SPEECH_PITCHES
    }


def speak(word: str, voice: str, pitch: int, length: int, sampling_rate: int) -> np.ndarray:
    """Speaks `word` in exactly `length` samples, peak 1.

    Of the speeds on record the nearest is taken; what is then still too long or too short is resampled.

    Args:
        word: one of vocabulary.SPOKEN_WORDS.
        voice: one of scene.VOICES.
        pitch: one of scene.SPEECH_PITCHES.
        length: number of samples to return.
        sampling_rate: of the returned samples, in Hz.
    """
    bank = _other_bank() if word in OTHER_WORDS else _bank()
    if (word, voice, pitch) not in bank:
        raise ValueError(
            f"word, voice and pitch {word, voice, pitch} are not on record; use those of scene.py and vocabulary.py."
        )
    target = length / sampling_rate * _LIBRARY_RATE
    recorded = min(bank[word, voice, pitch], key=lambda samples: abs(np.log(len(samples) / target)))
    samples = _resample(recorded.astype(np.float32), length)
    return samples / np.abs(samples).max()


def _resample(samples: np.ndarray, length: int) -> np.ndarray:
    """Band-limited resampling of the whole of `samples` to `length` samples."""
    padding = len(samples) // 8  # keeps the two ends, which meet in the Fourier transform, apart
    padded = np.pad(samples, padding)
    target = round(len(padded) * length / len(samples))
    spectrum = np.fft.rfft(padded)[: target // 2 + 1]
    start = round(padding * length / len(samples))
    return np.fft.irfft(spectrum, target)[start : start + length].astype(np.float32)
