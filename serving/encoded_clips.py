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

from .byte_cache import ByteCache
from .chat_items import ChatItem

PICTURES_A_PASS = 64  # through an encoder, as in FavorModel


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
    summary: Any

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
        qformer = self.backbone.visual_qformer
        reads_visual = getattr(self.backbone.connector, "reads_visual", True)
        self.reads_instruction = reads_visual and getattr(qformer, "reads_instruction", qformer is not None)
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

    def known(self, item: ChatItem) -> EncodedClip | None:
        """The item's clip if nothing need be read for it.

        Raises `OSError` if there is no such file.
        """
        clip = self._cache.known(item.clip())
        with self._counting:
            self.hits += clip is not None
        return clip

    def clip(self, item: ChatItem, processor: Any) -> EncodedClip:
        """The item's clip, read and encoded if it is not known.

        `processor` must not be in use by another thread. Raises what reading the media raises (`ValueError`,
        `OSError`).
        """
        known = True

        def encode() -> EncodedClip:
            nonlocal known
            known = False
            inputs = processor(**item.processor_arguments(), **self.media_options, return_tensors="pt")
            with self._encoders:
                return self._encode(inputs, processor.media_summary(inputs)[0])

        clip = self._cache.get(item.clip(), encode)
        with self._counting:
            self.hits += known
            self.misses += not known
        return clip

    def embeddings(self, item: ChatItem, clip: EncodedClip, processor: Any) -> torch.Tensor:
        """(tokens, text width): what replaces the item's placeholders."""
        ids = self._instruction_ids(item.instruction, processor) if clip.pictures is not None else None
        key = ("embeddings", item.clip(), None if ids is None else tuple(ids))
        return self._cache.get(key, lambda: self._connect(clip, ids))

    @torch.no_grad()
    def _encode(self, inputs: Mapping[str, torch.Tensor], summary: Any) -> EncodedClip:
        pictures = time_steps = audio = None
        device = self.backbone.connector.device
        if "pixel_values_videos" in inputs:
            time_steps = inputs["video_frame_indices"][0]
            pixels = inputs["pixel_values_videos"].to(device)  # (1, F, 3, H, W)
            encode = self._patches if self.reads_instruction else self._frame_vectors
            pictures = encode(pixels).cpu()
        if "input_features" in inputs:
            sound = (inputs[name].to(device) for name in ("input_features", "input_features_mask"))
            audio = self.backbone.encode_audio(*sound)[0][0].cpu()
        return EncodedClip(pictures, time_steps, audio, summary)

    def _frame_vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, F, 3, H, W) to the (F, p, d) that the connector takes."""
        return self.backbone.encode_frames(pixels)[0][0]

    def _patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, F, 3, H, W) to the vision tower's (F, patches, width)."""
        tower = self.backbone.vision_tower
        passes = pixels[0].to(tower.dtype).split(PICTURES_A_PASS)
        return torch.cat([tower(pixel_values=some).last_hidden_state.cpu() for some in passes])

    @torch.no_grad()
    def _connect(self, clip: EncodedClip, ids: list[int] | None) -> torch.Tensor:
        connector = self.backbone.connector
        visual = None
        if clip.pictures is not None:
            vectors = clip.pictures
            if self.reads_instruction:
                passes = vectors.split(PICTURES_A_PASS)
                vectors = torch.cat([self._read(some.to(connector.device), ids) for some in passes])
            vectors = vectors.to(connector.device)  # (F, p, d)
            # No row where the connector reads no pictures.
            visual = vectors[None, clip.time_steps.to(vectors.device)] if len(vectors) else vectors[None]
        audio = None if clip.audio is None else clip.audio[None].to(connector.device)
        fused = connector(visual=visual, audio=audio)
        return fused.embeddings[0, : int(fused.num_tokens[0])].cpu()

    def _read(self, patches: torch.Tensor, ids: list[int] | None) -> torch.Tensor:
        """(pictures, patches, width) to the (pictures, p, d) that the visual Q-Former makes of them and the text."""
        if ids is None:
            return self.backbone.visual_qformer(patches)
        tokens = torch.tensor(ids, device=patches.device).expand(len(patches), -1)  # (pictures, Q)
        return self.backbone.visual_qformer(patches, tokens, torch.ones_like(tokens))

    def _instruction_ids(self, instruction: str, processor: Any) -> list[int] | None:
        """What the visual Q-Former reads of an instruction; None if it reads nothing."""
        if not self.reads_instruction or processor.qformer_tokenizer is None:
            return None
        return processor.instruction_ids(instruction)
