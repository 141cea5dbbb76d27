# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What of a sample's media reached the model, read off the processor's tensors."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MediaSummary:
    """The media of one sample. `str()` of it is one line to read.

    Attributes:
        items (`int`): videos, images and sounds.
        visual_frames (`int`): time steps of 1 / frame_rate seconds that show a picture.
        audio_seconds (`float`): sound in the log-mel features, in seconds.
        query_tokens (`int`): language model tokens that stand for the media.
    """

    items: int
    visual_frames: int
    audio_seconds: float
    query_tokens: int

    def __str__(self) -> str:
        if self.items == 0:
            return "text only"
        items = "1 item" if self.items == 1 else f"{self.items} items"
        frames = "1 frame" if self.visual_frames == 1 else f"{self.visual_frames} frames"
        sound = f"{self.audio_seconds:.2f} s of sound" if self.audio_seconds else "no sound"
        return f"{items}: {frames}, {sound}, {self.query_tokens} query tokens"


def audio_vector_counts(mask: torch.Tensor) -> list[int]:
    """Each item's audio encoder outputs for a mel mask (items, C, frames): a stride-2 convolution a chunk."""
    mel_frames = mask.sum(dim=-1)  # (items, C)
    return torch.where(mel_frames > 0, (mel_frames - 1) // 2 + 1, 0).sum(dim=-1).tolist()
