# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes a split of AVEB-mini: media files, the questions about them, and the ground truth of every scene."""

import itertools
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

from .picture import render_frames
from .questions import TASK_OF, Question, parse_tasks, sample_questions
from .scene import FRAME_RATE, SAMPLING_RATE, Scene, half_second_labels, sample_scene
from .sound import render_sound
from .speech import load_loader
from .video_file import write_picture, write_sound, write_video

_SUFFIXES = {"video": ".mp4", "image": ".png", "audio": ".wav"}
_MAX_SCENES_PER_CLIP = 1000  # sampled in vain before a choice of tasks counts as impossible


def write_split(
    out_dir: str | Path,
    split: str,
    count: int,
    seed: int,
    tasks: str = "all",
    workers: int = 2,
    progress: bool = True,
    every_question: bool = False,
) -> Path:
    """Renders `count` clips (of them about a tenth stills and a tenth sounds) and writes their questions.

    Writes `media/NNNNNN.mp4|.png|.wav`, `{split}.jsonl` (one line a question; paths relative to it) and
    `{split}_scenes.jsonl` (one line a clip: half-second labels, sound events, segments). The same split, seed,
    count and tasks give the same files.

    Args:
        out_dir: folder to write to; made if missing.
        split: "train", "validation", "test" or "compositional".
        count: number of clips.
        seed: seed of the split.
        tasks: "all", or task and family names separated by commas (see `questions.TASKS`); clips to which none applies
            are passed over.
        workers: processes that render; 1 renders in this process. A script that asks for more must guard its start by
            `if __name__ == "__main__":`.
        progress: whether to show a progress bar.
        every_question: ask all that can be asked of a clip, for training, instead of six to ten questions.

    Returns:
        The path of `{split}.jsonl`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; pass the number of clips to render.")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}; pass the number of processes.")
    families = parse_tasks(tasks)
    scenes = list(itertools.islice(_asked_scenes(split, seed, families, count), count))
    out_dir = Path(out_dir)
    questions_path, scenes_path = out_dir / f"{split}.jsonl", out_dir / f"{split}_scenes.jsonl"
    media = out_dir / "media"
    if questions_path.exists() or (media.exists() and any(media.iterdir())):
        raise ValueError(f"out_dir {str(out_dir)!r} already holds a rendered split; remove it or choose another.")
    if any(event.word for scene in scenes for event in scene.events):
        load_loader()  # fails before anything is written
    media.mkdir(parents=True, exist_ok=True)
    _render_all(scenes, out_dir, workers, progress)
    _write_lines(scenes_path, (_scene_line(scene) for scene in scenes))
    _write_lines(
        questions_path,
        (
            _question_line(scene, item)
            for scene in scenes
            for item in sample_questions(scene, families, every_question)
        ),
    )
    return questions_path


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


def _render_job(job: tuple[Scene, Path]) -> None:
    render_scene(*job)


def _render_all(scenes: list[Scene], out_dir: Path, workers: int, progress: bool) -> None:
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


def _write_lines(path: Path, lines: Iterator[dict]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
