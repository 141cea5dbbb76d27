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

from favor.processing import FavorProcessor, load_media
from favor.processing.media_options_favor import merge_media_options, sound_options

from .hub_datasets import local_file

MEDIA_COLUMNS = ("video", "image", "audio", "use_own_audio")


@dataclass
class DecodedClip:
    """
    One audio-visual item.

    pictures: (T, H, W, 3) uint8 at the vision tower's size, or None. frame_indices: (T,) int64, the picture of each
        synchronised frame; a still's one picture is repeated.
    log_mel: (chunks, mel, mel frames) float32, or None. mel_frames: (chunks,) int64, real ones of each chunk.
    """

    pictures: np.ndarray | None
    frame_indices: np.ndarray
    log_mel: np.ndarray | None
    mel_frames: np.ndarray

    @property
    def audio_vectors(self) -> int:
        """Audio encoder outputs (stride-2 convolution)."""
        return int(sum((frames - 1) // 2 + 1 for frames in self.mel_frames))


class ClipDataset(TorchDataset):
    """Decodes one clip an index, in loader workers."""

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
    clips = (clip for batch in tqdm(loader, desc="decoding, 16 clips a step") for clip in batch)
    return dict(zip(keys, clips, strict=True))


def one_thread(worker: int) -> None:
    """Loader workers share the cores with each other and with the model."""
    torch.set_num_threads(1)


def decode_clip(row: Mapping[str, Any], processor: FavorProcessor) -> DecodedClip:
    """Decodes one row's media as `FavorProcessor` does; pictures are not yet normalised."""
    size, visual = processor.video_processor.frame_size, row["video"] or row["image"]
    rate = processor.feature_extractor.sampling_rate
    shares_steps = processor.synchronize and processor.connector == "causal_qformer"
    options = merge_media_options(processor.media_options, {}, uniform_sampling=not shares_steps)
    frames, audio, still = None, None, False
    if visual is not None:
        own_audio = row["use_own_audio"] and row["audio"] is None
        file, grid = local_file(visual), processor.frame_rate
        clip = load_media(file, fps=grid, size=size, with_audio=own_audio, sampling_rate=rate, **options)
        frames, audio, still = clip.frames, clip.audio, clip.still
    if row["audio"] is not None:
        file = local_file(row["audio"])
        audio = load_media(file, with_frames=False, sampling_rate=rate, **sound_options(options)).audio
    log_mel, mel_frames = (None, np.zeros(0, dtype=np.int64)) if audio is None else mel_chunks(audio, processor)
    decoded = DecodedClip(frames, np.arange(0 if frames is None else len(frames)), log_mel, mel_frames)
    if still:
        steps = math.ceil(decoded.audio_vectors / processor.audio_vectors_per_frame())
        decoded.frame_indices = np.zeros(max(1, steps), dtype=np.int64)
    return decoded


def mel_chunks(audio: np.ndarray, processor: FavorProcessor) -> tuple[np.ndarray, np.ndarray]:
    """Sound of any length as the processor's whole chunks, and each chunk's number of real mel frames."""
    rate = processor.feature_extractor.sampling_rate
    inputs = processor(text=processor.audio_token, audio=(audio, rate), return_tensors="pt")
    return inputs["input_features"][0].numpy(), inputs["input_features_mask"][0].sum(-1).numpy()
