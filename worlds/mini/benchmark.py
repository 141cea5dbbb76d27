# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The eleven tasks of AVEB in small: their scenes, their files, and their lines in manifests and annotations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .ac import AcScene
from .asr import AsrScene
from .avm import AvmScene
from .avsd import AvsdScene
from .avsr import AvsrScene
from .avssd import AvssdScene
from .ic import IcScene
from .isqa import IsqaScene
from .ocr import OcrScene
from .scene import FRAME_RATE, SAMPLING_RATE
from .task_scene import TaskQuestion, TaskScene
from .video_file import write_picture, write_sound, write_video
from .video_qa import VideoQaScene
from .vqa import VqaScene

TASK_SCENES: dict[str, type[TaskScene]] = {
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


def render_task_scene(scene: TaskScene, out_dir: Path) -> None:
    """Writes the media files of `scene` under `out_dir`."""
    paths = {kind: out_dir / path for kind, path in scene.media_paths.items()}
    if "video" in paths:
        write_video(paths["video"], scene.pictures(), FRAME_RATE, scene.sound(), SAMPLING_RATE)
    if "image" in paths:
        write_picture(paths["image"], scene.pictures()[0])
    if "audio" in paths:
        write_sound(paths["audio"], scene.sound(), SAMPLING_RATE)


def manifest_lines(scene: TaskScene, every: bool) -> Iterator[dict[str, Any]]:
    """A line of the training manifest for each question; a dialogue is one line."""
    for question in scene.questions(every):
        yield {
            "messages": _messages(question, len(question.turns)),
            **scene.media_paths,
            "task": scene.task,
            "family": question.family,
            "streams": question.streams,
            "held_out": question.held_out,
            "scene": scene.name,
        }


def scene_line(scene: TaskScene) -> dict[str, Any]:
    """The labels of `scene` and its ground truth."""
    return {"scene": scene.name, **scene.media_paths, **scene.labels(), "ground_truth": scene.to_dict()}


def annotation_lines(scene: TaskScene, every: bool) -> Iterator[dict[str, Any]]:
    """The fields of an EvalSample for each of the task's own questions; each turn of a dialogue is one, after those
    before it."""
    asked = [question for question in scene.questions(every) if question.benchmark]
    turns = [(question, number) for question in asked for number in range(len(question.turns))]
    for place, (question, number) in enumerate(turns, start=1):
        turn = question.turns[number]
        yield {
            "id": scene.name if len(turns) == 1 else f"{scene.name}-{place:02d}",
            "messages": _messages(question, number + 1)[:-1],
            "media": scene.media_paths,
            "references": list(turn.references or (turn.answer,)),
            "choices": list(turn.choices) if turn.choices else None,
            "use_own_audio": True,
            "extra": {
                **turn.extra,
                "family": question.family,
                "streams": question.streams,
                "held_out": question.held_out,
                "split": scene.split,
                "difficulty": scene.difficulty,
            },
        }


def _messages(question: TaskQuestion, turns: int) -> list[dict[str, str]]:
    """The first so many turns, as chat messages."""
    messages = []
    for turn in question.turns[:turns]:
        messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
    return messages
