# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What `favor demo` asks beside its own questions: a few rendered items of each of AVEB's eleven tasks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline

ITEMS_PER_TASK = 2


@dataclass
class TaskSample:
    """A question of a task of AVEB, what answers it in full, and the answer; `correct` if it is one of these."""

    task: str
    media: str
    question: str
    references: list[str]
    answer: str
    correct: bool


def ask_tasks(pipe: "VideoTextToTextPipeline", out_dir: Path, seed: int, split: str) -> list[TaskSample]:
    """Renders `ITEMS_PER_TASK` items of each task of `split` under `out_dir` (empty so far), and asks about them.

    Of a dialogue the last turn is asked, with the right answers to the turns before, as `favor eval` does. Answers are
    compared as texts: a transcript with one wrong word of six is wrong here, unlike in the tasks' own metrics.
    """
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.evaluation.answerer import FavorAnswerer
    from favor.evaluation.task import find_tasks
    from favor.worlds.mini.dataset import TASK_SCENES, write_split

    write_split(out_dir, split, ITEMS_PER_TASK, seed, tasks="all", workers=1, progress=False, prompts=AVEB_PROMPTS)
    answerer = FavorAnswerer(pipe)
    samples = []
    for task in find_tasks(",".join(TASK_SCENES)):
        # The last question of each item.
        asked = {
            tuple(sample.media.items()): sample for sample in task.read_samples(out_dir / task.own_annotation, None)
        }
        chosen = list(asked.values())
        for sample, answer in zip(chosen, answerer.answer(chosen, dict(task.answers.generation)), strict=True):
            said = " ".join(answer.text.split())
            media = " + ".join(Path(file).name for file in sample.media.values())
            references = list(dict.fromkeys(sample.references))
            right = any(matches(said, text) for text in references)
            samples.append(TaskSample(task.name, media, sample.question, references, said, right))
    return samples


def matches(answer: str, reference: str) -> bool:
    """Whether the two are the same text, but for case and a full stop."""
    return answer.rstrip(".").casefold() == reference.rstrip(".").casefold()
