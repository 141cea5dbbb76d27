# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What `favor demo` asks favor-135m: pictures of real things, spoken sentences and clips that come with the package.

Questions that need picture and sound are asked three times: as they are, with the sound withheld, and with the picture
withheld.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from .demo_tasks import matches

if TYPE_CHECKING:
    from favor.evaluation.controls import Controls
    from favor.evaluation.sample import EvalSample
    from favor.modeling_favor import VideoTextToTextPipeline

ITEMS = "items.jsonl"
BOTH = "both"
GENERATION = {"do_sample": False, "max_new_tokens": 24}
QUESTION_WIDTH = 60  # characters shown
ABOUT = (
    "Pictures: Twemoji (CC BY 4.0), an emoji vendor that no training showed; speech: flite's voice rms, which no "
    "training used (favor/demo_items/NOTICE.md). They are the first of each kind of the test split, chosen before any "
    "model was asked. There is no real sound among them: none was found in a package whose licence lets this one hand "
    "it on."
)


@dataclass(frozen=True)
class RealSample:
    """A question about a file that comes with the package, what answers it in full, and the answers.

    Attributes:
        muted, blind: the answers without sound and without picture, of a question that needs both.
    """

    task: str
    media: str
    question: str
    streams: str
    references: list[str]
    answer: str
    correct: bool
    muted: str | None = None
    muted_correct: bool | None = None
    blind: str | None = None
    blind_correct: bool | None = None


@dataclass(frozen=True)
class RealResult:
    """All samples, and the seconds that answering took."""

    samples: list[RealSample]
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Counts, and every sample."""
        both = [sample for sample in self.samples if sample.streams == BOTH]
        return {
            "questions": len(self.samples),
            "correct": sum(sample.correct for sample in self.samples),
            "both_streams_questions": len(both),
            "both_streams_correct": sum(sample.correct for sample in both),
            "muted_both_streams_correct": sum(bool(sample.muted_correct) for sample in both),
            "blind_both_streams_correct": sum(bool(sample.blind_correct) for sample in both),
            "seconds": self.seconds,
            "samples": [vars(sample) for sample in self.samples],
        }


def demo_items() -> Path:
    """The folder of the files, in the form that `favor eval` reads."""
    return Path(str(files("favor"))) / "demo_items"


def ask_real(pipe: "VideoTextToTextPipeline", folder: Path | None = None) -> list[RealSample]:
    """Asks `pipe` everything about the files of `folder`, by default those of the package.

    Answers are compared as texts: a transcript with one wrong word is wrong here, unlike in the tasks' own metrics.
    """
    from favor.evaluation.controls import Controls
    from favor.evaluation.readers.own_data import read_samples

    asked = read_samples((folder or demo_items()) / ITEMS, None)
    samples = [_answered(sample, said) for sample, said in zip(asked, _ask(pipe, asked, Controls()), strict=True)]
    both = [place for place, sample in enumerate(samples) if sample.streams == BOTH]
    muted = _ask(pipe, [asked[place] for place in both], Controls(audio="off"))
    blind = _ask(pipe, [asked[place] for place in both], Controls(video="off"))
    for place, without_sound, without_picture in zip(both, muted, blind, strict=True):
        samples[place] = replace(
            samples[place],
            muted=without_sound,
            muted_correct=_right(without_sound, asked[place]),
            blind=without_picture,
            blind_correct=_right(without_picture, asked[place]),
        )
    return samples


def real_rows(samples: Sequence[RealSample]) -> list[tuple[str, ...]]:
    """The table; of several references the first."""
    rows: list[tuple[str, ...]] = [("task", "file", "question", "reference", "answer", "ok", "muted", "blind")]
    for sample in samples:
        question = textwrap.shorten(sample.question, QUESTION_WIDTH, placeholder=" ...")
        said = (sample.references[0], sample.answer, "yes" if sample.correct else "NO")
        rows.append((sample.task, sample.media, question, *said, sample.muted or "", sample.blind or ""))
    return rows


def real_summary(result: RealResult) -> str:
    """The counts in words."""
    counts = result.to_json()
    return (
        f"{counts['correct']} of {counts['questions']} questions answered correctly in {result.seconds} s. Of "
        f"{counts['both_streams_questions']} that need picture and sound: {counts['both_streams_correct']} correct, "
        f"{counts['muted_both_streams_correct']} with the sound muted, {counts['blind_both_streams_correct']} without "
        "the picture."
    )


def _ask(pipe: "VideoTextToTextPipeline", samples: "Sequence[EvalSample]", controls: "Controls") -> list[str]:
    from favor.evaluation.answerer import FavorAnswerer
    from favor.evaluation.controls import apply_controls

    changed = apply_controls(samples, controls)
    answers = FavorAnswerer(pipe).answer(changed, dict(GENERATION)) if changed else []
    return [" ".join(answer.text.split()) for answer in answers]


def _answered(sample: "EvalSample", said: str) -> RealSample:
    media = " + ".join(Path(file).name for file in sample.media.values())
    references = list(dict.fromkeys(sample.references))
    facts = (str(sample.extra["task"]), media, sample.question, str(sample.extra["streams"]))
    return RealSample(*facts, references, said, _right(said, sample))


def _right(said: str, sample: "EvalSample") -> bool:
    return any(matches(said, reference) for reference in sample.references)
