# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Cosine similarities among the queries that the connector makes of an item: the paper's figure 5, figure 4's mean."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .json_fields import Fields, JsonObject, read_json
from .sample import EvalSample

if TYPE_CHECKING:
    from .answerer import Answerer

MEASURED_SAMPLES = 8  # whose mean similarity is taken
SHOWN_WINDOWS = 4  # of the matrix that is drawn
DECIMALS = 4


@dataclass(frozen=True)
class QuerySimilarity:
    """How alike the queries of a task's first samples are.

    Attributes:
        sample: id of the sample that is drawn.
        queries: how many a window has.
        similarity: (windows * queries) rows of as many values, of that sample's first windows.
        mean_similarity: within windows, between different queries, over `samples` samples.
    """

    sample: str
    queries: int
    similarity: list[list[float]]
    mean_similarity: float
    samples: int

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def read(cls, fields: Fields) -> "QuerySimilarity":
        mean = fields.optional_number("mean_similarity")
        if mean is None:
            raise ValueError(f"{fields.where('mean_similarity')} is missing; it must be a number.")
        rows = fields.list_of("similarity", list, "a list of rows")
        return cls(fields.text("sample"), fields.count("queries"), rows, mean, fields.count("samples"))


def measure_queries(answerer: "Answerer", samples: Iterable[EvalSample]) -> QuerySimilarity | None:
    """Similarities of the first samples with media; None of a system that has no queries, or fewer than two."""
    first = islice((sample for sample in samples if sample.media), MEASURED_SAMPLES)
    ids, states = [], []
    for sample in first:
        state = answerer.query_states(sample)
        if state is None or state.shape[1] < 2:
            return None
        ids.append(sample.id)
        states.append(state)
    if not states:
        return None
    shown = states[0][:SHOWN_WINDOWS].flatten(0, 1)  # (windows * queries, width)
    return QuerySimilarity(
        sample=ids[0],
        queries=states[0].shape[1],
        similarity=_rounded(cosine_similarities(shown)),
        mean_similarity=round(sum(mean_similarity(state) for state in states) / len(states), DECIMALS),
        samples=len(states),
    )


def queries_path(out_dir: Path, task: str) -> Path:
    """Where the similarities of the queries of a task are kept; the file says null for a system without."""
    return out_dir / f"{task}.queries.json"


def read_queries(out_dir: Path, task: str) -> QuerySimilarity | None:
    """The similarities of a task's queries that a run left; None of a system without, or a model shown no media."""
    path = queries_path(out_dir, task)
    content = read_json(path) if path.is_file() else None
    return None if content is None else QuerySimilarity.read(Fields(content, path))


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
