# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a server of FAVOR is started with: our options in vLLM's `--mm-processor-kwargs`, and checks of the model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from vllm.config import ModelConfig, VllmConfig
from vllm.model_executor.models import ModelRegistry
from vllm.model_executor.models.config import VerifyAndUpdateConfig
from vllm.platforms import current_platform

from favor.commands.serve import MEDIA_LIMITS
from favor.processing.media_limits_favor import to_limits

from . import RENDERER_MODE, no_media_connector

MEBIBYTE = 1 << 20
OWN_SOUND = "load_audio_from_video"


@dataclass(frozen=True)
class FavorSettings:
    """Options of `--mm-processor-kwargs`.

    Attributes:
        media_limits: bounds on what a media file may cost, over those of `favor serve` (see `MediaLimits`).
        cache_mb: of clips kept, once as decoded in each API server and once as encoded in each worker.
        media_workers: threads that read media.
        load_audio_from_video: hear a video's own sound where a request does not say.
    """

    media_limits: Mapping[str, float]
    cache_mb: float = 2048
    media_workers: int = min(8, max(4, os.cpu_count() or 1))
    load_audio_from_video: bool = True

    @classmethod
    def of_model(cls, model_config: ModelConfig) -> "FavorSettings":
        """Those that the server was started with.

        Raises:
            ValueError: for an unknown option, or a value that it cannot have.
        """
        given: dict[str, Any] = dict(model_config.get_multimodal_config().mm_processor_kwargs or {})
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(
                f"mm_processor_kwargs has no option {', '.join(unknown)} for FAVOR; it has "
                f"{', '.join(cls.__dataclass_fields__)}."
            )
        limits = {**MEDIA_LIMITS, **given.pop("media_limits", {})}
        to_limits(limits)
        settings = cls(limits, **given)
        if not isinstance(settings.cache_mb, (int, float)) or not settings.cache_mb >= 0:
            raise ValueError(f"mm_processor_kwargs: cache_mb must be 0 or more; got {settings.cache_mb!r}.")
        if not isinstance(settings.media_workers, int) or not settings.media_workers > 0:
            raise ValueError(f"mm_processor_kwargs: media_workers must be positive; got {settings.media_workers!r}.")
        if not isinstance(settings.load_audio_from_video, bool):
            raise ValueError(f"mm_processor_kwargs: {OWN_SOUND} must be true or false.")
        return settings

    @property
    def cache_bytes(self) -> int:
        """The bound of each cache."""
        return int(self.cache_mb * MEBIBYTE)


class FavorVllmConfig(VerifyAndUpdateConfig):
    """vLLM asks this before it loads anything of a FAVOR model."""

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """Chooses our renderer: vLLM's own would fetch addresses, and take users' text for control tokens.

        Raises:
            ValueError: if another is asked for, or an option cannot be honoured.
        """
        if model_config.tokenizer_mode not in ("auto", "hf", RENDERER_MODE):
            raise ValueError(
                f"tokenizer_mode={model_config.tokenizer_mode!r} was asked for, but FAVOR's prompts are made by "
                f"{RENDERER_MODE!r} alone: leave the option out."
            )
        if model_config.allowed_media_domains:
            raise ValueError("allowed_media_domains was given, but media of FAVOR are never fetched: leave it out.")
        if model_config.enable_prompt_embeds:
            raise ValueError("enable_prompt_embeds cannot be had with FAVOR: leave it out.")
        model_config.tokenizer_mode = RENDERER_MODE
        # Some of vLLM's own paths fetch media before any renderer is asked.
        os.environ["VLLM_MEDIA_CONNECTOR"] = no_media_connector.NAME
        FavorSettings.of_model(model_config)
        language_architecture(model_config.hf_config)
        # vLLM's language model reads this off its own part of the config.
        config = model_config.hf_config
        config.text_config.tie_word_embeddings = config.tie_word_embeddings

    @staticmethod
    def verify_and_update_config(vllm_config: VllmConfig) -> None:
        """Refuses a language model that would end the engine at its first request.

        Raises:
            ValueError: if vLLM's attention on a CPU does not know the size of its heads.
        """
        if current_platform.is_cpu():
            check_head_size(vllm_config.model_config.hf_config.text_config)


def language_architecture(config: PreTrainedConfig) -> str:
    """vLLM's name of the language model's class.

    Raises:
        ValueError: if vLLM has no layers of its own for this type. It may run such a model alone, by transformers'
            layers, but not as a part.
    """
    kind = config.text_config.model_type
    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    known = None if name is None else ModelRegistry.models.get(name)
    if known is None or known.module_name.rpartition(".")[2] == "transformers":
        raise ValueError(
            f"text_config is of type {kind!r}, for which vLLM has no layers. Serve this model with `favor serve`."
        )
    return name


def check_head_size(text_config: PreTrainedConfig) -> None:
    """Raises `ValueError` unless vLLM's attention on a CPU knows the size of the language model's heads."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    size = getattr(text_config, "head_dim", None) or text_config.hidden_size // text_config.num_attention_heads
    sizes = CPUAttentionBackend.get_supported_head_sizes()
    if size not in sizes:
        raise ValueError(
            f"The language model's attention heads have {size} numbers; on a CPU vLLM knows "
            f"{', '.join(map(str, sizes))}. Serve this model with `favor serve`, or on a GPU."
        )
