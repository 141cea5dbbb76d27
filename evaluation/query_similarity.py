# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Cosine similarities among the queries that the connector makes of an item: the paper's figure 5, figure 4's mean."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch

from .sample import EvalSample

MEASURED_SAMPLES = 8  # whose mean similarity is taken
SHOWN_WINDOWS = 4  # of the matrix that is drawn
DECIMALS = 4


def measure_queries(answerer: Any, samples: Iterable[EvalSample]) -> dict[str, Any] | None:
    """Similarities of the first samples with media, or None of a system that has no queries.

    Args:
        answerer: a system with `query_states(sample)`, which returns (windows, queries, width) or None.

    Returns `sample` and `similarity` ((windows * queries) squared, of the first sample's first windows), `queries` a
    window, and `mean_similarity` within windows, between different queries, of `samples` samples.
    """
    states_of = getattr(answerer, "query_states", None)
    if states_of is None:
        return None
    first = list(islice((sample for sample in samples if sample.media), MEASURED_SAMPLES))
    if not first:
        return None
    states = [states_of(sample) for sample in first]
    if any(state is None or state.shape[1] < 2 for state in states):
        return None
    shown = states[0][:SHOWN_WINDOWS].flatten(0, 1)  # (windows * queries, width)
    return {
        "sample": first[0].id,
        "queries": states[0].shape[1],
        "similarity": _rounded(cosine_similarities(shown)),
        "mean_similarity": round(sum(mean_similarity(state) for state in states) / len(states), DECIMALS),
        "samples": len(states),
    }


def cosine_similarities(states: torch.Tensor) -> torch.Tensor:
    """(..., queries, queries) of (..., queries, width)."""
    unit = torch.nn.functional.normalize(states.double(), dim=-1)
    return unit @ unit.mT


def mean_similarity(states: torch.Tensor) -> float:
    """Mean over windows and pairs of different queries of (windows, queries, width); eq. 4 as a mean."""
    similarity = cosine_similarities(states)  # (windows, queries, queries)
    queries = similarity.shape[-1]
    between = similarity.sum() - similarity.diagonal(dim1=-2, dim2=-1).sum()
    return float(between / (len(similarity) * queries * (queries - 1)))


def _rounded(matrix: torch.Tensor) -> list[list[float]]:
    return [[round(value, DECIMALS) for value in row] for row in matrix.tolist()]
