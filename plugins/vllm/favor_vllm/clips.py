# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips on the way to vLLM: read and prepared once, whatever is asked about them, and known by their content."""

import copy
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from favor.processing import FavorProcessor
from favor.processing.items_favor import ItemSource, MediaItem
from favor.serving.byte_cache import ByteCache
from favor.serving.chat_items import item_identity

# What a worker gets of a clip: every name for every clip, without rows where it has nothing of it, since vLLM joins
# the items of a step name by name.
EMPTY = {
    "pixel_values_videos": torch.zeros(0, 3, 1, 1),
    "video_frame_indices": torch.zeros(0, dtype=torch.int64),
    "input_features": torch.zeros(0, 1, 1),
    "input_features_mask": torch.zeros(0, 1, dtype=torch.int64),
}
KEY, INSTRUCTION = "clip_key", "qformer_input_ids"


@dataclass(frozen=True)
class PreparedClip:
    """One item's media tensors, as `FavorProcessor.media_inputs` gives them, without the row of the batch.

    Attributes:
        key: tells this clip, and how it was read, from any other.
        tensors: those of `EMPTY`.
        tokens: query tokens, which replace its placeholder.
    """

    key: bytes
    tensors: Mapping[str, torch.Tensor]
    tokens: int

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class FavorItem:
    """What one placeholder of a prompt stands for: a clip, and what the visual Q-Former reads about it.

    Attributes:
        clip: the media.
        instruction: tokens for a visual Q-Former that reads the question; else None.
    """

    clip: PreparedClip
    instruction: tuple[int, ...] | None

    @property
    def identity(self) -> list[bytes | list[int] | None]:
        """What vLLM's caches know the item's embeddings by."""
        return [self.clip.key, None if self.instruction is None else list(self.instruction)]


class ClipReader:
    """Reads clips, each once while it is remembered, from any number of threads.

    Args:
        processor: the model's; every thread gets a copy, since tokenizers must not be used by two at a time.
        media_limits: bounds on what a file may cost.
        max_bytes: of all clips kept.
        dtype: of the encoders: what they would round themselves crosses to the worker rounded.
    """

    def __init__(
        self,
        processor: FavorProcessor,
        media_limits: Mapping[str, float],
        max_bytes: int,
        dtype: torch.dtype,
    ):
        self.cache = ByteCache(max_bytes)
        self._processor, self._limits, self._dtype = processor, dict(media_limits), dtype
        self._copying, self._own = threading.Lock(), threading.local()

    @property
    def processor(self) -> FavorProcessor:
        """The calling thread's own."""
        if not hasattr(self._own, "processor"):
            with self._copying:
                self._own.processor = copy.deepcopy(self._processor)
        return self._own.processor

    def known(self, source: ItemSource) -> PreparedClip | None:
        """The clip if nothing need be read for it; raises `OSError` if there is no such file."""
        return self.cache.known(clip_key(source))

    def clip(self, source: ItemSource) -> PreparedClip:
        """The clip, read if it is not known; raises what reading raises (`ValueError`, `OSError`)."""
        key = clip_key(source)
        return self.cache.get(key, lambda: self._prepare(key, source))

    def item(self, source: ItemSource, clip: PreparedClip) -> FavorItem:
        """The clip with what is asked about it."""
        sees = len(clip.tensors["pixel_values_videos"])
        ids = self.processor.instruction_ids(source.instruction) if sees else None
        return FavorItem(clip, None if ids is None else tuple(ids))

    def _prepare(self, key: bytes, source: ItemSource) -> PreparedClip:
        return prepared(key, self.processor.load_item(source, media_limits=self._limits), self.processor, self._dtype)


def prepared(key: bytes, item: MediaItem, processor: FavorProcessor, dtype: torch.dtype) -> PreparedClip:
    """A clip of media that were read."""
    inputs, (tokens,) = processor.media_inputs([item])
    tensors = {name: inputs[name][0] if name in inputs else empty for name, empty in EMPTY.items()}
    rounded = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return PreparedClip(key, rounded, tokens)


def clip_key(source: ItemSource) -> bytes:
    """What tells an item's media, and how they are read, from any other's.

    Raises:
        OSError: if there is no such file.
        ValueError: if a medium is an array: only files and their bytes have a name that is cheap to find.
    """
    return hashlib.sha256(repr(item_identity(source)).encode()).digest()
