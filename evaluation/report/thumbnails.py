# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Small pictures of a sample's media: three frames of a video, a picture, the loudness of a sound."""

import base64
import io

import numpy as np
from PIL import Image

from favor.processing import load_media

FRAMES = 3
HEIGHT = 96  # pixels
MAX_ASPECT = 3.0
SECONDS = 20.0  # of a long file that are looked at
FRAME_RATE = 1.0
BARS = 96


def frame_images(path: str) -> list[str]:
    """Frames of a video, or a picture, as JPEG data URLs; none of a sound.

    Raises `ValueError` or `OSError` if the file cannot be read.
    """
    frames = load_media(path, fps=FRAME_RATE, end=SECONDS).frames
    if frames is None:
        return []
    return picture_urls(frames, FRAMES)


def picture_urls(frames: np.ndarray, count: int) -> list[str]:
    """At most `count` of (F, H, W, 3) uint8 pictures, evenly chosen, as JPEG data URLs."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [_jpeg(Image.fromarray(frames[index])) for index in chosen]


def loudness_bars(path: str) -> list[float]:
    """Peaks of equal parts of the sound, 0 to 1 of the loudest; none of a file without sound."""
    audio = load_media(path, fps=FRAME_RATE, end=SECONDS, size=(16, 16)).audio
    if audio is None or not len(audio):
        return []
    return peaks(audio)


def peaks(audio: np.ndarray) -> list[float]:
    """Peaks of equal parts of (S,) samples, 0 to 1 of the loudest."""
    found = [float(np.abs(part).max()) for part in np.array_split(audio, BARS) if len(part)]
    return [round(peak / (max(found, default=0.0) or 1.0), 3) for peak in found]


def _jpeg(picture: Image.Image) -> str:
    picture.thumbnail((int(HEIGHT * MAX_ASPECT), HEIGHT))
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
