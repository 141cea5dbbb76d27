# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The tasks of AVEB-mini, and splits of them: media files, questions, and the ground truth of every scene."""

from functools import partial
from pathlib import Path

from ..question import Prompts
from ..split import Sampler, write_scenes
from .ac import AcScene
from .asr import AsrScene
from .avm import AvmScene
from .avsd import AvsdScene
from .avsr import AvsrScene
from .avssd import AvssdScene
from .difficulty import find_difficulty
from .ic import IcScene
from .isqa import IsqaScene
from .moments import MomentsScene
from .ocr import OcrScene
from .questions import FAMILIES, TASK_OF, TASKS
from .scene import MiniScene
from .video_qa import VideoQaScene
from .vqa import VqaScene

TASK_SCENES: dict[str, type[MiniScene]] = {  # the eleven tasks of AVEB, in its order
    scene.task: scene
    for scene in (
        AsrScene,
        AcScene,
        IcScene,
        OcrScene,
        VqaScene,
        VideoQaScene,
        AvsrScene,
        AvsdScene,
        IsqaScene,
        AvssdScene,
        AvmScene,
    )
}


def write_split(
    out_dir: str | Path,
    split: str,
    count: int,
    seed: int,
    tasks: str = "moments",
    workers: int = 2,
    progress: bool = True,
    every_question: bool = False,
    difficulty: str = "standard",
    render: bool = True,
    *,
    prompts: Prompts,
) -> Path:
    """Renders `count` items of each chosen task and writes what is asked about them, as `split.write_scenes` says.

    Args:
        split: "train", "validation", "test" or "compositional".
        tasks: names separated by commas: the eleven tasks of AVEB, or "all" for these; "moments", or names of its
            groups and families of questions (see `questions.TASKS`). "moments", with any of its families, counts as
            one task; clips to which no family applies are passed over.
        difficulty: "easy", "standard" or "hard" (see `difficulty.py`); says nothing to "moments".
        out_dir, count, seed, workers, progress, every_question, render, prompts: as there.
    """
    find_difficulty(difficulty)
    return write_scenes(
        out_dir,
        split,
        count,
        seed,
        parse_tasks(tasks),
        prompts=prompts,
        difficulty=difficulty,
        workers=workers,
        progress=progress,
        every_question=every_question,
        render=render,
    )


def parse_tasks(tasks: str) -> dict[str, Sampler]:
    """How to sample each task that `tasks` names, separated by commas.

    First "moments" with the chosen families of its questions, then the tasks of AVEB in its order.
    """
    chosen: set[str] = set()
    families: set[str] = set()
    for name in (part.strip() for part in tasks.split(",")):
        if name == "all":
            chosen.update(TASK_SCENES)
        elif name in TASK_SCENES:
            chosen.add(name)
        elif name == "moments":
            families |= FAMILIES
        elif name in TASKS:
            families.update(family.__name__ for family in TASKS[name])
        elif name in TASK_OF:
            families.add(name)
        else:
            known = dict.fromkeys(["all", *TASK_SCENES, "moments", *TASKS, *TASK_OF])
            raise ValueError(f"tasks names {name!r}, which does not exist; choose from: {', '.join(known)}.")
    samplers: dict[str, Sampler] = {}
    if families:
        samplers["moments"] = partial(MomentsScene.sample_asked, frozenset(families))
    samplers |= {name: scene.sample for name, scene in TASK_SCENES.items() if name in chosen}
    return samplers
