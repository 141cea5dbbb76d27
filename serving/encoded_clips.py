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

from favor.processing import FavorProcessor, MediaSummary
from favor.processing.items_favor import ItemSource

from .byte_cache import ByteCache
from .chat_items import item_identity


@dataclass(frozen=True)
class EncodedClip:
    """
    One item as far as no question changes it.

    Attributes:
        pictures: (F, patches, width) or, of a model whose Q-Former reads no instruction, (F, p, d); None without.
        time_steps: (T,) the row of `pictures` that shows in each synchronised frame.
        audio: (S, A) audio tower states; None without sound.
        summary: the processor's `MediaSummary`.
    """

    pictures: torch.Tensor | None
    time_steps: torch.Tensor | None
    audio: torch.Tensor | None
    summary: MediaSummary

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(states.nbytes for states in (self.pictures, self.time_steps, self.audio) if states is not None)


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
                return self._encode(inputs, processor.item_summaries(inputs)[0])

        clip = self._cache.get(item_identity(item), encode)
        with self._counting:
            self.hits += known
            self.misses += not known
        return clip

    def embeddings(self, item: ItemSource, clip: EncodedClip, processor: FavorProcessor) -> torch.Tensor:
        """(tokens, text width): what replaces the item's placeholders."""
        ids = self._instruction_ids(item.instruction, processor) if clip.pictures is not None else None
        key = ("embeddings", item_identity(item), None if ids is None else tuple(ids))
        return self._cache.get(key, lambda: self._connect(clip, ids))

    @torch.no_grad()
    def _encode(self, inputs: Mapping[str, torch.Tensor], summary: MediaSummary) -> EncodedClip:
        pictures = time_steps = audio = None
        device = self.backbone.connector.device
        if "pixel_values_videos" in inputs:
            time_steps = inputs["video_frame_indices"][0]
            pixels = inputs["pixel_values_videos"][0]  # (F, 3, H, W)
            if self.reads_instruction:
                pictures = self.backbone.picture_patches(pixels, kept_on="cpu")
            else:
                pictures = self._frame_vectors(pixels.to(device)).cpu()
        if "input_features" in inputs:
            sound = (inputs[name].to(device) for name in ("input_features", "input_features_mask"))
            audio = self.backbone.encode_audio(*sound)[0][0].cpu()
        return EncodedClip(pictures, time_steps, audio, summary)

    def _frame_vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """(F, 3, H, W) to the (F, p, d) that the connector takes; no row where it reads no pictures."""
        return self.backbone.encode_frames(pixels[None])[0][0]

    @torch.no_grad()
    def _connect(self, clip: EncodedClip, ids: list[int] | None) -> torch.Tensor:
        connector = self.backbone.connector
        visual = None
        if clip.pictures is not None:
            vectors = clip.pictures
            if self.reads_instruction:
                vectors = self.backbone.picture_vectors(vectors, None if ids is None else torch.tensor([ids]))
            vectors = vectors.to(connector.device)  # (F, p, d)
            # No row where the connector reads no pictures.
            visual = vectors[None, clip.time_steps.to(vectors.device)] if len(vectors) else vectors[None]
        audio = None if clip.audio is None else clip.audio[None].to(connector.device)
        fused = connector(visual=visual, audio=audio)
        return fused.embeddings[0, : int(fused.num_tokens[0])].cpu()

    def _instruction_ids(self, instruction: str, processor: FavorProcessor) -> list[int] | None:
        """What the visual Q-Former reads of an instruction; None if it reads nothing."""
        return processor.instruction_ids(instruction) if self.reads_instruction else None
