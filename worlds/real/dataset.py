# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The tasks of the world of real things, and splits of them."""

from functools import partial
from pathlib import Path

from ..question import Prompts
from ..split import Sampler, write_scenes
from .ac import AcScene
from .assets import SPLITS, Assets, Pool
from .avsr import AvsrScene
from .matching import AvmScene, AvssdScene
from .naming import NamePictureScene, NameSoundScene
from .scene import RealScene
from .speech_tasks import AsrScene, FreeScene, SpokenThingScene
from .stills import IcScene, IsqaScene, OcrScene, VqaScene
from .video_qa import AvsdScene, VideoQaScene

TASK_SCENES: dict[str, type[RealScene]] = {  # the eleven tasks of AVEB, in its order
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
EXTRA_SCENES: dict[str, type[RealScene]] = {  # what they rest on
    scene.task: scene for scene in (NamePictureScene, NameSoundScene, SpokenThingScene, FreeScene)
}
_SOUNDING_TASKS = ("ac", "name_sound", "avssd")
_LEAST_SOUNDS = 3
PEOPLE_TASKS = ("asr", "avm", "spoken_thing")  # of the split in which people speak


def write_split(
    out_dir: str | Path,
    split: str,
    count: int,
    seed: int,
    assets: Assets,
    tasks: str = "all",
    workers: int = 2,
    progress: bool = True,
    every_question: bool = False,
    render: bool = True,
    *,
    prompts: Prompts,
) -> Path:
    """Renders `count` items of each chosen task from prepared `assets`, as `split.write_scenes` says.

    Args:
        split: one of `assets.SPLITS`.
        tasks: names separated by commas: the eleven tasks of AVEB, "all" for these, or one of `EXTRA_SCENES`.
        out_dir, count, seed, workers, progress, every_question, render, prompts: as there.

    Raises:
        ValueError: no such split or task, or the split has not what the task is made of.
    """
    samplers: dict[str, Sampler] = {}
    for name, scene in parse_tasks(tasks, split).items():
        _check_pool(assets.pool(split), split, name)
        samplers[name] = partial(_sample, scene, assets)
    return write_scenes(
        out_dir,
        split,
        count,
        seed,
        samplers,
        prompts=prompts,
        difficulty="standard",
        workers=workers,
        progress=progress,
        every_question=every_question,
        render=render,
    )


def parse_tasks(tasks: str, split: str) -> dict[str, type[RealScene]]:
    """The scenes of each task that `tasks` names; "all" are the eleven, or in "people" those that people speak in."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} in this world, got {split!r}.")
    known = {**TASK_SCENES, **EXTRA_SCENES}
    chosen: dict[str, type[RealScene]] = {}
    for name in (part.strip() for part in tasks.split(",")):
        if name == "all":
            chosen |= {task: known[task] for task in (PEOPLE_TASKS if split == "people" else TASK_SCENES)}
        elif name not in known:
            raise ValueError(f"tasks names {name!r}, which this world has not; choose from: all, {', '.join(known)}.")
        elif split == "people" and name not in PEOPLE_TASKS:
            raise ValueError(
                f"people say things' names alone: split people has {', '.join(PEOPLE_TASKS)}, not {name}."
            )
        else:
            chosen[name] = known[name]
    return chosen


def _check_pool(pool: Pool, split: str, task: str) -> None:
    """Raises if the split has none of what the task is made of: where an origin, or a folder of sounds, is missing."""
    if task in _SOUNDING_TASKS and len(pool.heard) < _LEAST_SOUNDS:
        raise ValueError(
            f"{task} needs real sounds of {_LEAST_SOUNDS} things, and split {split} has {len(pool.heard)}: "
            "pass --sounds with ESC-10's recordings, or leave the task out."
        )
    if task == "asr_free" and not pool.sentences:
        raise ValueError(f"asr_free needs sentences, and split {split} has none; leave the task out.")
    if split == "people" and not pool.readings:
        raise ValueError("split people has no recordings of people: leave stamps in, or pass --digits.")


def _sample(scene: type[RealScene], assets: Assets, split: str, seed: int, index: int, difficulty: str) -> RealScene:
    return scene.sample(split, seed, index, difficulty, assets)
