# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns samples into batches: media decoded lazily, loss on the assistant's answers only."""

from dataclasses import dataclass
from typing import Any

import torch

from processing import load_media

IGNORED_LABEL = -100


@dataclass
class FavorDataCollator:
    """
    Collates samples of [`load_manifest`] through the processor.

    Accepts rows with `messages` (string contents) and any of `video`, `image`, `audio` (a path, or `{"path",
    "bytes"}`), and
    `use_own_audio`. The media go before the text of the first user turn. Rows are not changed.

    Produces what `FavorProcessor` returns, and `labels` (batch, length) int64: the answers' tokens and their end
        token, -100 elsewhere.

    Args:
        processor: a `FavorProcessor`.
    """

    processor: Any

    def __call__(self, samples: list[dict]) -> dict[str, torch.Tensor]:
        inputs = self.processor.apply_chat_template(
            [media_messages(self.mute(sample)) for sample in samples],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        batch = dict(inputs)
        answers = torch.as_tensor(batch.pop("assistant_masks"))
        batch["labels"] = batch["input_ids"].masked_fill(answers == 0, IGNORED_LABEL)
        return batch

    def mute(self, sample: dict) -> dict:
        """A sample with `"audio": null` gives its pictures without the file's sound."""
        if sample.get("video") is None or sample.get("use_own_audio", True) or sample.get("audio") is not None:
            return sample
        source = sample["video"]
        if isinstance(source, dict):
            source = source.get("bytes") or source["path"]
        clip = load_media(
            source, fps=self.processor.frame_rate, size=self.processor.video_processor.frame_size, with_audio=False
        )
        return {**sample, "video": {"video": clip.frames}}


def media_messages(sample: dict) -> list[dict]:
    """The sample's messages with its media as blocks of the first user turn."""
    blocks = [
        {"type": kind, **(sample[kind] if isinstance(sample[kind], dict) else {"path": sample[kind]})}
        for kind in ("video", "image", "audio")
        if sample.get(kind) is not None
    ]
    messages, placed = [], False
    for turn in sample["messages"]:
        if turn["role"] == "user" and not placed:
            turn = {"role": "user", "content": [*blocks, {"type": "text", "text": turn["content"]}]}
            placed = True
        messages.append(turn)
    return messages
