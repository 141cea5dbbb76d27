# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What defines a task of the benchmark, and how tasks are found by name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .sample import EvalSample

# What the released code decodes with; the tasks' own settings are greedy.
RELEASED_DECODING: Mapping[str, Any] = {"do_sample": False, "num_beams": 5, "repetition_penalty": 1.5}


@dataclass(frozen=True)
class JudgePrompt:
    """A question to a judge about one answer, or about the answers to a pair of questions.

    Attributes:
        template: text with the fields {question}, {reference}, {hypothesis}; for pairs {question_2}, {hypothesis_2},
            too.
        reply: "yes_no", or "score" for a number from 0 to 5.
        system: system message of the judge, if it has one.
    """

    template: str
    reply: str
    system: str | None = None

    def fill(self, sample: EvalSample, hypothesis: str, hypothesis_2: str = "") -> str:
        """The judge's prompt about `hypothesis`; `hypothesis_2` answers the second question of a pair."""
        return self.template.format(
            question=sample.extra.get("question", sample.question),
            reference=sample.references[0],
            hypothesis=hypothesis,
            question_2=sample.extra.get("question_2", ""),
            hypothesis_2=hypothesis_2,
        )

    def prompts(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[str | None]:
        """The prompt about each sample; None where none is due.

        A pair of samples (extra["pair"] of the first names the second) is judged once, in the place of its first; if
        the second is not among the samples, not at all.
        """
        answers = {sample.id: hypothesis for sample, hypothesis in zip(samples, hypotheses, strict=True)}
        prompts: list[str | None] = []
        for sample, hypothesis in zip(samples, hypotheses, strict=True):
            partner = sample.extra.get("pair")
            if "pair_of" in sample.extra or (partner is not None and partner not in answers):
                prompts.append(None)
            else:
                prompts.append(self.fill(sample, hypothesis, answers[partner] if partner is not None else ""))
        return prompts

    def read(self, reply: str) -> float | None:
        """The verdict in a judge's reply: 1.0 or 0.0 for "yes_no", 0 to 5 for "score"; None if it cannot be read."""
        return _read_yes_no(reply) if self.reply == "yes_no" else _read_score(reply)


@dataclass(frozen=True)
class EvalTask:
    """One task.

    Attributes:
        name: as typed in `--tasks`.
        title: as in tables.
        dataset: name of the data set, with its part.
        size: number of samples, as published; None if unknown.
        read: (annotation file, media root) -> samples. Relative media paths lie under the media root, or beside the
            annotation file if it is None.
        annotation: name of the annotation file (or folder) below `--annotations DIR`.
        other_annotations: names of files in other formats that `read` knows, looked for in this order if it is
            missing.
        generation: keyword arguments of `generate()`.
        parse: (raw answer, sample) -> hypothesis.
        metrics: names in `metrics.METRICS`; the first is the headline.
        judge: question to a judge, if the headline is judged.
        paper_rows: published results: system -> {metric name: value}, in the units of the paper (percent, or CIDEr and
            METEOR times 100).
    """

    name: str
    title: str
    dataset: str
    size: int | None
    read: Callable[[Path, Path | None], list[EvalSample]]
    annotation: str
    generation: Mapping[str, Any]
    parse: Callable[[str, EvalSample], str]
    metrics: tuple[str, ...]
    judge: JudgePrompt | None = None
    other_annotations: tuple[str, ...] = ()
    paper_rows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def annotation_path(self, annotations: Path) -> Path:
        """The task's annotation file in the folder; where `annotation` would be, if there is none."""
        candidates = [annotations / name for name in (self.annotation, *self.other_annotations)]
        return next((path for path in candidates if path.exists()), candidates[0])


def find_tasks(names: str) -> list[EvalTask]:
    """Tasks by their names separated by commas, or "all"; a ValueError lists the names that exist."""
    from .tasks import TASKS

    if names.strip() == "all":
        return list(TASKS.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in TASKS]
    if unknown or not wanted:
        raise ValueError(f"unknown task {', '.join(unknown) or '(none)'!r}; choose from all, {', '.join(TASKS)}.")
    return [TASKS[name] for name in dict.fromkeys(wanted)]


def _read_yes_no(reply: str) -> float | None:
    """What the reply begins with; else the one of the two words that it contains."""
    words = re.findall(r"[a-z]+", reply.lower())
    said = set(words[:1]) & {"yes", "no"} or set(words) & {"yes", "no"}
    return float(said == {"yes"}) if len(said) == 1 else None


def _read_score(reply: str) -> float | None:
    """The number after "score", or a reply that is one number; from 0 to 5."""
    found = re.search(r"""score['"]*\s*[:=]\s*['"]?(-?\d+(?:\.\d+)?)""", reply, re.IGNORECASE)
    found = found or re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)(?:\s*/\s*5)?\.?\s*", reply)
    if found is None:
        return None
    score = float(found[1])
    return score if 0 <= score <= 5 else None
