# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Decodes the distinct clips of a small dataset once and keeps them in memory, for repeated passes over them."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from favor.processing import FavorProcessor
from favor.processing.items_favor import MediaItem, distinct_pictures
from favor.processing.media_names_favor import MEDIA_KINDS

from .sample_tokens import sample_item

MEDIA_COLUMNS = (*MEDIA_KINDS, "use_own_audio")
# Clips are decoded without regard to what is asked about them.
ASKED = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]


@dataclass
class DecodedClip:
    """
    One audio-visual item.

    Attributes:
        pictures: (T, H, W, 3) uint8 at the vision tower's size, or None.
        frame_indices: (T,) int64, the picture of each synchronised frame; a still's one picture is repeated.
        log_mel: (chunks, mel, mel frames) float32, or None.
        mel_frames: (chunks,) int64, real ones of each chunk.
        audio_vectors: audio encoder outputs of all chunks.
    """

    pictures: np.ndarray | None
    frame_indices: np.ndarray
    log_mel: np.ndarray | None
    mel_frames: np.ndarray
    audio_vectors: int


class ClipDataset(TorchDataset):
    """Decodes one clip per index, in loader workers."""

    def __init__(self, clips: list[tuple], processor: FavorProcessor):
        self.clips, self.processor = clips, processor

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> DecodedClip:
        return decode_clip(dict(zip(MEDIA_COLUMNS, self.clips[index], strict=True)), self.processor)


def clip_key(row: Mapping[str, Any]) -> tuple:
    """The media columns of a row, by which `clips` are found."""
    return tuple(row.get(name) for name in MEDIA_COLUMNS)


def decode_clips(
    dataset: Dataset, processor: FavorProcessor, workers: int = 2, known: Collection[tuple] = ()
) -> dict[tuple, DecodedClip]:
    """Every distinct item of a dataset of [`load_manifest`] that is not `known`, by its media columns.

    Text-only rows have none. `workers` processes decode; 0: this one.
    """
    columns = (dataset[name] for name in MEDIA_COLUMNS)
    keys = [key for key in dict.fromkeys(zip(*columns, strict=True)) if any(key[:3]) and key not in known]
    if not keys:
        return {}
    loader = DataLoader(
        ClipDataset(keys, processor),
        batch_size=16,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=one_thread,
        multiprocessing_context="spawn" if workers else None,
    )
    clips = (clip for batch in tqdm(loader, desc="decoding, 16 clips per step") for clip in batch)
    return dict(zip(keys, clips, strict=True))


def one_thread(worker: int) -> None:
    """Loader workers share the cores with each other and with the model."""
    torch.set_num_threads(1)


def decode_clip(row: Mapping[str, Any], processor: FavorProcessor) -> DecodedClip:
    """Decodes one row's media as `FavorProcessor` does; pictures are not yet normalised."""
    source = sample_item(processor, {**row, "messages": ASKED})
    if source is None:
        raise ValueError(f"The row has none of {', '.join(MEDIA_KINDS)}.")
    item = processor.load_item(source)
    heard = processor.log_mel(item)
    vectors = [] if heard is None else list(map(processor.audio_vector_count, heard[1].sum(-1).tolist()))
    pictures = item.frames if item.still or item.frames is None else item.frames[item.frame_indices]
    indices = np.arange(0 if pictures is None else len(pictures))
    if item.still:
        steps = math.ceil(sum(vectors) / processor.audio_vectors_per_frame())
        indices = np.zeros(max(1, steps), dtype=np.int64)
    log_mel, mel_frames = (None, []) if heard is None else (heard[0].numpy(), heard[1].sum(-1).tolist())
    return DecodedClip(pictures, indices, log_mel, np.array(mel_frames, dtype=np.int64), sum(vectors))


def media_item(clip: DecodedClip) -> MediaItem:
    """A decoded clip as the processor takes it: pictures that follow their like are not repeated."""
    item = MediaItem()
    if clip.pictures is not None:
        rows, place = distinct_pictures(clip.pictures)
        item.frames, item.frame_indices = clip.pictures[rows], [place[step] for step in clip.frame_indices]
    if clip.log_mel is not None:
        mask = torch.arange(clip.log_mel.shape[-1]) < torch.from_numpy(clip.mel_frames)[:, None]  # (chunks, frames)
        item.log_mel = torch.from_numpy(clip.log_mel), mask.long()
    return item
