# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Right or wrong: what the headline metric says of one answer, as the report shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..metrics import METRICS
from ..metrics.judged import Judged
from ..metrics.metric import PERCENT, MeanScore
from ..metrics.word_error_rate import WordErrorRate, word_errors

RIGHT, PARTLY, WRONG = "right", "partly right", "wrong"
HIGHEST_SCORE = 5.0  # of a judge


@dataclass(frozen=True)
class Mark:
    """`share`: how much of the answer is right, 0 to 1. `text`: what tells more than right or wrong, or nothing."""

    share: float
    text: str = ""

    @property
    def name(self) -> str:
        return RIGHT if self.share >= 1 else WRONG if self.share <= 0 else PARTLY

    @property
    def shown(self) -> str:
        """For example "right", or "partly right (2 of 7 words)"."""
        return f"{self.name} ({self.text})" if self.text else self.name


def mark_of(metric: str, scores: Mapping[str, Mapping[str, float]]) -> Mark | None:
    """The mark of an answer by the headline metric; None where that judges no single answer, as CIDEr-D does not.

    Args:
        metric: the task's headline.
        scores: each metric's statistics of the answer.
    """
    known, statistics = METRICS.get(metric), scores.get(metric)
    if not statistics:
        return None
    if isinstance(known, WordErrorRate):
        errors, words = word_errors(statistics), statistics["words"]
        share = 1.0 if not errors else max(0.0, 1 - errors / words) if words else 0.0
        return Mark(share, f"{errors:g} errors in {words:g} words" if errors else "")
    if isinstance(known, Judged):
        if not statistics["judged"]:
            return None
        highest = 1.0 if known.scale == PERCENT else HIGHEST_SCORE
        verdict = statistics[known.key]
        return Mark(verdict / highest, "" if known.scale == PERCENT else f"{verdict:g} of {highest:g}")
    if isinstance(known, MeanScore) and known.higher_is_better:
        share = statistics["score"]
        return Mark(share, f"{share:.2g}" if 0 < share < 1 else "")
    return None
