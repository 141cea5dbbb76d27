# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Accuracy of short answers: the benchmark's own rules, and the standard ones of TextVQA and GQA beside them."""

import math
import string
from collections.abc import Callable

from ..sample import EvalSample
from .answer_words import contains, words_of
from .characters import composed
from .metric import MeanScore
from .textvqa_text import process_answer

HITS_FOR_FULL_SCORE = 3  # of the ten people asked
_PUNCTUATION = str.maketrans("", "", string.punctuation)
Rule = Callable[[EvalSample, str], float]
_OPPOSITES = {"yes": "no", "no": "yes"}


def score_ocr(sample: EvalSample, hypothesis: str) -> float:
    """Each of the ten references that the answer equals adds 1/3, at most 1 (appendix B of the paper).

    Equality is that of words (`words_of`): case, punctuation and blanks do not count, symbols with a meaning do.
    """
    answer = words_of(hypothesis) or [hypothesis.strip()]
    hits = sum((words_of(reference) or [reference.strip()]) == answer for reference in sample.references)
    return min(1.0, hits / HITS_FOR_FULL_SCORE)


def score_vqa(sample: EvalSample, hypothesis: str) -> float:
    """1 if the words of a reference stand in the answer one after another, and for yes or no the opposite does not.

    From appendix B of the paper. The rule rewards long answers: report `gqa_accuracy` beside it.
    """
    answer = words_of(hypothesis)
    for reference in sample.references:
        wanted = words_of(reference)
        if not wanted or not contains(answer, wanted):
            continue
        if len(wanted) == 1 and _OPPOSITES.get(wanted[0]) in answer:
            continue
        return 1.0
    return 0.0


def score_textvqa(sample: EvalSample, hypothesis: str) -> float:
    """TextVQA's accuracy: mean over the sets of all references but one of min(1, hits / 3), after its processing."""
    answer = process_answer(hypothesis)
    references = [process_answer(reference) for reference in sample.references]
    hits = references.count(answer)
    scores = [min(1.0, (hits - (reference == answer)) / HITS_FOR_FULL_SCORE) for reference in references]
    return math.fsum(scores) / len(scores)


def score_gqa(sample: EvalSample, hypothesis: str) -> float:
    """GQA's accuracy: the answer is the reference, apart from case, punctuation and blanks around it."""
    answer = _bare(hypothesis)
    return float(any(_bare(reference) == answer for reference in sample.references))


class Accuracy(MeanScore):
    """Mean of a rule's scores, from 0 to 1."""

    def __init__(self, name: str, rule: Rule, columns: tuple[str, ...] = ()):
        self.name = name
        self.rule = rule
        self.columns = columns

    def score(self, sample: EvalSample, hypothesis: str) -> float:
        return self.rule(sample, hypothesis)


def by_source(textvqa: Rule, gqa: Rule) -> Rule:
    """The rule of the data set from which the question comes (extra["source"])."""
    rules = {"textvqa": textvqa, "gqa": gqa}

    def score(sample: EvalSample, hypothesis: str) -> float:
        source = sample.fact("source")
        if source is None or source not in rules:
            raise ValueError(f"Sample {sample.id!r} has the source {source!r}; it must be one of {', '.join(rules)}.")
        return rules[source](sample, hypothesis)

    return score


def _bare(text: str) -> str:
    return " ".join(composed(text).lower().translate(_PUNCTUATION).split())
