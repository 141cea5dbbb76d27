# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What defines a task of the benchmark, and how tasks are found by name."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .json_fields import JsonObject
from .readers.own_data import read_samples
from .sample import EvalSample

# What the released code decodes with; the tasks' own settings are greedy.
RELEASED_DECODING: JsonObject = {"do_sample": False, "num_beams": 5, "repetition_penalty": 1.5}


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
            question=sample.fact("question") or sample.question,
            reference=sample.references[0],
            hypothesis=hypothesis,
            question_2=sample.fact("question_2") or "",
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
            partner = sample.fact("pair")
            if "pair_of" in sample.extra or (partner is not None and partner not in answers):
                prompts.append(None)
            else:
                prompts.append(self.fill(sample, hypothesis, answers[partner] if partner is not None else ""))
        return prompts

    def read(self, reply: str) -> float | None:
        """The verdict in a judge's reply: 1.0 or 0.0 for "yes_no", 0 to 5 for "score"; None if it cannot be read."""
        return _read_yes_no(reply) if self.reply == "yes_no" else _read_score(reply)


class PublishedData:
    """A data set as its authors published it.

    Attributes:
        name: of the data set, with its part.
        size: number of samples, as published; None if unknown.
        read: (annotation file, media root) -> samples. Relative media paths lie under the media root, or beside the
            annotation file if it is None.
        annotations: names of the annotation file (or folder) below `--annotations DIR`: first the usual one, then
            files in other formats that `read` knows, looked for in this order. None for questions of one's own.
    """

    def __init__(
        self,
        name: str,
        size: int | None,
        read: Callable[[Path, Path | None], list[EvalSample]],
        *annotations: str,
    ):
        self.name, self.size, self.read, self.annotations = name, size, read, annotations

    def of_ones_own(self, name: str) -> "PublishedData":
        """The same form of data under another name, of no published size."""
        return PublishedData(name, None, self.read, *self.annotations)

    @property
    def annotation(self) -> str:
        """The usual name of the annotation file."""
        return self.annotations[0]


@dataclass(frozen=True)
class AnswerRules:
    """How answers are made and scored; decoding is greedy.

    Attributes:
        parse: (raw answer, sample) -> hypothesis.
        metrics: names in `metrics.METRICS`; the first is the headline.
        max_new_tokens: of an answer.
        stand_in: which of `metrics` is the headline where the first cannot be computed for want of a program or a
            judge; by default, and where it cannot be computed either, the next that could be.
        judge: question to a judge, if the headline is judged.
    """

    parse: Callable[[str, EvalSample], str]
    metrics: tuple[str, ...]
    max_new_tokens: int
    stand_in: str | None = None
    judge: JudgePrompt | None = None

    def headline(self, computed: Collection[str]) -> str:
        """The metric that stands for the task, given which ones could be computed: the first, or what stands in."""
        order = (self.metrics[0], *([self.stand_in] if self.stand_in else []), *self.metrics[1:])
        return next((metric for metric in order if metric in computed), self.metrics[0])

    @property
    def generation(self) -> JsonObject:
        """Keyword arguments of `generate()`."""
        return {"max_new_tokens": self.max_new_tokens, "do_sample": False}

    def cleaned(self, sample: EvalSample) -> EvalSample:
        """The sample with references and options cleaned as answers are, so that equal texts stay equal."""
        references = [self.parse(text, sample) or text for text in sample.references]
        choices = sample.choices and [self.parse(text, sample) or text for text in sample.choices]
        return replace(sample, references=references, choices=choices)


@dataclass(frozen=True)
class EvalTask:
    """One task.

    Attributes:
        name: as typed in `--tasks`.
        title: as in tables.
        data: where its samples come from.
        answers: how they are answered, and the answers scored.
        prompt: what a sample of one's own without a question is asked; None if the questions differ.
        complete: fills in what the metrics need of such a sample, or raises `ValueError` saying what is missing.
        paper_rows: published results: system -> {metric name: value}, in the units of the paper (percent, or CIDEr and
            METEOR times 100).
    """

    name: str
    title: str
    data: PublishedData
    answers: AnswerRules
    prompt: str | None = None
    complete: Callable[[EvalSample], EvalSample] | None = None
    paper_rows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def own_annotation(self) -> str:
        """Name of the file of samples of one's own (`readers.own_data`), which is read before the published ones."""
        return f"{self.name}.jsonl"

    def annotation_path(self, annotations: Path) -> Path:
        """The task's annotation file in the folder; where the usual one would be, if there is none.

        `annotations` may be the file itself, whatever its name.
        """
        if annotations.is_file():
            return annotations
        candidates = [annotations / name for name in (self.own_annotation, *self.data.annotations)]
        return next((path for path in candidates if path.exists()), candidates[min(1, len(candidates) - 1)])

    def is_own(self, path: Path) -> bool:
        """Whether an annotation file holds samples of one's own, and not published ones."""
        return path.suffix == ".jsonl" and path.name not in self.data.annotations

    def read_samples(self, path: Path, media_root: Path | None) -> list[EvalSample]:
        """The samples of the file that `annotation_path` gave. Raises `ValueError` if it is broken."""
        if self.is_own(path):
            return read_samples(path, media_root, self.prompt, self.complete)
        return self.data.read(path, media_root)


def known_tasks() -> dict[str, EvalTask]:
    """All tasks by name: the benchmark's, and the one for questions of one's own."""
    from .free_task import QA
    from .tasks import TASKS

    return {**TASKS, QA.name: QA}


def find_tasks(names: str) -> list[EvalTask]:
    """Tasks by their names separated by commas, or "all" of the benchmark; a ValueError lists the names that exist."""
    from .tasks import TASKS

    if names.strip() == "all":
        return list(TASKS.values())
    known = known_tasks()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(f"unknown task {', '.join(unknown) or '(none)'!r}; choose from all, {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(wanted)]


def available_tasks(names: str, annotations: Path) -> tuple[list[EvalTask], dict[str, str]]:
    """The tasks to run: those named, or for "all" those whose annotations are in the folder.

    If `annotations` is one file, it is of the one task that is named, or of questions of one's own.

    Returns:
        The tasks, and for each that "all" leaves out the reason.

    Raises:
        ValueError: an unknown name, or one file for several tasks.
        FileNotFoundError: "all", and the folder holds annotations of no task.
    """
    from .free_task import QA

    tasks = find_tasks(names)
    named = names.strip() != "all"
    if annotations.is_file() and named and len(tasks) > 1:
        raise ValueError(f"{annotations} is one file for {len(tasks)} tasks; name one with --tasks, or their folder.")
    if named:
        return tasks, {}
    if annotations.is_file():
        return [QA], {}
    there = [task for task in (*tasks, QA) if task.annotation_path(annotations).exists()]
    if not there:
        raise FileNotFoundError(
            f"{annotations} holds annotations of no task (for example {tasks[0].data.annotation}, or "
            f"{QA.own_annotation} with questions of your own). Name their folder with --annotations."
        )
    return there, {
        task.name: f"neither {task.own_annotation} nor {task.data.annotation} is in the folder of annotations"
        for task in tasks
        if task not in there
    }


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
