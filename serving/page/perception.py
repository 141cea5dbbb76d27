# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the model perceives of a file: the pictures and the sound that its processor makes of it, small enough to draw.

Pictures are the processor's pixel values with the normalisation undone. Sound reaches the model as log-mel features,
so its loudness is theirs: the square root of the energy over all mel bands; or as samples, whose mean square it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from favor.processing.items_favor import ItemSource
from favor.processing.log_mel_favor import frame_frequency, reads_samples

THUMBNAIL = 96  # pixels, width and height at most
MAX_THUMBNAILS = 600  # of a longer clip every second, third, ... step is drawn
SAMPLES_A_VALUE = 160  # of sound that reaches the model as samples: as many values a second as of log-mel
QUIETEST_PEAK = 0.05  # a clip that is softer than this everywhere is drawn as soft, not scaled up


@dataclass(frozen=True)
class Perception:
    """
    What the model sees and hears of one file.

    Attributes:
        kind: "video", "image" or "audio".
        frame_rate: time steps per second, in Hz.
        window_steps: time steps of a window; None if the model has no windows.
        tokens: language model tokens that stand for the file, with its sound.
        pictures: (F, h, w, 3) uint8, the distinct pictures, small.
        shown: for each time step the row of `pictures` that shows; empty for a sound.
        drawn_every: only every so many steps' pictures are in `pictures`.
        loudness: (samples,) float32 from 0 to 1; empty without sound.
        loudness_rate: samples per second.
    """

    kind: str
    frame_rate: float
    window_steps: int | None
    tokens: int
    pictures: np.ndarray
    shown: list[int]
    drawn_every: int
    loudness: np.ndarray
    loudness_rate: float

    @property
    def audio_steps(self) -> int:
        """Time steps that have sound."""
        return math.ceil(round(len(self.loudness) / self.loudness_rate * self.frame_rate, 6))

    @property
    def steps(self) -> int:
        """Time steps that show a picture or have sound."""
        return max(len(self.shown), self.audio_steps)

    @property
    def has_sound(self) -> bool:
        """There is sound that can be heard or muted."""
        return len(self.loudness) > 0


def perceive(
    processor: Any, file: Path, media_limits: Mapping[str, Any] | None = None, with_sound: bool = True
) -> Perception:
    """Lets the model's processor read `file`, and keeps what it makes of it; a video without its sound if asked.

    Raises:
        ValueError: if the file is no media, damaged, or beyond a bound.
    """
    kind = processor.media_kind(file, media_limits=media_limits)
    source = ItemSource(kind, str(file), own_sound=with_sound)
    inputs, (tokens,) = processor.media_inputs([processor.load_item(source, media_limits=dict(media_limits or {}))])
    pictures, shown, drawn_every = _pictures(processor, inputs)
    loudness, loudness_rate = _loudness(inputs, processor.feature_extractor)
    return Perception(
        kind=kind,
        frame_rate=processor.frame_rate,
        window_steps=processor.window_steps,
        tokens=tokens,
        pictures=pictures,
        shown=shown,
        drawn_every=drawn_every,
        loudness=loudness if processor.modalities != "visual" else np.zeros(0, np.float32),
        loudness_rate=loudness_rate,
    )


def _pictures(processor: Any, inputs: Mapping[str, Any]) -> tuple[np.ndarray, list[int], int]:
    """Thumbnails (F, h, w, 3) uint8, the thumbnail of every time step, and how many steps share one."""
    if "pixel_values_videos" not in inputs or processor.modalities == "audio":
        return np.zeros((0, 1, 1, 3), np.uint8), [], 1
    rows = [row for row in inputs["video_frame_indices"][0].tolist() if row >= 0]
    every = math.ceil(len(rows) / MAX_THUMBNAILS)
    wanted = sorted({rows[step - step % every] for step in range(len(rows))})
    place = {row: number for number, row in enumerate(wanted)}
    scale = np.array(processor.video_processor.image_std, np.float32)[:, None, None]
    shift = np.array(processor.video_processor.image_mean, np.float32)[:, None, None]
    pixels = inputs["pixel_values_videos"][0]  # (F, 3, H, W)
    small = [_thumbnail(pixels[row].float().numpy() * scale + shift) for row in wanted]
    return np.stack(small), [place[rows[step - step % every]] for step in range(len(rows))], every


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """(3, H, W) from 0 to 1 as (h, w, 3) uint8."""
    image = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _loudness(inputs: Mapping[str, Any], extractor: Any) -> tuple[np.ndarray, float]:
    """(values,) from 0 to 1, and how many there are per second: one for each mel frame, or for some samples."""
    rate = frame_frequency(extractor)
    if "input_features" not in inputs:
        return np.zeros(0, np.float32), rate
    features = inputs["input_features"][0].float().numpy()  # (C, mel, frames)
    real = inputs["input_features_mask"][0].numpy().astype(bool)  # (C, frames)
    if reads_samples(extractor):
        samples = features[:, 0][real]
        parts = np.array_split(samples, math.ceil(len(samples) / SAMPLES_A_VALUE))
        loudness = np.array([np.sqrt(np.square(part).mean()) for part in parts])
        rate *= len(parts) / len(samples)
    else:
        energy = (10.0 ** (4.0 * features - 4.0)).sum(axis=1)  # Whisper's scaling undone; (C, frames)
        loudness = np.sqrt(energy[real])  # chunks follow each other without a gap
    return (loudness / max(float(loudness.max(initial=0.0)), QUIETEST_PEAK)).astype(np.float32), rate
