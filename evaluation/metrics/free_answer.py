# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Accuracy of answers to questions of one's own, whatever their kind: options, yes or no, or a few words."""

from ..sample import EvalSample
from .answer_words import words_of
from .choices import said, score_choice

_ARTICLES = ("a", "an", "the")


def score_free(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer is a reference, word for word, whatever case, punctuation and articles.

    Of a question with options the option that it names must be right; where the references are "yes" or "no" alone,
    it must say that and not the opposite.
    """
    if sample.choices:
        return score_choice(sample, hypothesis)
    wanted = [words_without_articles(reference) for reference in sample.references]
    if all(words in (["yes"], ["no"]) for words in wanted):
        return float([said(hypothesis)] in wanted)
    return float(words_without_articles(hypothesis) in wanted)


def words_without_articles(text: str) -> list[str]:
    """The words of a text (`words_of`) but its articles, unless it has no others."""
    words = words_of(text) or [text.strip()]
    return [word for word in words if word not in _ARTICLES] or words
