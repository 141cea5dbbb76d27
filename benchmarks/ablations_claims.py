# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the paper claims of its parts, as comparisons with the full model, and whether measured scores show it."""

from dataclasses import dataclass
from enum import Enum

from favor.evaluation.tasks import TASKS

from .ablations_scores import Estimate, Study

SIMILARITY = "mean_similarity"
JOINT_TASKS = ("avsr", "avsd", "isqa", "avssd", "avm")
# Variant -> its row in the paper.
PAPER_ROWS = {
    "full": "FAVOR 13B",
    "without-causal-attention": "FAVOR 13B without causal attention",
    "without-windows": "FAVOR 13B without sliding window",
    "without-synchronisation": "FAVOR 13B without synchronisation",
    "without-diversity-loss": "FAVOR 13B without diversity loss",
    "video-llama-like": "FAVOR 13B without causal, diversity, sync",
    "audio-only": "FAVOR 13B audio-only",
    "visual-only": "FAVOR 13B visual-only",
}


@dataclass(frozen=True)
class Comparison:
    """A variant in a task, and on which side of the full model the paper puts it: -1 is worse, or less similar."""

    variant: str
    task: str
    expected: int
    quantity: str = "value"


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, and what must be found for it."""

    title: str
    source: str
    comparisons: tuple[Comparison, ...]


class Outcome(Enum):
    AS_CLAIMED = "as claimed"
    OPPOSITE = "the opposite"
    UNDECIDED = "undecided"
    MISSING = "not measured"


def worse(variant: str, *tasks: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(variant, task, -1) for task in tasks)


CLAIMS = (
    Claim(
        "Causal attention helps",
        "section 5.2: clearest in video QA, ISQA and AVSSD",
        worse("without-causal-attention", "video_qa", "isqa", "avssd"),
    ),
    Claim(
        "Windows help",
        "section 5.2: AVSR, and video QA too",
        worse("without-windows", "avsr", "video_qa"),
    ),
    Claim(
        "Synchronisation helps",
        "section 5.2: ISQA and AVM",
        worse("without-synchronisation", "isqa", "avm"),
    ),
    Claim(
        "The diversity loss helps",
        "table 9: most in IC and video QA",
        worse("without-diversity-loss", "ic", "video_qa"),
    ),
    Claim(
        "The diversity loss makes the queries of a window less alike",
        "section 5.4, figure 5",
        tuple(Comparison("without-diversity-loss", task, 1, SIMILARITY) for task in ("avsr", "video_qa", "avssd")),
    ),
    Claim(
        "Too large a lambda harms",
        "section 5.4, figure 4",
        worse("diversity-loss-1", "avsr", "video_qa", "avssd"),
    ),
    Claim(
        "The three parts together help",
        "table 5, last row",
        worse("video-llama-like", "video_qa", *JOINT_TASKS),
    ),
    Claim(
        "Both modalities are used",
        "table 3; ISQA and AVM have no single-modality row there",
        worse("audio-only", *JOINT_TASKS) + worse("visual-only", *JOINT_TASKS),
    ),
    Claim(
        "Shorter windows help speech and harm video QA",
        "section 5.3, figure 3 (a, b)",
        (Comparison("half-windows", "asr", 1), Comparison("half-windows", "video_qa", -1)),
    ),
    Claim(
        "Longer windows harm speech",
        "section 5.3, figure 3 (a)",
        worse("double-windows", "asr") + worse("fourfold-windows", "asr"),
    ),
    Claim(
        "Few pictures per second harm video QA",
        "section 5.3, figure 3 (c)",
        worse("fps-0.5", "video_qa"),
    ),
)

RULE = """\
A comparison is *as claimed* where the 95 % interval of the difference to the full model excludes zero on the side that
the paper says, *the opposite* where it excludes zero on the other side, and else *undecided*. A claim **shows** if all
its comparisons are as claimed, **shows in part** if at least half are and none is the opposite, and else **does not
show**. What was not measured is left out, and named."""


def outcome(study: Study, comparison: Comparison) -> Outcome:
    gain = gain_of(study, comparison)
    if gain is None or gain.half_width is None:
        return Outcome.MISSING
    if gain.sign == 0:
        return Outcome.UNDECIDED
    return Outcome.AS_CLAIMED if gain.sign == comparison.expected else Outcome.OPPOSITE


def gain_of(study: Study, comparison: Comparison) -> Estimate | None:
    return study.gain(comparison.variant, comparison.task, comparison.quantity)


def verdict(outcomes: list[Outcome]) -> str:
    """By `RULE`."""
    measured = [found for found in outcomes if found is not Outcome.MISSING]
    claimed, opposite = measured.count(Outcome.AS_CLAIMED), measured.count(Outcome.OPPOSITE)
    if not measured:
        return "not measured"
    if claimed == len(measured):
        return "shows"
    if claimed >= len(measured) / 2 and not opposite:
        return f"shows in part ({claimed} of {len(measured)})"
    counts = {"as claimed": claimed, "the opposite": opposite}
    found = [f"{number} of {len(measured)} {what}" for what, number in counts.items() if number]
    return f"does not show ({', '.join(found)})" if found else "does not show"


def paper_value(variant: str, task: str) -> float | None:
    """What the paper reports, by the first of the task's metrics that the row has."""
    row = TASKS[task].paper_rows.get(PAPER_ROWS.get(variant, ""), {})
    return next((row[metric] for metric in TASKS[task].answers.metrics if metric in row), None)


def paper_gain(variant: str, task: str) -> float | None:
    """The paper's difference to its complete system; minus is worse, also of word error rates."""
    ours, full = paper_value(variant, task), paper_value("full", task)
    if ours is None or full is None:
        return None
    return full - ours if "wer" in TASKS[task].answers.metrics else ours - full
