# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""CIDEr-D of captions: similarity of weighted n-grams, as the coco-caption scorer computes what it calls CIDEr."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ..sample import EvalSample
from .caption_tokens import tokenize
from .metric import MeanScore, Statistics

MAX_ORDER = 4
SIGMA = 6.0  # of the penalty on a difference in length, in words
SCALE = 10.0

Ngram = tuple[str, ...]
Vector = list[dict[Ngram, float]]  # a weight an n-gram, one dictionary an order


class CiderD(MeanScore):
    """Mean of the samples' CIDEr-D, from 0 to 10 (a perfect caption scores up to 10, a person's about 0.5 to 1).

    An n-gram counts by how few samples have it in their references, so that the value depends on all samples: of a
    single one it is 0. "CIDEr" in the literature is this variant with clipping and length penalty.
    """

    name = "cider_d"

    def __init__(self, tokenizer: Callable[[str], list[str]] = tokenize):
        self.tokenizer = tokenizer

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Score of each sample, under the document frequencies of all of them."""
        references = [[self._ngrams(text) for text in sample.references] for sample in samples]
        frequencies = Counter(
            ngram for captions in references for ngram in {ngram for counts in captions for ngram in counts}
        )
        documents = math.log(len(samples)) if samples else 0.0
        statistics = []
        for captions, hypothesis in zip(references, hypotheses, strict=True):
            candidate = self._ngrams(hypothesis)
            score = _mean(_similarity(candidate, caption, frequencies, documents) for caption in captions)
            statistics.append({"score": SCALE * score, "n": 1.0})
        return statistics

    def _ngrams(self, text: str) -> Counter[Ngram]:
        words = self.tokenizer(text)
        return Counter(
            tuple(words[start : start + order])
            for order in range(1, MAX_ORDER + 1)
            for start in range(len(words) - order + 1)
        )


def _similarity(
    candidate: Counter[Ngram], reference: Counter[Ngram], frequencies: Counter[Ngram], documents: float
) -> float:
    """Mean over the orders of the clipped cosine, with the Gaussian penalty on the difference in length."""
    first, second = (_weigh(counts, frequencies, documents) for counts in (candidate, reference))
    difference = _length(candidate) - _length(reference)
    penalty = math.exp(-(difference**2) / (2 * SIGMA**2))
    cosines = []
    for weights, others in zip(first, second, strict=True):
        norm = math.hypot(*weights.values()) * math.hypot(*others.values())
        shared = math.fsum(
            min(weight, others[ngram]) * others[ngram] for ngram, weight in weights.items() if ngram in others
        )
        cosines.append(shared / norm if norm else 0.0)
    return penalty * _mean(cosines)


def _weigh(counts: Counter[Ngram], frequencies: Counter[Ngram], documents: float) -> Vector:
    """Counts times inverse document frequency; an n-gram of no reference counts as one of a single one."""
    vector: Vector = [{} for _ in range(MAX_ORDER)]
    for ngram, count in counts.items():
        vector[len(ngram) - 1][ngram] = count * (documents - math.log(max(1, frequencies[ngram])))
    return vector


def _length(counts: Counter[Ngram]) -> int:
    """Number of pairs of words, which the reference scorer takes for the length."""
    return sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else 0.0
