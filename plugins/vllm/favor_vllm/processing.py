# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""vLLM's view of FAVOR's items: each is one item of one modality, whatever is seen or heard of it.

By the time that they come here they are read and prepared (see `renderer`); what is left is to count placeholders and
to hand the tensors to the workers.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import (
    ModalityDataItems,
    MultiModalDataItems,
    MultiModalDataParser,
    ProcessorBatchItems,
)
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)

from favor.modeling_favor import FavorConfig
from favor.modeling_favor.towers_favor import CHUNKS_A_PASS, PICTURES_A_PASS
from favor.processing import FavorProcessor
from favor.processing.items_favor import MediaItem

from .clips import INSTRUCTION, KEY, FavorItem, prepared

MODALITY = "video"  # vLLM knows a few names; an item of any kind goes by this one


class FavorItems(ProcessorBatchItems[FavorItem]):
    """The items of one prompt."""

    def __init__(self, data: Sequence[FavorItem]):
        super().__init__(data, MODALITY)

    def get_item_for_hash(self, index: int) -> Any:
        """Clip and instruction: embeddings of one clip differ by the question where the Q-Former reads it."""
        return self.get(index).identity


class FavorDataParser(MultiModalDataParser):
    """Takes what our renderer made, and nothing else."""

    def _parse_video_data(self, data: Any) -> ModalityDataItems[Any, Any]:
        if not all(isinstance(item, FavorItem) for item in data):
            raise ValueError("Media of FAVOR go through its renderer: use LLM.chat, LLM.generate or the HTTP API.")
        return FavorItems(data)


class FavorProcessingInfo(BaseProcessingInfo):
    """What vLLM asks about the model's items before there are any."""

    @cached_property
    def processor(self) -> FavorProcessor:
        """The model's own."""
        config = self.ctx.model_config
        return FavorProcessor.from_pretrained(config.model, revision=config.revision)

    def get_hf_config(self) -> FavorConfig:
        """The model's config."""
        return self.ctx.get_hf_config(FavorConfig)

    def get_hf_processor(self, **kwargs: object) -> FavorProcessor:
        """The processor; options of a request are the renderer's, and change nothing here."""
        return self.processor

    def get_supported_mm_processor_kwargs(self) -> dict[str, set[str]]:
        """None that a request may choose: see `settings`."""
        return {}

    def get_data_parser(self) -> MultiModalDataParser:
        """See `FavorDataParser`."""
        return FavorDataParser()

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of items, of any kind."""
        return {MODALITY: None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        """An item may fill the whole prompt."""
        return {MODALITY: seq_len}


class FavorDummyInputs(BaseDummyInputsBuilder[FavorProcessingInfo]):
    """The item by which vLLM measures memory: as much as goes through an encoder at a time, as far as it fits."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One placeholder for each item."""
        return self.info.processor.video_token * mm_counts.get(MODALITY, 0)

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> dict[str, Any]:
        """A black, silent video."""
        count = mm_counts.get(MODALITY, 0)
        return {MODALITY: [self._item(seq_len)] * count} if count else {}

    def _item(self, seq_len: int) -> FavorItem:
        processor = self.info.processor
        extractor = processor.feature_extractor
        longest = int(CHUNKS_A_PASS * extractor.chunk_length * processor.frame_rate)
        per_frame = processor.audio_vectors_per_frame()
        steps = longest
        while steps > 1 and processor.query_token_count(steps, steps * per_frame) > seq_len:
            steps //= 2
        size = processor.video_processor.checked_size(None)
        pictures = min(steps, PICTURES_A_PASS)
        frames = np.zeros((pictures, size["height"], size["width"], 3), dtype=np.uint8)
        sound = np.zeros(int(steps / processor.frame_rate * extractor.sampling_rate), dtype=np.float32)
        media = MediaItem(frames, [step % pictures for step in range(steps)], sound)
        clip = prepared(b"\0" * 32, media, processor, self.info.ctx.model_config.dtype)
        return FavorItem(clip, tuple(processor.instruction_ids("What is it?") or ()) or None)


class FavorMultiModalProcessor(BaseMultiModalProcessor[FavorProcessingInfo]):
    """Prepared items to the tensors of each, and one placeholder of each to as many as it has tokens."""

    def _apply_hf_processor_main(self, mm_items: MultiModalDataItems, hf_kwargs: Mapping[str, object]) -> BatchFeature:
        items: list[FavorItem] = list(mm_items[MODALITY]) if MODALITY in mm_items else []
        if not items:
            return BatchFeature()
        data = {name: [item.clip.tensors[name] for item in items] for name in items[0].clip.tensors}
        data[KEY] = [torch.frombuffer(bytearray(item.clip.key), dtype=torch.uint8) for item in items]
        data[INSTRUCTION] = [torch.tensor(item.instruction or (), dtype=torch.int64) for item in items]
        return BatchFeature(data)

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        # The encoders take them pass by pass, and a clip that the worker knows is not looked at.
        return {name: MultiModalFieldConfig.batched(MODALITY, keep_on_cpu=True) for name in hf_inputs}

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        token = self.info.processor.video_token_id
        return [
            PromptReplacement(
                modality=MODALITY,
                target=[token],
                replacement=lambda index: [token] * mm_items[MODALITY][index].clip.tokens,
            )
        ]
