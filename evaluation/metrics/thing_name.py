# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How well an answer names a thing whose name is the first reference: the whole of it, a word of it, or in a sentence.

The world of real things asks so (docs/real-world.md). Case, punctuation and articles do not count.
"""

from ..sample import EvalSample
from .answer_words import contains, words_of
from .free_answer import words_without_articles

MOST_WORDS = 4  # of an answer that names: one that lists many things would say a word of each


def score_whole_name(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer is the name, word for word."""
    return float(words_without_articles(hypothesis) == words_without_articles(sample.references[0]))


def score_name_word(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer, of at most `MOST_WORDS` words, has a word of the name: "garbage can" for a trash can."""
    answer = words_without_articles(hypothesis)
    wanted = words_without_articles(sample.references[0])
    return float(len(answer) <= MOST_WORDS and bool(set(answer) & set(wanted)))


def score_name_said(sample: EvalSample, hypothesis: str) -> float:
    """1 if the name stands in the answer, its words one after another: what a transcript is scored by."""
    return float(contains(words_of(hypothesis), words_of(sample.references[0])))
