# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes media files: mp4 (H.264 and AAC), wav, png and jpg."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

_VIDEO_OPTIONS = {"preset": "ultrafast", "crf": "23", "threads": "1"}
_AUDIO_BIT_RATE = 48000
_JPEG_QUALITY = 92
_AUDIO_BLOCK = 1024  # samples of one AAC frame


def write_video(path: str | Path, frames: np.ndarray, frame_rate: int, audio: np.ndarray, sampling_rate: int) -> None:
    """Writes frames (frames, height, width, 3) uint8 and mono samples (samples,) in [-1, 1] as one mp4 file.

    Both streams begin at time zero: the encoder's start-up samples are marked in the file, and players drop them. An
    incomplete last block of sound (64 ms at 16 kHz) is left out, not padded, so that no sound outlasts the picture.
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video_stream = container.add_stream("libx264", rate=frame_rate, options=_VIDEO_OPTIONS)
        video_stream.height, video_stream.width = frames.shape[1:3]
        video_stream.pix_fmt = "yuv420p"
        audio_stream = container.add_stream("aac", rate=sampling_rate, layout="mono")
        audio_stream.bit_rate = _AUDIO_BIT_RATE
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate)
            container.mux(video_stream.encode(frame))
        container.mux(video_stream.encode(None))
        for start in range(0, len(audio) - _AUDIO_BLOCK + 1, _AUDIO_BLOCK):
            block = np.ascontiguousarray(audio[None, start : start + _AUDIO_BLOCK], dtype=np.float32)
            sound = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = sampling_rate, start, Fraction(1, sampling_rate)
            container.mux(audio_stream.encode(sound))
        container.mux(audio_stream.encode(None))


def write_sound(path: str | Path, audio: np.ndarray, sampling_rate: int) -> None:
    """Writes mono samples (samples,) in [-1, 1] as a 16-bit wav file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())


def write_picture(path: str | Path, frame: np.ndarray) -> None:
    """Writes one frame (height, width, 3) uint8 as a png file, or as a jpg where the path says so."""
    picture = Image.fromarray(frame)
    if str(path).endswith(".jpg"):
        picture.save(path, quality=_JPEG_QUALITY)
    else:
        picture.save(path)
