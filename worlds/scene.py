# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What every item of every world is: a scene that can be sampled, drawn, heard, labelled and asked about."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from .question import Prompts, Question
from .video_file import write_picture, write_sound, write_video

SAMPLING_RATE = 16000  # of all sounds, in Hz


@dataclass(frozen=True)
class Scene(ABC):
    """Ground truth of the files of one item; `seed` drives what is left to chance in rendering and in questions.

    A subclass declares `task` and `frame_rate` (pictures per second) and adds its own fields, all of them
    JSON-serialisable.
    """

    task: ClassVar[str]
    frame_rate: ClassVar[int]
    suffixes: ClassVar[dict[str, str]] = {"video": ".mp4", "image": ".png", "audio": ".wav"}

    split: str
    index: int
    seed: int
    difficulty: str

    @classmethod
    @abstractmethod
    def sample(cls, split: str, seed: int, index: int, difficulty: str = "standard") -> Self:
        """Samples item number `index` of a split, from 0; splits never share a random seed."""

    @property
    @abstractmethod
    def media(self) -> tuple[str, ...]:
        """The kinds of file: ("audio",), ("image",), ("image", "audio") or ("video",)."""

    @abstractmethod
    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        """What is asked; with `every` all that can be asked, else the benchmark's questions and some to learn from."""

    @abstractmethod
    def half_second_words(self, line: Mapping[str, Any]) -> list[list[str]]:
        """Words for what each half second shows and sounds, from the other fields of the scene's `line`."""

    @abstractmethod
    def check_renderable(self) -> None:
        """Raises what rendering would raise for want of an optional package, before anything is written."""

    def pictures(self) -> np.ndarray:
        """All frames, (frames, height, width, 3) uint8; a still has one.

        Raises `NotImplementedError` of a scene whose `media` have no pictures.
        """
        raise NotImplementedError(f"{self.task} has no pictures; its media are {', '.join(self.media)}.")

    def sound(self) -> np.ndarray:
        """The sound track, (samples,) float32 mono in [-1, 1] at 16 kHz.

        Raises `NotImplementedError` of a scene whose `media` have no sound.
        """
        raise NotImplementedError(f"{self.task} has no sound; its media are {', '.join(self.media)}.")

    def labels(self) -> dict[str, list[str | None]]:
        """Label lists by name, one value per half second, or one for a still; what is not labelled has no list."""
        return {}

    def is_asked(self) -> bool:
        """Whether there is anything to ask; if not, a split passes the scene over."""
        return True

    @property
    def name(self) -> str:
        return f"{self.task}_{self.index:06d}"

    @property
    def media_paths(self) -> dict[str, str]:
        """The files, relative to the split's folder, by kind."""
        return {kind: f"media/{self.name}{self.suffixes[kind]}" for kind in self.media}

    def with_lesson(self, benchmark: list[Question], lessons: list[Question], every: bool) -> list[Question]:
        """The benchmark's questions, and all `lessons` or one of them."""
        if every or not lessons:
            return [*benchmark, *lessons]
        return [*benchmark, random.Random(f"lesson/{self.seed}").choice(lessons)]

    def task_of(self, question: Question) -> str:
        """The name under which training counts `question`."""
        return self.task

    def to_dict(self) -> dict[str, Any]:
        """The scene as JSON-serialisable values."""
        return asdict(self)

    def render(self, out_dir: str | Path) -> dict[str, Path]:
        """Writes the media files under `out_dir`, which has a folder `media`, and returns their paths by kind."""
        paths = {kind: Path(out_dir) / path for kind, path in self.media_paths.items()}
        if "video" in paths:
            write_video(paths["video"], self.pictures(), self.frame_rate, self.sound(), SAMPLING_RATE)
        if "image" in paths:
            write_picture(paths["image"], self.pictures()[0])
        if "audio" in paths:
            write_sound(paths["audio"], self.sound(), SAMPLING_RATE)
        return paths

    def line(self) -> dict[str, Any]:
        """The scene's line in `{split}_scenes.jsonl`: labels, ground truth and the words of each half second."""
        line = {"scene": self.name, **self.media_paths, **self.labels(), "ground_truth": self.to_dict()}
        return {**line, "half_second_words": self.half_second_words(line)}

    def manifest_lines(self, every: bool, prompts: Prompts) -> Iterator[dict[str, Any]]:
        """A line of the training manifest for each question; a dialogue is one line."""
        for question in self.questions(every, prompts):
            yield {
                "messages": question.messages(len(question.turns)),
                **self.media_paths,
                "task": self.task_of(question),
                "family": question.family,
                "streams": question.streams,
                "held_out": question.held_out,
                "scene": self.name,
            }

    def annotation_lines(self, every: bool, prompts: Prompts) -> Iterator[dict[str, Any]]:
        """The fields of an EvalSample for each of the task's own questions.

        Each turn of a dialogue is one, after those before it.
        """
        asked = [question for question in self.questions(every, prompts) if question.benchmark]
        turns = [(question, number) for question in asked for number in range(len(question.turns))]
        for place, (question, number) in enumerate(turns, start=1):
            turn = question.turns[number]
            yield {
                "id": self.name if len(turns) == 1 else f"{self.name}-{place:02d}",
                "messages": question.messages(number + 1)[:-1],
                "media": self.media_paths,
                "references": list(turn.references or (turn.answer,)),
                "choices": list(turn.choices) if turn.choices else None,
                "use_own_audio": True,
                "extra": {
                    **turn.extra,
                    "family": question.family,
                    "streams": question.streams,
                    "held_out": question.held_out,
                    "split": self.split,
                    "difficulty": self.difficulty,
                },
            }
