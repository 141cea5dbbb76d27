# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is refused before an engine starts, by name."""

import pytest
from checkpoints import CHECKPOINTS
from favor_vllm import register
from favor_vllm.http_guard import RequestGuard
from favor_vllm.settings import FavorSettings, check_head_size, language_architecture
from vllm.config import ModelConfig

from favor import FavorConfig
from favor.commands.serve import MEDIA_LIMITS

register()


def config_of(folder, **options) -> ModelConfig:
    return ModelConfig(model=str(folder), dtype="float32", **options)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_folder_is_enough(checkpoint_dir, name):
    config = config_of(checkpoint_dir(name))
    assert config.tokenizer_mode == "favor"
    assert config.is_multimodal_model and config.get_head_size() == 32
    assert dict(FavorSettings.of_model(config).media_limits) == MEDIA_LIMITS


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"tokenizer_mode": "mistral"}, "tokenizer_mode"),
        ({"enable_prompt_embeds": True}, "enable_prompt_embeds"),
        ({"allowed_media_domains": ["example.org"]}, "allowed_media_domains"),
        ({"mm_processor_kwargs": {"fps": 1}}, "fps"),
        ({"mm_processor_kwargs": {"cache_mb": -1}}, "cache_mb"),
        ({"mm_processor_kwargs": {"media_workers": 0}}, "media_workers"),
        ({"mm_processor_kwargs": {"load_audio_from_video": "yes"}}, "load_audio_from_video"),
        ({"mm_processor_kwargs": {"media_limits": {"max_seconds": 1}}}, "max_seconds"),
        ({"mm_processor_kwargs": {"media_limits": {"max_duration": 0}}}, "max_duration"),
    ],
)
def test_options_that_cannot_be_honoured(checkpoint_dir, options, reason):
    with pytest.raises(ValueError, match=reason):
        config_of(checkpoint_dir("llama"), **options)


def test_bounds_of_ones_own_go_over_those_of_favor_serve(checkpoint_dir):
    given = {"media_limits": {"max_duration": 5.0}, "cache_mb": 1}
    settings = FavorSettings.of_model(config_of(checkpoint_dir("llama"), mm_processor_kwargs=given))
    assert settings.media_limits == {**MEDIA_LIMITS, "max_duration": 5.0}
    assert settings.cache_bytes == 1 << 20


def test_vllms_own_ways_to_media_open_nothing(checkpoint_dir):
    import vllm.envs as envs
    from vllm.exceptions import VLLMValidationError
    from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY

    config_of(checkpoint_dir("llama"))
    connector = MEDIA_CONNECTOR_REGISTRY.load(envs.VLLM_MEDIA_CONNECTOR, media_io_kwargs=None)
    for kind in ("video", "audio", "image"):
        with pytest.raises(VLLMValidationError, match="chat/completions"):
            getattr(connector, f"fetch_{kind}")("http://127.0.0.1:9/a")


def test_heads_that_vllm_does_not_know_on_a_cpu():
    text = {"model_type": "llama", "hidden_size": 144, "num_attention_heads": 4, "num_hidden_layers": 1}
    with pytest.raises(ValueError, match="have 36 numbers"):
        check_head_size(FavorConfig(text_config=text).text_config)


@pytest.mark.parametrize("kind", ["xglm", "phi", "gpt_neox"])  # phi, gpt_neox: by transformers' layers alone
def test_a_language_model_for_which_vllm_has_no_layers(kind):
    with pytest.raises(ValueError, match=f"'{kind}'"):
        language_architecture(FavorConfig(text_config={"model_type": kind}))


@pytest.mark.parametrize("given", ["0", "-1", "much", "nan"])
def test_the_bound_of_a_body_is_a_number(monkeypatch, given):
    monkeypatch.setenv("FAVOR_MAX_BODY_MB", given)
    with pytest.raises(ValueError, match="FAVOR_MAX_BODY_MB"):
        RequestGuard(None)
