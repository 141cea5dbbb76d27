# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rewards by name: AVEB's metrics of single answers, as functions that `FavorGRPOTrainer` takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from favor.evaluation.metrics import AnswerMetric

RewardFunction = Callable[..., list[float | None]]

# Name -> AVEB's metric. Those of a whole corpus, such as CIDEr, say nothing of one answer.
REWARDS = {
    "exact_match": "aveb_choice",
    "vqa_accuracy": "aveb_vqa",
    "gqa_accuracy": "gqa_accuracy",
    "ocr_accuracy": "aveb_ocr",
    "textvqa_accuracy": "textvqa_accuracy",
    "choice_accuracy": "choice_accuracy",
    "yes_no": "yes_no",
    "qa_accuracy": "qa_accuracy",
    "wer": "wer",
}
REFERENCES = ("answer", "solution")  # columns that may hold what an answer is compared with


def reward_functions(names: Sequence[str]) -> list[RewardFunction]:
    """The rewards of these names. Raises `ValueError` for a name that there is not."""
    return [reward_function(name) for name in names]


def reward_function(name: str) -> RewardFunction:
    """A reward from 0 to 1: the metric of the answer; of an error rate, 1 minus the rate, at least 0.

    It reads the column `answer` (or `solution`), a text or a list of texts of which one is enough; without it the
    last answer in `messages`; and what the metric reads beside these, such as `choices`.

    Raises `ValueError` for a name that there is not.
    """
    if name not in REWARDS:
        raise ValueError(
            f"There is no reward {name!r}; there are {', '.join(REWARDS)}, or give a function of your own."
        )
    from favor.evaluation.metrics import without_judge

    (metric,) = without_judge([REWARDS[name]]).values()

    def reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return score_answers(metric, completions, **columns)

    reward.__name__ = name  # how TRL names it in logs
    return reward


def score_answers(metric: "AnswerMetric", completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """One number per answer, as TRL asks for it."""
    from favor.evaluation.sample import EvalSample

    rewards: list[float | None] = []
    for number, completion in enumerate(completions):
        row = {name: values[number] for name, values in columns.items() if isinstance(values, list)}
        said = completion if isinstance(completion, str) else completion[-1]["content"]
        facts = {name: row[name] for name in metric.columns if row.get(name) is not None}
        sample = EvalSample(str(number), [], {}, references(row), row.get("choices"), facts)
        value = metric.aggregate(metric.sample_statistics([sample], [said]))
        rewards.append(value if metric.higher_is_better else max(0.0, 1.0 - value))
    return rewards


def references(row: Mapping[str, Any]) -> list[str]:
    """What an answer to a row is compared with. Raises `ValueError` if the row does not tell."""
    given = next((row[name] for name in REFERENCES if row.get(name)), None)
    if given is None:
        turns = [turn for turn in row.get("messages") or () if turn["role"] == "assistant"]
        given = turns[-1]["content"] if turns else None
    if given is None:
        raise ValueError(
            f"A reward compares answers with the column {' or '.join(REFERENCES)}, or the last answer in `messages`, "
            f"but a row has only {', '.join(sorted(row))}."
        )
    texts = given if isinstance(given, list) else [given]
    return [text if isinstance(text, str) else str(text.get("text", "")) for text in texts]
