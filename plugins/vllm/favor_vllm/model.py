# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR on vLLM's layers: our encoders and connector around a language model that vLLM runs."""

from collections.abc import Iterable, Iterator

import torch
from torch import nn
from transformers.initialization import no_init_weights
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import (
    MultiModalEmbeddings,
    SupportsLoRA,
    SupportsMultiModal,
    SupportsPP,
)
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    WeightsMapper,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.sequence import IntermediateTensors
from vllm.tokenizers.registry import cached_tokenizer_from_config

from favor.modeling_favor import FavorConfig
from favor.modeling_favor.clip_states_favor import FavorMediaEncoder
from favor.processing.media_names_favor import PLACEHOLDERS
from favor.serving.byte_cache import ByteCache

from .clips import EMPTY, INSTRUCTION, KEY
from .processing import FavorDummyInputs, FavorMultiModalProcessor, FavorProcessingInfo
from .settings import FavorSettings, language_architecture


@MULTIMODAL_REGISTRY.register_processor(
    FavorMultiModalProcessor, info=FavorProcessingInfo, dummy_inputs=FavorDummyInputs
)
class FavorForConditionalGeneration(nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):
    """One process's part of the model. The encoders are whole in each; the language model is split as vLLM is told.

    Attributes:
        encoders: the [`FavorMediaEncoder`].
        clips: states of clips that were encoded, by their key. A new question about one costs the visual Q-Former
            and the connector; one that vLLM's own caches know costs nothing.
    """

    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.language_model.": "language_model.model.",
            "lm_head.": "language_model.lm_head.",
            "model.": "encoders.",
        }
    )

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        super().__init__()
        model_config = vllm_config.model_config
        config: FavorConfig = model_config.hf_config
        self.config = config
        with self._mark_tower_model(vllm_config, "video"), no_init_weights():
            # In vLLM's dtype: the parts' configs may name that of their checkpoint.
            self.encoders = FavorMediaEncoder._from_config(config).eval().to(model_config.dtype)
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=[language_architecture(config)],
            )
        check_language_model(self.language_model)
        self.packed_modules_mapping = getattr(self.language_model, "packed_modules_mapping", {})
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors
        self.clips = ByteCache(FavorSettings.of_model(model_config).cache_bytes)
        self._never = never_said(config, cached_tokenizer_from_config(model_config))
        self.configure_mm_token_handling(config.text_config.vocab_size, [config.video_token_id])

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """Where an item of vLLM's own clients goes."""
        return PLACEHOLDERS.get(modality)

    def get_mm_mapping(self) -> MultiModelKeys:
        """What LoRA adapters may name: the language model."""
        return MultiModelKeys.from_string_field(
            language_model="language_model.",
            connector="encoders.connector.",
            tower_model=["encoders.vision_tower.", "encoders.visual_qformer.", "encoders.audio_tower."],
        )

    @torch.inference_mode()
    def embed_multimodal(self, **kwargs: torch.Tensor | list[torch.Tensor]) -> MultiModalEmbeddings:
        """(tokens, text width) of each item; one by one, so that none depends on its neighbours."""
        count = len(kwargs[KEY]) if KEY in kwargs else 0
        return [self._embed({name: rows[item] for name, rows in kwargs.items()}) for item in range(count)]

    def _embed(self, item: dict[str, torch.Tensor]) -> torch.Tensor:
        def encode():
            return self.encoders.clip_states({name: item[name][None] for name in EMPTY if len(item[name])})

        states = self.clips.get(item[KEY].numpy().tobytes(), encode)
        ids = item[INSTRUCTION]
        return self.encoders.clip_embeddings(states, ids if len(ids) else None)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: object,
    ) -> torch.Tensor | IntermediateTensors:
        """The language model's hidden states."""
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model(input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """The language model's, but no answer holds a placeholder: the next step would take it for an item."""
        logits = self.language_model.compute_logits(hidden_states)
        if logits is not None:
            logits[..., [token for token in self._never if token < logits.shape[-1]]] = float("-inf")
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """From FAVOR's own names. Raises `ValueError` if embeddings that the connector mixes are missing."""
        mixed = mixed_embeddings(self.encoders)
        loaded: set[str] = set()

        def parameters() -> Iterator[tuple[str, torch.Tensor]]:
            for name, weight in weights:
                if name in mixed:
                    mixed[name].copy_(weight)
                    loaded.add(name)
                else:
                    yield name, weight

        names = AutoWeightsLoader(self).load_weights(parameters(), mapper=self.hf_to_vllm_mapper)
        if missing := sorted(mixed.keys() - loaded):
            raise ValueError(f"The checkpoint has no {', '.join(missing)}: export the model again.")
        return names


def mixed_embeddings(encoders: FavorMediaEncoder) -> dict[str, torch.Tensor]:
    """By FAVOR's names, what a connector with `mixture_size` mixes: no parameters, which alone vLLM's loader takes."""
    mixture = getattr(encoders.connector, "word_mixture", None)
    if mixture is None:
        return {}
    return {f"model.connector.word_mixture.{name}": buffer for name, buffer in mixture.named_buffers()}


def check_language_model(model: nn.Module) -> None:
    """Raises `ValueError` for a language model that needs more of vLLM than attention, or is built in another way."""
    if getattr(type(model), "is_hybrid", False) or not hasattr(model, "model"):
        raise ValueError(
            f"vLLM's {type(model).__name__} does not run within FAVOR. Serve this model with `favor serve`."
        )


def never_said(config: FavorConfig, tokenizer) -> list[int]:
    """The placeholders' tokens, which stand for media and are no text."""
    if tokenizer is None:
        return [config.video_token_id]
    return sorted({config.video_token_id, *tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))})
