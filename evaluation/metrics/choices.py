# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Choice among options and yes or no: accuracy, answers that name none, and the pull of an option's place."""

import math
from collections.abc import Mapping, Sequence

from ..sample import EvalSample
from .answer_words import contains, words_of
from .choice_labels import labelled_place
from .metric import MeanScore, Statistics, TotalMetric

_PLACES = range(26)


def score_exact_choice(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer's words are the reference's and no others (appendix B: "exactly matches the reference")."""
    answer = words_of(hypothesis)
    return float(bool(answer) and any(words_of(reference) == answer for reference in sample.references))


def chosen(sample: EvalSample, hypothesis: str) -> int | None:
    """The place of the option that an answer names; None if it names none, or several.

    In this order: the answer is an option; it names an option by its letter or number (see `labelled_place`); it
    contains the words of exactly one option (of options within one another, as "red" in "red hat", the longer counts).
    Where letter and words name different options, the words count.
    """
    choices = sample.choices or []
    options = [words_of(option) for option in choices]
    answer = words_of(hypothesis)
    if answer in options:
        return options.index(answer)
    in_words = _contained(options, answer)
    label = labelled_place(sample.question if sample.messages else None, choices, hypothesis)
    if label is not None and (in_words in (None, label.place) if label.plain else in_words == label.place):
        return label.place
    return in_words


def _contained(options: list[list[str]], answer: list[str]) -> int | None:
    """The place of the one option whose words the answer contains; None if there is none, or several."""
    named = [place for place, option in enumerate(options) if option and contains(answer, option)]
    longest = [
        place
        for place in named
        if not any(
            len(options[other]) > len(options[place]) and contains(options[other], options[place]) for other in named
        )
    ]
    return longest[0] if len(longest) == 1 else None


def said(hypothesis: str) -> str | None:
    """ "yes" or "no", if the answer has one of the two words and not the other."""
    found = {"yes", "no"} & set(words_of(hypothesis))
    return found.pop() if len(found) == 1 else None


def score_choice(sample: EvalSample, hypothesis: str) -> float:
    """1 if the option that the answer names is right; an answer that names none is wrong."""
    place = chosen(sample, hypothesis)
    return float(place is not None and (sample.choices or [])[place] in sample.references)


def score_yes_no(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer says the reference, "Yes" or "No", and not the opposite; to say neither or both is wrong.

    Case and punctuation do not matter.
    """
    return float(said(hypothesis) == said(sample.references[0]))


class Unparsable(MeanScore):
    """Share of answers that name no option, or say neither yes nor no; all of them count as wrong."""

    name = "unparsable"
    higher_is_better = False

    def score(self, sample: EvalSample, hypothesis: str) -> float:
        return float((chosen(sample, hypothesis) if sample.choices else said(hypothesis)) is None)


class PositionBias(TotalMetric):
    """How far the places of the chosen options are from the places of the right ones: 0 none, 1 always a wrong place.

    Half the sum, over the places, of the absolute differences of the two shares (total variation distance), among
    answers that name an option. Options are shown in an order drawn for each question, so that the right ones' places
    are even.
    """

    name = "position_bias"
    higher_is_better = False
    columns: tuple[str, ...] = ("choices",)

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Which place was chosen and which is right, of answers that name an option."""
        statistics = []
        for sample, hypothesis in zip(samples, hypotheses, strict=True):
            choices = sample.choices or []
            if len(choices) > len(_PLACES):
                raise ValueError(
                    f"Sample {sample.id!r} has {len(choices)} options; at most {len(_PLACES)} are foreseen."
                )
            row = {f"{kind}_{place}": 0.0 for kind in ("chosen", "right") for place in _PLACES}
            place = chosen(sample, hypothesis)
            if place is not None:
                row[f"chosen_{place}"] = 1.0
                row[f"right_{choices.index(sample.references[0])}"] = 1.0
            statistics.append(row)
        return statistics

    def from_totals(self, totals: Mapping[str, float]) -> float:
        count = math.fsum(totals[f"chosen_{place}"] for place in _PLACES)
        if not count:
            return math.nan
        return math.fsum(abs(totals[f"chosen_{place}"] - totals[f"right_{place}"]) for place in _PLACES) / (2 * count)
