# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the two rooms of remote code each hold, because they may not import each other, is the same."""

import pytest
import torch
from transformers import SpeechT5Config

from favor.modeling_favor import connectors_favor, towers_favor
from favor.processing import query_tokens_favor

from .modeling_favor.tiny_models import tiny_config


def test_every_connector_is_in_both_tables():
    counted = {f"favor_{name}" for name in query_tokens_favor.CONNECTORS}
    assert counted == set(connectors_favor.CONNECTORS)
    for model_type, kind in connectors_favor.CONNECTORS.items():
        assert kind.config_class.model_type == model_type
        assert kind.connector_class.config_class is kind.config_class


@pytest.mark.parametrize("stride", [1, 2, 4, 7])
def test_vectors_of_a_sound_are_counted_alike(stride):
    frames = torch.arange(50)
    expected = [-(-count // stride) for count in range(50)]
    assert towers_favor.audio_vectors(frames, stride).tolist() == expected
    assert query_tokens_favor.audio_vectors(frames, stride).tolist() == expected
    assert [query_tokens_favor.audio_vectors(count, stride) for count in range(50)] == expected


def test_kinds_that_nobody_knows_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'speecht5'; an audio encoder is one of whisper, wav2vec2"):
        towers_favor.build_audio_tower(SpeechT5Config())
    with pytest.raises(ValueError, match="'favor_x'; a connector is one of favor_causal_qformer, favor_projector"):
        tiny_config({"model_type": "favor_x"})
    with pytest.raises(ValueError, match="connector='x' is none of causal_qformer, projector"):
        query_tokens_favor.connector_tokens({"connector": "x"})
