# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a sample costs in tokens, told from file headers without decoding, so that batches can be sorted by it."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from datasets import Dataset
from tqdm import tqdm

from favor.processing import load_media
from favor.processing.items_favor import ItemSource
from favor.processing.log_mel_favor import frame_frequency
from favor.processing.media_sources_favor import is_data_url, local_path

from .media_features import undecoded
from .sample_tokens import sample_items, tokenize_sample

NO_PROTOCOL = {"protocol_whitelist": "none"}  # a playlist dressed as a video opens nothing else


def add_length_column(dataset: Dataset, processor: Any, progress: bool = True) -> Dataset:
    """The dataset with a `length` column: each sample's tokens, text and query tokens together.

    Durations come from the container's header, and only where it has none from decoding; a file that several samples
    name is opened once. A header may be a little off (one window's query tokens), which is good enough to sort by. A
    sample that cannot be read counts its text alone: the collator is the one that reports it.
    """
    known: dict[Any, tuple[float, float, bool]] = {}
    dataset = undecoded(dataset)
    rows = tqdm(dataset, desc="lengths", disable=not progress)
    lengths = [sample_length(row, processor, known) for row in rows]
    if "length" in dataset.column_names:
        dataset = dataset.remove_columns("length")
    return dataset.add_column("length", lengths)


def sample_length(sample: Mapping[str, Any], processor: Any, known: dict | None = None) -> int:
    """One sample's token cost; `known` remembers the durations of files."""
    known = {} if known is None else known
    try:
        items = sample_items(processor, sample)
    except (OSError, ValueError):
        return 0
    counts = []
    for item in items:
        try:
            counts.append(query_tokens(item, processor, known))
        except (OSError, ValueError, av.FFmpegError):
            counts.append(0)
    try:
        return len(tokenize_sample(processor, sample, counts)[0])
    except ValueError:
        return sum(counts)


def query_tokens(item: ItemSource, processor: Any, known: dict) -> int:
    """Query tokens of an item, from the durations of its files; what is in memory is counted as it is."""
    if not all(is_file(medium) for medium in (item.media, item.sound) if medium is not None):
        return processor.media_inputs([processor.load_item(item)])[1][0]
    seen, heard, still = durations(item.media, known)
    if item.kind == "audio":
        seen, still = 0.0, False
    elif not item.own_sound:
        heard = 0.0
    elif heard:
        seen = heard = max(seen, heard)  # the shorter stream is filled up
    if item.sound is not None:
        heard = durations(item.sound, known)[1]
    frames = math.ceil(seen * processor.frame_rate - 1e-6)
    frames_heard = math.ceil(heard * frame_frequency(processor.feature_extractor))
    audio_vectors = processor.audio_vector_count(frames_heard)
    if still:
        frames = max(1, math.ceil(audio_vectors / processor.audio_vectors_per_frame()))
    return processor.query_token_count(frames, audio_vectors)


def is_file(medium: Any) -> bool:
    """Whether it is a path or a file's bytes; a picture, an array or a list of pictures is not."""
    return isinstance(medium, (bytes, bytearray)) or (isinstance(medium, str) and not is_data_url(medium))


def durations(source: str | bytes, known: dict) -> tuple[float, float, bool]:
    """Seconds of picture and of sound, and whether it is a still."""
    key = hash(source) if isinstance(source, (bytes, bytearray)) else source
    if key not in known:
        file = local_path(source) if isinstance(source, str) else source
        known[key] = header_durations(file) or decoded_durations(file)
    return known[key]


def header_durations(source: Path | bytes) -> tuple[float, float, bool] | None:
    """As [`durations`], by the container's header; None if it does not tell."""
    file = io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else open(source, "rb")  # noqa: SIM115
    with file, av.open(file, options=NO_PROTOCOL, metadata_errors="replace") as container:
        if container.format.name.endswith("_pipe") or container.format.name == "image2":
            return 0.0, 0.0, True
        whole = container.duration / av.time_base if container.duration else None

        def seconds(streams: Any) -> float | None:
            own = [s.duration * s.time_base for s in streams[:1] if s.duration and s.time_base]
            return float(own[0]) if own else (whole if streams else 0.0)

        seen, heard = seconds(container.streams.video), seconds(container.streams.audio)
    return None if seen is None or heard is None else (seen, heard, False)


def decoded_durations(source: Path | bytes) -> tuple[float, float, bool]:
    """As [`durations`], by decoding."""
    clip = load_media(source, fps=1.0, size=(8, 8))
    seen = clip.duration if clip.frames is not None and not clip.still else 0.0
    return seen, 0.0 if clip.audio is None else len(clip.audio) / clip.sampling_rate, clip.still
