# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What of a sample's media reached the model, read off the processor's tensors."""

from collections.abc import Sequence
from dataclasses import dataclass


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

    @classmethod
    def of_items(cls, items: Sequence["MediaSummary"]) -> "MediaSummary":
        """Those of one sample's items, together."""
        return cls(
            items=sum(item.items for item in items),
            visual_frames=sum(item.visual_frames for item in items),
            audio_seconds=float(sum(item.audio_seconds for item in items)),
            query_tokens=sum(item.query_tokens for item in items),
        )

    def __str__(self) -> str:
        if self.items == 0:
            return "text only"
        items = "1 item" if self.items == 1 else f"{self.items} items"
        frames = "1 frame" if self.visual_frames == 1 else f"{self.visual_frames} frames"
        sound = f"{self.audio_seconds:.2f} s of sound" if self.audio_seconds else "no sound"
        return f"{items}: {frames}, {sound}, {self.query_tokens} query tokens"
