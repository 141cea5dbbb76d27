# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""METEOR 1.5 of captions, by the Java program of its authors (inside pycocoevalcap), on PTB tokens."""

import math
from collections.abc import Mapping, Sequence

from ..sample import EvalSample
from .caption_tokens import tokenize_ptb
from .java import jar, run_java
from .metric import MetricUnavailable, Statistics, TotalMetric

# METEOR 1.5's parameters for English.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
MODULE_WEIGHTS = {"exact": 1.0, "stem": 0.6, "synonym": 0.8, "paraphrase": 0.6}
_KEYS = (
    ("length", "reference_length", "function_words", "reference_function_words")
    + tuple(
        f"{module}_{side}"
        for module in MODULE_WEIGHTS
        for side in ("content", "reference_content", "function", "reference_function")
    )
    + ("chunks", "matched_words", "reference_matched_words")
)


class Meteor(TotalMetric):
    """Corpus METEOR from 0 to 1: the score of the added-up matches of all samples, not the mean of their scores.

    The program aligns; the score of what it returns is computed here, so that samples can be drawn anew without it.
    """

    name = "meteor"

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Lengths, matches of each kind and chunks, against the reference that scores best.

        Raises:
            MetricUnavailable: without Java or pycocoevalcap.
        """
        texts = [*hypotheses, *(reference for sample in samples for reference in sample.references)]
        tokens = [_sentence(words) for words in tokenize_ptb(texts)] if texts else []
        lines, position = [], len(hypotheses)
        for sample, hypothesis in zip(samples, tokens, strict=False):
            references = tokens[position : position + len(sample.references)]
            position += len(sample.references)
            lines.append(f"SCORE ||| {' ||| '.join(references)} ||| {hypothesis}\n")
        arguments = ["-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar(self.name, "meteor/meteor-1.5.jar"))]
        jar(self.name, "meteor/data/paraphrase-en.gz")
        output = run_java(
            self.name, [*arguments, "-", "-", "-stdio", "-l", "en", "-norm"], "".join(lines)
        ).splitlines()
        if len(output) != len(samples):
            raise MetricUnavailable(f"meteor failed: {len(output)} lines came back for {len(samples)} captions.")
        return [_read(line) for line in output]

    def from_totals(self, totals: Mapping[str, float]) -> float:
        """Weighted harmonic mean of precision and recall of the matches, less a penalty for every break in order."""
        if not totals["reference_length"]:
            return math.nan
        precision = _matches(totals, "") / _weight(totals, "") if totals["length"] else 0.0
        recall = _matches(totals, "reference_") / _weight(totals, "reference_")
        if not precision or not recall:
            return 0.0
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        matched = (totals["matched_words"] + totals["reference_matched_words"]) / 2
        fragments = totals["chunks"] / matched
        return mean * (1 - GAMMA * fragments**BETA)


def _sentence(words: list[str]) -> str:
    """A line without the separator of METEOR's fields."""
    return " ".join(words).replace("|||", "")


def _read(line: str) -> Statistics:
    try:
        numbers = [float(number) for number in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != len(_KEYS):
        raise MetricUnavailable(f"meteor failed: it returned {line[:200]!r} instead of {len(_KEYS)} numbers.")
    row = dict(zip(_KEYS, numbers, strict=True))
    complete = row["matched_words"] == row["length"] and row["reference_matched_words"] == row["reference_length"]
    if complete and row["chunks"] == 1:
        row["chunks"] = 0.0  # a caption that matches as a whole has no break; METEOR adds it up so, too
    return row


def _matches(totals: Mapping[str, float], side: str) -> float:
    """Words matched, content words by DELTA, function words by the rest, and each kind of match by its weight."""
    return math.fsum(
        weight * (DELTA * totals[f"{module}_{side}content"] + (1 - DELTA) * totals[f"{module}_{side}function"])
        for module, weight in MODULE_WEIGHTS.items()
    )


def _weight(totals: Mapping[str, float], side: str) -> float:
    """Words in all, weighed alike."""
    function_words = totals[f"{side}function_words"]
    return DELTA * (totals[f"{side}length"] - function_words) + (1 - DELTA) * function_words
