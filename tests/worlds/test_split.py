# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What any world can build on: a scene of another world, written as a split and read by training and evaluation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

from favor.aveb_prompts import AVEB_PROMPTS
from favor.trainers.manifest import load_manifest
from favor.worlds.question import Prompts, Question, Turn, lesson, single
from favor.worlds.sampling import balanced, hashed_seed
from favor.worlds.scene import SAMPLING_RATE, Scene
from favor.worlds.split import write_scenes
from favor.worlds.timeline import NOTHING, SILENCE, sound_labels, steps_of

OPTIONS: dict[str, Any] = {
    **{"prompts": AVEB_PROMPTS, "difficulty": "only", "workers": 1, "progress": False},
    **{"every_question": False, "render": True},
}


@dataclass(frozen=True)
class Tone:
    start: float
    end: float
    name: str


@dataclass(frozen=True)
class ToneScene(Scene):
    """One second of grey at 4 pictures per second, with a tone in one of its halves; every third has no question."""

    task = "asr"
    frame_rate = 4
    media = ("video",)

    half: int

    @classmethod
    def sample(cls, split: str, seed: int, index: int, difficulty: str = "only") -> Self:
        half = balanced(f"{split}/{seed}", index, (0, 1))
        return cls(split, index, hashed_seed(f"tones/{split}/{seed}/{index}"), difficulty, half)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        dialogue = Question("both", "audio", (Turn("First?", "no"), Turn("Second?", "yes", ("yes", "yes, it is"))))
        return self.with_lesson(
            [single("asr", "audio", prompts.asr, f"tone {self.half}"), dialogue],
            [lesson("early", "audio", "Early?", "yes"), lesson("late", "audio", "Late?", "no")],
            every,
        )

    def half_second_words(self, line: Mapping[str, Any]) -> list[list[str]]:
        return [[NOTHING, sound] for sound in line["sound"]]

    def check_renderable(self) -> None:
        if self.split == "unrenderable":
            raise ValueError("a package is missing")

    def is_asked(self) -> bool:
        return self.index % 3 != 2

    def pictures(self) -> np.ndarray:
        return np.full((4, 32, 48, 3), 128, dtype=np.uint8)

    def sound(self) -> np.ndarray:
        times = np.arange(SAMPLING_RATE) / SAMPLING_RATE
        return (np.sin(2 * np.pi * 440 * times) * (times // 0.5 == self.half)).astype(np.float32)

    def labels(self) -> dict[str, list[str | None]]:
        return {"sound": sound_labels([Tone(self.half / 2, self.half / 2 + 0.5, "tone")], steps_of(1.0))}


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_second_world_needs_no_more_than_its_scenes(tmp_path: Path) -> None:
    written = write_scenes(tmp_path, "test", 4, 0, {"asr": ToneScene.sample}, **OPTIONS)
    scenes = read_lines(tmp_path / "test_scenes.jsonl")
    assert [line["scene"] for line in scenes] == ["asr_000000", "asr_000001", "asr_000003", "asr_000004"]
    for line in scenes:
        sounds = [SILENCE, SILENCE]
        sounds[line["ground_truth"]["half"]] = "tone"
        assert line["sound"] == sounds and line["half_second_words"] == [[NOTHING, sound] for sound in sounds]
        with av.open(str(tmp_path / line["video"])) as container:
            assert [frame.time for frame in container.decode(video=0)] == [0, 0.25, 0.5, 0.75]
    rows = load_manifest(written)  # the transcript, the dialogue and one lesson of each scene
    assert len(rows) == 12 and {len(row["messages"]) for row in rows} == {2, 4}
    asked = read_lines(tmp_path / "asr.jsonl")
    assert len(asked) == 12 and not any(line["extra"]["family"] in ("early", "late") for line in asked)
    first, second, third = asked[:3]
    assert (first["id"], first["messages"][0]["content"]) == ("asr_000000-01", AVEB_PROMPTS.asr)
    assert second["references"] == ["no"] and third["references"] == ["yes", "yes, it is"]
    assert [message["content"] for message in third["messages"]] == ["First?", "no", "Second?"]


def test_training_splits_and_lessons_have_no_annotations(tmp_path: Path) -> None:
    options = {**OPTIONS, "every_question": True, "render": False}
    written = write_scenes(tmp_path, "train", 2, 0, {"asr": ToneScene.sample}, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.jsonl", "train_scenes.jsonl"]
    assert [line["family"] for line in read_lines(written)] == 2 * ["asr", "both", "early", "late"]


def test_what_cannot_be_rendered_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a package is missing"):
        write_scenes(tmp_path / "new", "unrenderable", 1, 0, {"asr": ToneScene.sample}, **OPTIONS)
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotImplementedError, match="asr has no pictures; its media are video"):
        Scene.pictures(ToneScene.sample("test", 0, 0))


def test_balanced_options_come_equally_often_and_in_no_fixed_order() -> None:
    drawn = [balanced("key", index, (1, 2, 3)) for index in range(300)]
    blocks = {tuple(drawn[start : start + 3]) for start in range(0, 300, 3)}
    assert all(sorted(block) == [1, 2, 3] for block in blocks) and len(blocks) == 6
