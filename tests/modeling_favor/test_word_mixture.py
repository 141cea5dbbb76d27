# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Connectors whose outputs are mixtures of the language model's embeddings."""

import pytest
import torch

from favor.modeling_favor import FavorCausalQFormerConfig, FavorForConditionalGeneration
from favor.modeling_favor.word_mixture_favor import NOWHERE, FavorWordMixture

from .test_connector import streams, tiny_connector


def test_outputs_are_means_of_embeddings_weighted_by_their_distance():
    torch.manual_seed(0)
    mixture, words, outputs = FavorWordMixture(7, 10), torch.randn(5, 10), torch.randn(2, 3, 10)
    mixture.fill(words, sharpness=0.7)
    distances = (outputs[..., None, :] - words).square().sum(-1)  # (2, 3, words)
    expected = (-0.7 * distances).softmax(-1) @ words
    torch.testing.assert_close(mixture(outputs), expected, rtol=1e-4, atol=1e-5)
    mixture.fill(words, sharpness=1e3)  # the nearest alone
    torch.testing.assert_close(mixture(outputs), words[distances.argmin(-1)])
    assert mixture(outputs.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mixture(outputs), words[distances.argmin(-1)])


def test_a_fresh_mixture_is_of_random_embeddings_and_learns_nothing_of_its_own():
    connector = tiny_connector(mixture_size=6)
    assert not any("word_mixture" in name for name, _ in connector.named_parameters())
    embeddings = connector.word_mixture.embeddings
    output = connector(**streams([(2, 4)])).embeddings
    assert embeddings.std() > 0 and output.isfinite().all()
    low, high = embeddings.min(0).values, embeddings.max(0).values
    assert ((output >= low - 1e-6) & (output <= high + 1e-6)).all()  # within what is mixed


def test_gradients_pass_through_it():
    connector = tiny_connector(mixture_size=6).train()
    connector(**streams([(2, 4)])).embeddings.square().sum().backward()
    assert connector.language_projection.weight.grad.any()


def test_it_is_saved_and_loaded_with_the_model(tiny_parts, tmp_path):
    model = FavorForConditionalGeneration(
        type(tiny_parts[0].config)(
            **{
                **tiny_parts[0].config.to_dict(),
                "connector_config": {**tiny_parts[0].config.connector_config.to_dict(), "mixture_size": 9},
            }
        )
    )
    mixture = model.model.connector.word_mixture
    mixture.fill(model.get_input_embeddings().weight[3:9], sharpness=2.0)
    model.save_pretrained(tmp_path)
    again = FavorForConditionalGeneration.from_pretrained(tmp_path).model.connector.word_mixture
    for name, value in mixture.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert (again.offsets == NOWHERE).sum() == 3


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ValueError, match="mixture_size is 4, but 5 embeddings are to be mixed: raise it"):
        FavorWordMixture(4, 10).fill(torch.randn(5, 10), 1.0)
    with pytest.raises(ValueError, match="mixture_size must be at least 2"):
        FavorCausalQFormerConfig(mixture_size=1)
