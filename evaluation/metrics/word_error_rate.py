# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Word error rate: errors of all utterances over words of all references, after Whisper's English normaliser."""

import importlib.util
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..sample import EvalSample
from .characters import with_marks_kept
from .metric import MeanScore, MetricUnavailable, Statistics, TotalMetric

_MISSING = "wer needs {package}, which is not installed: run `pip install 'favor[eval]'`."


class WordErrorRate(TotalMetric):
    """Corpus WER: 0 is perfect, and more than 1 possible. The reference that is nearest counts, if there are several.

    Reference and hypothesis pass through `normalize_english`, whose choice weighs more than most models: with and
    without it the same text differs by 25 % (case and punctuation). It drops accents, and would part words at vowel
    signs: these stay.
    """

    name = "wer"
    higher_is_better = False

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Errors of each kind, and the reference's words.

        Raises:
            MetricUnavailable: without jiwer or whisper-normalizer.
        """
        try:
            from jiwer import process_words
        except ImportError as error:
            raise MetricUnavailable(_MISSING.format(package="jiwer")) from error
        normalize = normalize_english()
        statistics = []
        for sample, hypothesis in zip(samples, hypotheses, strict=True):
            heard = with_marks_kept(normalize, hypothesis)
            rows = []
            for reference in sample.references:
                words = process_words(with_marks_kept(normalize, reference), heard)
                rows.append(
                    {
                        "substitutions": float(words.substitutions),
                        "deletions": float(words.deletions),
                        "insertions": float(words.insertions),
                        "words": float(words.substitutions + words.deletions + words.hits),
                    }
                )
            statistics.append(min(rows, key=lambda row: (word_errors(row) / max(row["words"], 1.0), row["words"])))
        return statistics

    def from_totals(self, totals: Mapping[str, float]) -> float:
        return word_errors(totals) / totals["words"] if totals["words"] else math.nan


class ExactTranscript(MeanScore):
    """Share of the utterances without a word error, after Whisper's English normaliser: for single words."""

    name = "exact_transcript"

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Whether an utterance is right. Raises as `WordErrorRate`."""
        rows = WordErrorRate().sample_statistics(samples, hypotheses)
        return [{"score": float(not word_errors(row)), "n": 1.0} for row in rows]


@cache
def normalize_english() -> Callable[[str], str]:
    """Whisper's normaliser: transformers' code with OpenAI's table of British spellings.

    The table (1739 words, MIT licence) is read from the package whisper-normalizer, whose own code is not used: it
    also turns the verb "cause" into "because".

    Raises:
        MetricUnavailable: without whisper-normalizer.
    """
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    spec = importlib.util.find_spec("whisper_normalizer")
    locations = list(spec.submodule_search_locations or []) if spec else []
    path = Path(locations[0]) / "normalizers" / "english.json" if locations else None
    if path is None or not path.is_file():
        raise MetricUnavailable(_MISSING.format(package="whisper-normalizer"))
    return EnglishTextNormalizer(json.loads(path.read_text(encoding="utf-8")))


def word_errors(row: Mapping[str, float]) -> float:
    """Errors of all three kinds in an utterance's statistics, or in their totals."""
    return row["substitutions"] + row["deletions"] + row["insertions"]
