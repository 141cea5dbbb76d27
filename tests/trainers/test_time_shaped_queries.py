# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Queries that begin in time order look where they should, in another direction for every seed."""

import pytest
import torch

from favor.modeling_favor import FavorCausalQFormerConfig, FavorConnector, FavorProjectorConfig
from favor.modeling_favor.projector_favor import FavorProjector
from favor.trainers.time_shaped_queries import SHAPED_HEADS, place_moments, shape_queries_in_time


def small(**changes) -> FavorConnector:
    """A connector of a real one's proportions: 12 queries for a second of 50 vectors."""
    torch.manual_seed(0)
    values = {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 128, "stream_size": 64}
    values |= {"num_query_tokens": 12, "max_position_embeddings": 128, "window_frames": 2}
    values |= {"visual_vectors_per_frame": 9, "audio_vectors_per_frame": 25, "audio_hidden_size": 24}
    values |= {"visual_hidden_size": 24, "text_hidden_size": 16}
    config = FavorCausalQFormerConfig(**{**values, **changes}, attn_implementation="eager")
    return FavorConnector(config).eval()


def attention(connector: FavorConnector) -> torch.Tensor:
    """(layers, heads, queries, places) of two windows of noise that is heard."""
    torch.manual_seed(1)
    features = torch.randn(2, connector.config.window_frames, 25, connector.config.feature_size)
    mask = torch.ones(2, connector.config.window_frames, dtype=torch.bool)
    with torch.no_grad():
        output = connector.causal_qformer(features, mask, output_attentions=True)
    return torch.stack(output.cross_attentions).mean(1)


@pytest.mark.parametrize("changes", [{}, {"num_query_tokens": 25, "hidden_size": 256}, {"window_frames": 1}])
def test_each_query_begins_on_its_own_stretch(changes):
    connector = small(**changes)
    queries = connector.config.num_query_tokens
    before = attention(connector)
    shape_queries_in_time(connector, 0)
    weights = attention(connector)
    shaped = int(SHAPED_HEADS * connector.config.num_attention_heads)
    moments = place_moments(connector.config)
    middles = (torch.arange(queries) + 0.5) / queries
    centres = weights[:, :shaped] @ moments
    assert (centres - middles).abs().max() < 1.2 / queries  # at the ends half of the bell is cut off
    near = (moments - middles[:, None]).abs() <= 1.0 / queries  # its stretch and half of each neighbour's
    assert (weights[:, :shaped] * near).sum(-1).min() > 0.8
    # The other heads, and queries as they begin in the paper, see the whole window.
    for broad in (weights[:, shaped:], before):
        assert (broad * near).sum(-1).max() < 0.5


def test_moments_of_sound_and_of_patches():
    config = small(window_frames=1, visual_vectors_per_frame=49, audio_vectors_per_frame=50).config
    assert place_moments(config).tolist() == pytest.approx([(place + 0.5) / 50 for place in range(50)])
    config = small(visual_vectors_per_frame=30).config  # in each of two frames 5 patches more than sounds
    moments = place_moments(config)
    assert len(moments) == 60 and moments[:25].tolist() == pytest.approx([(p + 0.5) / 50 for p in range(25)])
    assert (moments[:30] < 0.5).all() and (moments[30:] > 0.5).all()


def test_seeds_choose_directions_and_nothing_else_changes():
    first, again, other = small(), small(), small()
    untouched = {name: value.clone() for name, value in first.state_dict().items()}
    shape_queries_in_time(first, 0)
    shape_queries_in_time(again, 0)
    shape_queries_in_time(other, 1)
    changed = {name for name, value in first.state_dict().items() if not torch.equal(value, untouched[name])}
    parts = ("query_tokens", "position_embedding.weight")
    heads = [f"layers.{n}.cross_attention.{name}.weight" for n in (0, 1) for name in ("query", "key")]
    assert changed == {f"causal_qformer.{name}" for name in (*parts, *heads)}
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.causal_qformer.query_tokens, other.causal_qformer.query_tokens)


def test_what_has_no_stretches_is_refused():
    with pytest.raises(ValueError, match="set window_frames, now null"):
        shape_queries_in_time(small(window_frames=None), 0)
    projector = FavorProjector(FavorProjectorConfig(visual_hidden_size=8, audio_hidden_size=8, text_hidden_size=8))
    with pytest.raises(ValueError, match="FavorProjector, which has none"):
        shape_queries_in_time(projector, 0)
