# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes a split of any world: media files, the questions about them, and the ground truth of every scene."""

import itertools
import json
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .question import Prompts
from .scene import Scene

_MAX_SCENES_PER_ITEM = 1000  # sampled in vain before a choice of questions counts as impossible


class Sampler(Protocol):
    """Item number `index` of a split of one task."""

    def __call__(self, split: str, seed: int, index: int, difficulty: str) -> Scene: ...


def write_scenes(
    out_dir: str | Path,
    split: str,
    count: int,
    seed: int,
    samplers: Mapping[str, Sampler],
    *,
    prompts: Prompts,
    difficulty: str,
    workers: int,
    progress: bool,
    every_question: bool,
    render: bool,
) -> Path:
    """Renders `count` items of each task and writes what is asked about them; the same arguments give the same files.

    Writes `media/*.mp4|.png|.wav`, `{split}.jsonl` (one line per question or dialogue; paths relative to it),
    `{split}_scenes.jsonl` (one line per item: labels and ground truth) and, but for "train" and for tasks without
    questions of a benchmark, `{task}.jsonl` (what `favor eval` reads, one line per question).

    Args:
        out_dir: folder to write to; made if missing.
        split: name of the split.
        count: number of items of each task; those of which nothing can be asked are passed over.
        seed: seed of the split.
        samplers: of each task, by its name, in the order in which items are written.
        prompts: how the benchmark asks.
        difficulty: passed on to `samplers`.
        workers: processes that render; 1 renders in this process. A script that asks for more must guard its start by
            `if __name__ == "__main__":`.
        progress: whether to show a progress bar.
        every_question: ask all that can be asked of an item, for training; else a few questions, those of the
            benchmark among them.
        render: False writes no media, only what would be asked about them and what they would hold: for a training
            stage that reads `half_second_words` in their place.

    Returns:
        The path of `{split}.jsonl`.

    Raises:
        ValueError: count or workers below 1, or `out_dir` holds a split.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; pass the number of items of each task.")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}; pass the number of processes.")
    items = {
        name: list(itertools.islice(_asked_scenes(sample, split, seed, difficulty, count), count))
        for name, sample in samplers.items()
    }
    everything = list(itertools.chain.from_iterable(items.values()))
    out_dir = Path(out_dir)
    questions_path, media = out_dir / f"{split}.jsonl", out_dir / "media"
    if questions_path.exists() or (media.exists() and any(media.iterdir())):
        raise ValueError(f"out_dir {str(out_dir)!r} already holds a rendered split; remove it or choose another.")
    if render:
        for scene in everything:
            scene.check_renderable()
        media.mkdir(parents=True, exist_ok=True)
        _render_all(everything, out_dir, workers, progress)
    out_dir.mkdir(parents=True, exist_ok=True)
    _write_lines(out_dir / f"{split}_scenes.jsonl", (scene.line() for scene in everything))
    lessons = (line for scene in everything for line in scene.manifest_lines(every_question, prompts))
    _write_lines(questions_path, lessons)
    for name, scenes in items.items() if split != "train" else ():
        asked = [line for scene in scenes for line in scene.annotation_lines(every_question, prompts)]
        if asked:
            _write_lines(out_dir / f"{name}.jsonl", asked)
    return questions_path


def _asked_scenes(sample: Sampler, split: str, seed: int, difficulty: str, count: int) -> Iterator[Scene]:
    """The scenes of a split of which something can be asked."""
    for index in range(count * _MAX_SCENES_PER_ITEM):
        scene = sample(split, seed, index, difficulty)
        if scene.is_asked():
            yield scene


def _render_job(job: tuple[Scene, Path]) -> None:
    scene, out_dir = job
    scene.render(out_dir)


def _render_all(scenes: Sequence[Scene], out_dir: Path, workers: int, progress: bool) -> None:
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


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
