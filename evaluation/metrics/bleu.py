# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""BLEU-1 and BLEU-4 of captions: corpus BLEU of sacreBLEU on coco-caption's tokens, unsmoothed, from 0 to 1."""

import math
from collections.abc import Callable, Mapping, Sequence

from ..sample import EvalSample
from .caption_tokens import tokenize
from .metric import MetricUnavailable, Statistics, TotalMetric

_ORDERS = range(1, 5)


class Bleu(TotalMetric):
    """Corpus BLEU up to n-grams of `order`; brevity by the reference nearest in length.

    sacreBLEU's usual value is another number: it keeps punctuation and case.
    """

    def __init__(self, order: int, tokenizer: Callable[[str], list[str]] = tokenize):
        self.name = f"bleu_{order}"
        self.order = order
        self.tokenizer = tokenizer

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Lengths, and n-grams matched and written.

        Raises:
            MetricUnavailable: without sacrebleu.
        """
        try:
            from sacrebleu.metrics import BLEU
        except ImportError as error:
            raise MetricUnavailable(
                f"{self.name} needs sacrebleu, which is not installed: run `pip install 'favor[eval]'`."
            ) from error
        bleu = BLEU(tokenize="none", smooth_method="none", effective_order=True)
        statistics = []
        for sample, hypothesis in zip(samples, hypotheses, strict=True):
            references = [" ".join(self.tokenizer(reference)) for reference in sample.references]
            score = bleu.sentence_score(" ".join(self.tokenizer(hypothesis)), references)
            row = {"length": float(score.sys_len), "reference_length": float(score.ref_len)}
            for order in _ORDERS:
                row[f"matches_{order}"] = float(score.counts[order - 1])
                row[f"ngrams_{order}"] = float(score.totals[order - 1])
            statistics.append(row)
        return statistics

    def from_totals(self, totals: Mapping[str, float]) -> float:
        """Geometric mean of the precisions times the brevity penalty; 0 if no n-gram of some order is in common."""
        if not totals["reference_length"]:
            return math.nan
        logarithm = 0.0
        for order in range(1, self.order + 1):
            if not totals[f"matches_{order}"]:
                return 0.0
            logarithm += math.log(totals[f"matches_{order}"] / totals[f"ngrams_{order}"])
        brevity = min(0.0, 1 - totals["reference_length"] / totals["length"])
        return math.exp(logarithm / self.order + brevity)
