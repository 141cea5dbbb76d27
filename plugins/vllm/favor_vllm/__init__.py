# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR for vLLM: with this distribution installed, `vllm serve` and `LLM` take FAVOR's model folders."""

ARCHITECTURE = "FavorForConditionalGeneration"
RENDERER_MODE = "favor"  # vLLM's `tokenizer_mode`, by which it chooses who turns messages into prompts


def register() -> None:
    """Tells vLLM of FAVOR; the entry point `vllm.general_plugins`, run in every process, perhaps several times."""
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    import favor.modeling_favor  # noqa: F401  # transformers' auto classes know its config from here on

    from .settings import FavorVllmConfig

    if RENDERER_MODE in RENDERER_REGISTRY.renderers:
        return
    ModelRegistry.register_model(ARCHITECTURE, f"favor_vllm.model:{ARCHITECTURE}")
    MODELS_CONFIG_MAP[ARCHITECTURE] = FavorVllmConfig
    TokenizerRegistry.register(RENDERER_MODE, "vllm.tokenizers.hf", "CachedHfTokenizer")
    RENDERER_REGISTRY.register(RENDERER_MODE, "favor_vllm.renderer", "FavorRenderer")
