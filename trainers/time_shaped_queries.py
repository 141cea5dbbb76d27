# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Start values by which each query of a fresh causal Q-Former reads its own stretch of the window.

Queries that begin alike, as the paper's do, first have to learn where to look. A language model that can read tells
them; a loss that wants words in their order (see `connector_alignment.py`) is far sooner met from queries that are
already in order.
"""

import math

import torch
from torch import nn

from favor.modeling_favor import FavorCausalQFormerConfig, FavorConnector

POSITION_NORM = 8.0  # of a place's code beside a normalised vector, whose components are about 1
SHARPNESS = 8.0  # score of a query at the middle of its stretch above that far away
SHAPED_HEADS = 0.5  # of the cross-attention's; the others begin as usual and see the whole window


@torch.no_grad()
def shape_queries_in_time(connector: nn.Module, seed: int) -> None:
    """Overwrites query tokens, position table and half of each cross-attention's heads.

    Query n of N begins with its attention on the vectors of the n-th of N equal stretches of a window; of a still, on
    the n-th stretch of its patches in row order. The code of a moment t (0 to 1 over the window) is a row of
    cosines and sines whose products fall with the distance in time as a bell of width 1 / N.

    Args:
        connector: a fresh [`FavorConnector`] with windows.
        seed: of the directions in which the codes stand.

    Raises `ValueError` for another connector, and for one without windows, which have no stretches to share out.
    """
    if not isinstance(connector, FavorConnector):
        raise ValueError(
            f"time_shaped_queries places the queries of a causal Q-Former, but the connector is a "
            f"{type(connector).__name__}, which has none: leave it out."
        )
    config, qformer = connector.config, connector.causal_qformer
    if config.window_frames is None:
        raise ValueError("time_shaped_queries shares out a window among its queries: set window_frames, now null.")
    head_size = config.hidden_size // config.num_attention_heads
    harmonics = head_size // 2
    codes = 2 * harmonics
    generator = torch.Generator().manual_seed(seed)
    query_axes = random_axes(config.hidden_size, codes, generator)
    feature_axes = random_axes(config.feature_size, codes, generator)
    middles = (torch.arange(config.num_query_tokens) + 0.5) / config.num_query_tokens
    queries = math.sqrt(config.hidden_size) * time_code(middles, harmonics, config.num_query_tokens) @ query_axes.T
    moments = place_moments(config)
    places = POSITION_NORM * time_code(moments, harmonics, config.num_query_tokens) @ feature_axes.T
    qformer.query_tokens[0] = queries.to(qformer.query_tokens)
    qformer.position_embedding.weight[: len(places)] = places.to(qformer.position_embedding.weight)
    scale = SHARPNESS * math.sqrt(head_size) / (math.sqrt(config.hidden_size) * POSITION_NORM)
    for layer in qformer.layers:
        attention = layer.cross_attention
        for head in range(math.ceil(SHAPED_HEADS * config.num_attention_heads)):
            rows = slice(head * head_size, head * head_size + codes)
            attention.query.weight[rows] += (math.sqrt(scale) * query_axes.T).to(attention.query.weight)
            attention.key.weight[rows] += (math.sqrt(scale) * feature_axes.T).to(attention.key.weight)


def place_moments(config: FavorCausalQFormerConfig) -> torch.Tensor:
    """(places,) when each vector of a window is, from 0 to 1: that of its sound, or its share of the frame's patches.

    A frame has `vectors_per_frame` places, of which sound fills the first `audio_vectors_per_frame`.
    """
    frames, vectors = config.window_frames or 1, config.vectors_per_frame
    place = torch.arange(vectors)
    heard = place < config.audio_vectors_per_frame
    within = torch.where(heard, (place + 0.5) / config.audio_vectors_per_frame, (place + 0.5) / vectors)
    return ((torch.arange(frames)[:, None] + within) / frames).flatten()[: config.max_position_embeddings]


def time_code(moments: torch.Tensor, harmonics: int, queries: int) -> torch.Tensor:
    """(moments,) to (moments, 2 * harmonics), rows of length 1 whose products are a bell of width 1 / `queries`.

    As narrow as so many harmonics of two windows' length can make it.
    """
    frequency = torch.arange(harmonics) / 2  # cycles in a window: none returns within it
    width = max(1 / queries, 1 / (math.pi * max(float(frequency[-1]), 0.5)))
    power = torch.exp(-2 * (math.pi * frequency * width) ** 2)
    power[0] /= 2
    angles = 2 * math.pi * frequency * moments[:, None]
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    return waves * (power / power.sum()).sqrt().repeat(2)


def random_axes(size: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """(size, count) orthonormal columns."""
    return torch.linalg.qr(torch.randn(size, count, generator=generator)).Q


__all__ = ["shape_queries_in_time"]
