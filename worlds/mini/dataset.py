# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes a split of AVEB-mini: media files, the questions about them, and the ground truth of every scene."""

import itertools
import json
import multiprocessing
from collections.abc import Iterable, Iterator
from pathlib import Path

from .benchmark import TASK_SCENES, annotation_lines, manifest_lines, render_task_scene, scene_line
from .clips import ClipScene
from .difficulty import find_difficulty
from .half_second_words import half_second_words
from .picture import render_frames
from .questions import TASK_OF, TASKS, Question, sample_questions
from .scene import FRAME_RATE, SAMPLING_RATE, Scene, SoundEvent, half_second_labels, sample_scene
from .sound import render_sound
from .speech import load_loader
from .task_scene import TaskScene
from .video_file import write_picture, write_sound, write_video

_SUFFIXES = {"video": ".mp4", "image": ".png", "audio": ".wav"}
_MAX_SCENES_PER_CLIP = 1000  # sampled in vain before a choice of families counts as impossible


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
) -> Path:
    """Renders `count` items of each chosen task, and writes what is asked about them.

    Writes `media/*.mp4|.png|.wav`, `{split}.jsonl` (one line a question or dialogue; paths relative to it),
    `{split}_scenes.jsonl` (one line an item: labels and ground truth) and, but for "train", `{task}.jsonl` (what
    `favor eval` reads, one line a question). The same arguments give the same files.

    Args:
        out_dir: folder to write to; made if missing.
        split: "train", "validation", "test" or "compositional".
        count: number of items of each task; "moments", with any of its families, counts as one task, of which about
            a tenth are stills and a tenth sounds.
        seed: seed of the split.
        tasks: names separated by commas: the eleven tasks of AVEB, or "all" for these; "moments", or names of its
            groups and families of questions (see `questions.TASKS`). Clips to which no family applies are passed over.
        workers: processes that render; 1 renders in this process. A script that asks for more must guard its start by
            `if __name__ == "__main__":`.
        progress: whether to show a progress bar.
        every_question: ask all that can be asked of an item, for training; else a few questions, those of the
            benchmark among them.
        difficulty: "easy", "standard" or "hard" (see `difficulty.py`); says nothing to "moments".
        render: False writes no media, only what would be asked about them and what they would hold: for a training
            stage that reads `half_second_words` in their place.

    Returns:
        The path of `{split}.jsonl`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; pass the number of items of each task.")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}; pass the number of processes.")
    find_difficulty(difficulty)
    names, families = parse_tasks(tasks)
    scenes = list(itertools.islice(_asked_scenes(split, seed, families, count), count)) if families else []
    items = {
        name: [TASK_SCENES[name].sample(split, seed, index, difficulty) for index in range(count)] for name in names
    }
    everything: list[Scene | TaskScene] = [*scenes, *itertools.chain.from_iterable(items.values())]
    out_dir = Path(out_dir)
    questions_path, scenes_path = out_dir / f"{split}.jsonl", out_dir / f"{split}_scenes.jsonl"
    media = out_dir / "media"
    if questions_path.exists() or (media.exists() and any(media.iterdir())):
        raise ValueError(f"out_dir {str(out_dir)!r} already holds a rendered split; remove it or choose another.")
    if render and any(event.word for scene in everything for event in _events(scene)):
        load_loader()  # fails before anything is written
    out_dir.mkdir(parents=True, exist_ok=True)
    if render:
        media.mkdir(exist_ok=True)
        _render_all(everything, out_dir, workers, progress)
    lines = (_scene_line(s) if isinstance(s, Scene) else scene_line(s) for s in everything)
    _write_lines(scenes_path, ({**line, "half_second_words": half_second_words(line)} for line in lines))
    moments = (_question_line(s, item) for s in scenes for item in sample_questions(s, families, every_question))
    lessons = (line for name in names for item in items[name] for line in manifest_lines(item, every_question))
    _write_lines(questions_path, itertools.chain(moments, lessons))
    for name in names if split != "train" else ():
        lines = (line for item in items[name] for line in annotation_lines(item, every_question))
        _write_lines(out_dir / f"{name}.jsonl", lines)
    return questions_path


def parse_tasks(tasks: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The tasks of AVEB, in its order, and the families of moments behind names separated by commas."""
    chosen: set[str] = set()
    families: set[str] = set()
    for name in (part.strip() for part in tasks.split(",")):
        if name == "all":
            chosen.update(TASK_SCENES)
        elif name in TASK_SCENES:
            chosen.add(name)
        elif name == "moments":
            families.update(TASK_OF)
        elif name in TASKS:
            families.update(family.__name__ for family in TASKS[name])
        elif name in TASK_OF:
            families.add(name)
        else:
            known = dict.fromkeys(["all", *TASK_SCENES, "moments", *TASKS, *TASK_OF])
            raise ValueError(f"tasks names {name!r}, which does not exist; choose from: {', '.join(known)}.")
    return tuple(name for name in TASK_SCENES if name in chosen), frozenset(families)


def render_scene(scene: Scene, out_dir: str | Path) -> Path:
    """Renders `scene` to its media file under `out_dir`, and returns the file's path."""
    path = Path(out_dir) / media_path(scene)
    if scene.medium == "video":
        write_video(path, render_frames(scene), FRAME_RATE, render_sound(scene), SAMPLING_RATE)
    elif scene.medium == "image":
        write_picture(path, render_frames(scene)[0])
    else:
        write_sound(path, render_sound(scene), SAMPLING_RATE)
    return path


def media_path(scene: Scene) -> str:
    """Where the media file of `scene` lies, relative to the split's folder."""
    return f"media/{scene.index:06d}{_SUFFIXES[scene.medium]}"


def _asked_scenes(split: str, seed: int, families: frozenset[str], count: int) -> Iterator[Scene]:
    """The scenes of a split of which at least one question of `families` can be asked."""
    for index in range(count * _MAX_SCENES_PER_CLIP):
        scene = sample_scene(split, seed, index)
        if sample_questions(scene, families):
            yield scene


def _events(scene: Scene | TaskScene) -> tuple[SoundEvent, ...]:
    return scene.clip.events if isinstance(scene, ClipScene) else scene.events


def _render_job(job: tuple[Scene | TaskScene, Path]) -> None:
    scene, out_dir = job
    if isinstance(scene, Scene):
        render_scene(scene, out_dir)
    else:
        render_task_scene(scene, out_dir)


def _render_all(scenes: list[Scene | TaskScene], out_dir: Path, workers: int, progress: bool) -> None:
    from tqdm import tqdm

    jobs = [(scene, out_dir) for scene in scenes]
    with tqdm(total=len(jobs), unit="clip", disable=not progress) as bar:
        if workers == 1:
            for job in jobs:
                _render_job(job)
                bar.update()
            return
        # spawn: neither eSpeak NG nor the threads of other libraries survive a fork
        with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
            for _ in pool.imap_unordered(_render_job, jobs, chunksize=8):
                bar.update()


def _question_line(scene: Scene, item: Question) -> dict:
    return {
        "messages": [{"role": "user", "content": item.question}, {"role": "assistant", "content": item.answer}],
        scene.medium: media_path(scene),
        "task": TASK_OF[item.family],
        "family": item.family,
        "streams": item.streams,
        "held_out": item.held_out,
        "scene": f"{scene.index:06d}",
    }


def _scene_line(scene: Scene) -> dict:
    name = {"scene": f"{scene.index:06d}", scene.medium: media_path(scene)}
    return {**name, **half_second_labels(scene), "ground_truth": scene.to_dict()}


def _write_lines(path: Path, lines: Iterable[dict]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
