# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips that were decoded and encoded once, kept for further questions: all of their way that no question changes.

Kept in host memory, within one bound: the audio tower's states; the vision tower's patch states where the visual
Q-Former reads the instruction (InstructBLIP), else what the Q-Former makes of them; and the finished query embeddings
of each instruction, which a conversation needs again with every turn. A new question about a known clip costs the
Q-Former and the connector.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from favor.modeling_favor.clip_states_favor import ClipStates
from favor.processing import FavorProcessor, MediaSummary
from favor.processing.items_favor import ItemSource

from .byte_cache import ByteCache
from .chat_items import item_identity


@dataclass(frozen=True)
class EncodedClip:
    """
    One item as far as no question changes it.

    Attributes:
        states: what the encoders make of it.
        summary: the processor's `MediaSummary`.
    """

    states: ClipStates
    summary: MediaSummary

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.states.nbytes


class EncodedClips:
    """
    The clips and query embeddings of one model, by the content of bytes, or path, size and time of a file.

    Answers are those of the pipeline, token for token. Any number of threads may ask; each clip is encoded once, one
    clip at a time, whoever asks.

    Args:
        model: a `FavorForConditionalGeneration`.
        max_bytes: of everything kept.
        media_options: arguments of every `FavorProcessor` call (`media_limits`, `end`, ...).

    Attributes:
        hits, misses: clips that were known, and that had to be read.
    """

    def __init__(self, model: Any, max_bytes: int, media_options: Mapping[str, Any] | None = None):
        self.backbone, self.media_options = model.model, dict(media_options or {})
        self._cache = ByteCache(max_bytes)
        self._encoders, self._counting = threading.Lock(), threading.Lock()
        self.reads_instruction = self.backbone.reads_instruction
        self.hits = self.misses = 0

    @property
    def bytes(self) -> int:
        """Bytes of everything kept."""
        return self._cache.bytes

    @property
    def max_bytes(self) -> int:
        """The bound of `bytes`."""
        return self._cache.max_bytes

    def __len__(self) -> int:
        return len(self._cache)

    def clear(self) -> None:
        """Forgets everything."""
        self._cache.clear()

    def known(self, item: ItemSource) -> EncodedClip | None:
        """The item's clip if nothing need be read for it.

        Raises `OSError` if there is no such file.
        """
        clip = self._cache.known(item_identity(item))
        with self._counting:
            self.hits += clip is not None
        return clip

    def clip(self, item: ItemSource, processor: FavorProcessor) -> EncodedClip:
        """The item's clip, read and encoded if it is not known.

        `processor` must not be in use by another thread. Raises what reading the media raises (`ValueError`,
        `OSError`).
        """
        known = True

        def encode() -> EncodedClip:
            nonlocal known
            known = False
            inputs, _ = processor.media_inputs([processor.load_item(item, **self.media_options)])
            with self._encoders:
                return EncodedClip(self.backbone.clip_states(inputs), processor.item_summaries(inputs)[0])

        clip = self._cache.get(item_identity(item), encode)
        with self._counting:
            self.hits += known
            self.misses += not known
        return clip

    def embeddings(self, item: ItemSource, clip: EncodedClip, processor: FavorProcessor) -> torch.Tensor:
        """(tokens, text width): what replaces the item's placeholders."""
        ids = self._instruction_ids(item.instruction, processor) if clip.states.pictures is not None else None
        key = ("embeddings", item_identity(item), None if ids is None else tuple(ids))
        return self._cache.get(key, lambda: self._connect(clip, ids))

    def _connect(self, clip: EncodedClip, ids: list[int] | None) -> torch.Tensor:
        return self.backbone.clip_embeddings(clip.states, None if ids is None else torch.tensor(ids)).cpu()

    def _instruction_ids(self, instruction: str, processor: FavorProcessor) -> list[int] | None:
        """What the visual Q-Former reads of an instruction; None if it reads nothing."""
        return processor.instruction_ids(instruction) if self.reads_instruction else None
