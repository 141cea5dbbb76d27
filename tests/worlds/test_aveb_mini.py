# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVEB-mini: scenes obey their world, answers follow from scenes by a second reckoning, media show what scenes say."""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from favor.aveb_prompts import AVEB_PROMPTS
from favor.commands import synth
from favor.worlds.mini import speech
from favor.worlds.mini.clip import Clip
from favor.worlds.mini.dataset import TASK_SCENES, parse_tasks, write_split
from favor.worlds.mini.moments import MomentsScene
from favor.worlds.mini.picture import RGB, render_frames
from favor.worlds.mini.questions import FAMILIES, TASK_OF, TASKS, sample_questions
from favor.worlds.mini.sound import render_sound
from favor.worlds.mini.world import (
    COLOURS,
    SHAPES,
    SOUNDS,
    SPLITS,
    VOICES,
    WORDS,
    is_held_out_shape,
    is_held_out_sound,
)


def sample_clip(split: str, seed: int, index: int) -> Clip:
    return MomentsScene.sample(split, seed, index).clip


SCENES = {split: [sample_clip(split, 7, index) for index in range(300)] for split in SPLITS}
ALL_SCENES = [scene for scenes in SCENES.values() for scene in scenes]
CLIPS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered test split."""
    out_dir = tmp_path_factory.mktemp("aveb") / "test"
    write_split(out_dir, "test", CLIPS, seed=3, workers=1, progress=False, prompts=AVEB_PROMPTS)
    return out_dir


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def decode(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, their times and sound, as any player sees them."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        blocks = list(container.decode(audio=0))
    assert blocks[0].time == 0 and blocks[0].sample_rate == 16000
    pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    audio = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return pictures, np.array([frame.time for frame in frames]), audio


def seen_shape(picture: np.ndarray, text_rows: slice | None) -> tuple[str, str]:
    """Colour and shape in a picture, by hue and by how the bright area fills its circle and its box."""
    bright = picture.max(axis=2) > 95
    if text_rows:
        bright[text_rows] = False
    rows, columns = np.nonzero(bright)
    mean = np.median(picture[bright], axis=0)
    colour = min(RGB, key=lambda name: np.abs(mean - np.array(RGB[name])).sum())
    centre = rows.mean(), columns.mean()
    radius = np.hypot(rows - centre[0], columns - centre[1]).max() + 0.5
    roundness = bright.sum() / (np.pi * radius**2)
    filling = bright.sum() / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
    if roundness > 0.5:
        return colour, "circle" if roundness > 0.82 else "square"
    return colour, "triangle" if filling > 0.435 else "star"


# --- scenes


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_obey_the_world(split: str) -> None:
    for scene in SCENES[split]:
        colours = [segment.colour for segment in scene.segments]
        shapes = [segment.shape for segment in scene.segments]
        assert len(set(colours)) == len(colours) and set(colours) <= set(COLOURS) and set(shapes) <= set(SHAPES)
        assert all(a != b for a, b in zip(shapes, shapes[1:], strict=False))
        if scene.medium == "video":
            assert 4 <= scene.duration <= 8 and 3 <= len(scene.segments) <= 5 and 1 <= len(scene.events) <= 4
            borders = [0.0, *(segment.end for segment in scene.segments)]
            assert borders[-1] == scene.duration and all(border % 0.5 == 0 for border in borders)
            assert [segment.start for segment in scene.segments] == borders[:-1]
            assert all(1.0 <= segment.end - segment.start <= 2.5 for segment in scene.segments)
        elif scene.medium == "image":
            assert len(scene.segments) == 1 and not scene.events
        else:
            assert not scene.segments and scene.events and scene.screen_word is None


def test_sounds_lie_within_one_segment_and_apart() -> None:
    for scene in ALL_SCENES:
        names = [event.word or event.kind for event in scene.events]
        assert len(set(names)) == len(names)
        for event in scene.events:
            assert event.kind in SOUNDS
            assert (event.word in WORDS) == (event.voice in VOICES) == (event.kind == "speech")
            if scene.segments:
                assert any(s.start + 0.1 <= event.start < event.end <= s.end - 0.1 for s in scene.segments)
        for earlier, later in zip(scene.events, scene.events[1:], strict=False):
            assert later.start - earlier.end >= 0.199


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 2**40), st.integers(0, 10**6))
def test_a_scene_is_a_function_of_its_number(split: str, seed: int, index: int) -> None:
    assert sample_clip(split, seed, index) == sample_clip(split, seed, index)


def test_splits_share_no_scene() -> None:
    assert len({scene.seed for scene in ALL_SCENES}) == len(ALL_SCENES)
    looks = [{(s.segments, s.events) for s in SCENES[split] if s.medium == "video"} for split in SPLITS]
    assert not looks[0] & looks[1] and not looks[0] & looks[2] and not looks[1] & looks[2]


def combinations(scenes: list[Clip]) -> tuple[Counter, Counter]:
    """How often each (colour, shape) and each (colour, sound) occurs at one moment."""
    shapes = Counter((segment.colour, segment.shape) for scene in scenes for segment in scene.segments)
    sounds = Counter(
        (segment.colour, event.kind)
        for scene in scenes
        for event in scene.events
        for segment in scene.segments
        if segment.start <= event.start < segment.end
    )
    return shapes, sounds


def test_held_out_combinations_occur_in_the_splits_that_say_so() -> None:
    held_shapes = {(c, s) for i, c in enumerate(COLOURS) for j, s in enumerate(SHAPES) if (i + j) % 6 == 0}
    held_sounds = {(c, s) for i, c in enumerate(COLOURS) for j, s in enumerate(SOUNDS) if (i + 2 * j) % 5 == 0}
    assert all(is_held_out_shape(*pair) for pair in held_shapes)
    assert all(is_held_out_sound(*pair) for pair in held_sounds)
    all_shapes = {(c, s) for c in COLOURS for s in SHAPES}
    all_sounds = {(c, s) for c in COLOURS for s in SOUNDS}
    for split in ("train", "validation", "test"):
        shapes, sounds = combinations([*SCENES[split], *(sample_clip(split, 8, i) for i in range(300))])
        assert set(shapes) == (all_shapes if split == "test" else all_shapes - held_shapes)
        assert set(sounds) == all_sounds - held_sounds
    shapes, sounds = combinations(SCENES["compositional"])
    assert held_shapes <= set(shapes) and held_sounds <= set(sounds)
    assert 0.35 < sum(sounds[pair] for pair in held_sounds) / sounds.total() < 0.7


# --- questions


class Asked(NamedTuple):
    """A question of one turn."""

    question: str
    answer: str
    family: str
    streams: str
    held_out: bool


def asked_of(clip: Clip, families: frozenset[str] = FAMILIES, every: bool = False) -> list[Asked]:
    found = sample_questions(clip, families, every)
    assert all(len(item.turns) == 1 and not item.benchmark for item in found)
    return [Asked(i.turns[0].question, i.turns[0].answer, i.family, i.streams, i.held_out) for i in found]


def heard_at(truth: dict, start: float) -> str:
    for event in truth["events"]:
        if min(event["end"], start + 0.5) - max(event["start"], start) >= 0.15:
            return event["word"] or event["kind"]
    return "silence"


def clear_timeline(truth: dict) -> list[tuple[str | None, str | None, str]]:
    """Colour, shape and sound of each half second, reckoned from exact times; no half second is a close call."""
    entries = []
    for start in np.arange(0, truth["duration"], 0.5):
        amounts = [min(e["end"], start + 0.5) - max(e["start"], start) for e in truth["events"]]
        assert all(amount < 0.081 or amount > 0.219 for amount in amounts), (truth["events"], start)
        assert sum(amount > 0.15 for amount in amounts) <= 1
        shown = next((s for s in truth["segments"] if s["start"] <= start < s["end"]), {"colour": None, "shape": None})
        entries.append((shown["colour"], shown["shape"], heard_at(truth, start)))
    return entries


def reckon(truth: dict, question: str, family: str) -> str:
    """The answer, read off the ground truth by the wording of the question alone."""
    segments, events = truth["segments"], truth["events"]
    colours = [segment["colour"] for segment in segments]
    if family == "timeline_screen_word":
        word = truth["screen_word"]
        starts = np.arange(0, truth["duration"], 0.5)
        return ", ".join(word["word"] if word["start"] <= start < word["end"] else "none" for start in starts)
    if family.startswith("timeline"):
        columns = {"colour": (0,), "shape": (1,), "sound": (2,)}.get(family.removeprefix("timeline_"), (0, 1, 2))
        return ", ".join(" ".join(entry[c] for c in columns) for entry in clear_timeline(truth))
    if family == "screen_word":
        return truth["screen_word"]["word"]
    if family == "spoken_word":
        (word,) = [event["word"] for event in events if event["word"]]
        return word
    if family in ("colour_while_sound", "shape_while_sound"):
        quoted = re.search(r'"(\w+)"', question)
        named = {quoted[1]} if quoted else set(re.findall(r"\w+", question)) & {"beep", "hum", "noise", "bell"}
        (event,) = [event for event in events if (event["word"] or event["kind"]) in named]
        (segment,) = [s for s in segments if s["start"] < event["start"] and event["end"] < s["end"]]
        return segment["colour" if family.startswith("colour") else "shape"]
    asked = next((colour for colour in COLOURS if re.search(rf"\b{colour}\b", question)), None)
    if family == "sound_while_colour":
        shown = segments[colours.index(asked)]
        (event,) = [e for e in events if shown["start"] < e["start"] and e["end"] < shown["end"]]
        return event["kind"]
    if asked:
        step = -1 if "before" in question else 1
        position = colours.index(asked) + step
        assert position >= 0
        return colours[position]
    values = {"colour_when": colours, "shape_when": [s["shape"] for s in segments]}.get(family)
    values = values or [event["kind"] for event in events]
    if re.search("start|first", question):
        return values[0]
    if re.search("end|last", question):
        return values[-1]
    (only,) = values
    return only


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_follows_from_the_ground_truth(split: str) -> None:
    families: Counter = Counter()
    for scene in SCENES[split]:
        truth = json.loads(json.dumps(scene.to_dict()))
        questions = asked_of(scene)
        assert len({(item.question, item.answer) for item in questions}) == len(questions)
        for item in questions:
            assert item.answer == reckon(truth, item.question, item.family), (item, truth)
            families[item.family] += 1
        if scene.medium == "video":
            assert 6 <= len(questions) <= 10 and questions[0].family == "timeline"
        every = asked_of(scene, every=True)
        assert {item.family for item in questions} <= {item.family for item in every}
        assert len({item.question for item in every}) == len(every) >= len(questions)
        for item in every:
            assert item.answer == reckon(truth, item.question, item.family), (item, truth)
    assert set(families) == set(TASK_OF) and min(families.values()) > 50


def test_streams_name_what_a_question_needs() -> None:
    needed = {"image": {"visual"}, "audio": {"audio"}, "video": {"visual", "audio", "both"}}
    for scene in ALL_SCENES:
        for item in asked_of(scene):
            assert item.streams in needed[scene.medium]
            if item.streams != "audio":
                assert item.held_out <= (scene.split in ("test", "compositional"))


def test_answers_to_questions_about_both_streams_are_not_guessable() -> None:
    answers: dict[str, Counter] = {}
    for scene in (sample_clip("train", 9, index) for index in range(900)):
        for item in asked_of(scene, frozenset(family.__name__ for family in TASKS["av_qa"])):
            answers.setdefault(item.family, Counter())[item.answer] += 1
    for family, counts in answers.items():
        assert counts.most_common(1)[0][1] / counts.total() < 2 / len(counts), (family, counts)


def test_tasks_select_families() -> None:
    def chosen(tasks: str) -> list[tuple[str, frozenset[str] | None]]:
        """Each task in its order, and the families of those that have some."""
        sampled = {name: sample("train", 0, 0, "standard") for name, sample in parse_tasks(tasks).items()}
        assert all(isinstance(scene, {"moments": MomentsScene, **TASK_SCENES}[n]) for n, scene in sampled.items())
        return [(name, getattr(scene, "families", None)) for name, scene in sampled.items()]

    assert chosen("moments") == [("moments", FAMILIES)] and set(TASK_OF) == FAMILIES
    assert chosen("audio_qa, colour_when") == [("moments", {"sound_order", "colour_when"})]
    assert chosen("avm, spoken_word,asr") == [("moments", {"spoken_word"}), ("asr", None), ("avm", None)]
    assert chosen("all") == [(task, None) for task in TASK_SCENES] and len(TASK_SCENES) == 11
    with pytest.raises(ValueError, match=r"tasks names 'nonsense'.*choose from: all, .*ocr"):
        parse_tasks("ocr,nonsense")


# --- media


def test_labels_and_pictures_agree(folder: Path) -> None:
    shapes_seen = 0
    for line in read_lines(folder / "test_scenes.jsonl"):
        if "video" not in line:
            continue
        pictures, times, _ = decode(folder / line["video"])
        assert np.allclose(times, np.arange(len(times)) / 8) and len(times) == 8 * line["ground_truth"]["duration"]
        word = line["ground_truth"]["screen_word"]
        rows = {None: None, "top": slice(0, 36), "bottom": slice(92, None)}[word and word["position"]]
        for i, label in enumerate(zip(line["colour"], line["shape"], strict=True)):
            for picture in pictures[4 * i : 4 * i + 4]:
                assert seen_shape(picture, rows) == label, (line["video"], i)
                shapes_seen += 1
        if word:
            lit = np.array([picture[rows].min(axis=2).max() > 150 for picture in pictures])
            assert np.array_equal(lit, np.repeat([shown is not None for shown in line["screen_word"]], 4))
    assert shapes_seen > 400


def test_labels_and_sounds_agree(folder: Path) -> None:
    kinds: Counter = Counter()
    for line in read_lines(folder / "test_scenes.jsonl"):
        if "video" not in line:
            continue
        _, _, audio = decode(folder / line["video"])
        truth = line["ground_truth"]
        assert truth["duration"] - 0.064 <= len(audio) / 16000 <= truth["duration"]
        loud = np.sqrt(np.convolve(audio**2, np.full(80, 1 / 80), "same")) > 4 * truth["noise_level"]  # 5 ms windows
        for event in truth["events"]:
            start, end = round(event["start"] * 16000), round(event["end"] * 16000)
            kinds[event["kind"]] += 1
            onset = start - 1600 + np.flatnonzero(loud[start - 1600 : end])[0]
            late = 0.1 if event["word"] else 0.03  # a word may begin with a faint consonant
            assert abs(onset - start) < late * 16000, (line["video"], event)
            spectrum = np.abs(np.fft.rfft(audio[start:end])) ** 2
            peak = np.argmax(spectrum) / (end - start) * 16000
            if event["kind"] in ("beep", "hum", "bell"):
                assert abs(peak - event["pitch"]) < 5
            elif event["kind"] == "noise":
                assert spectrum.max() < 0.02 * spectrum.sum()
            loud[start - 960 : end + 960] = False  # AAC smears up to a block
        assert not loud[: len(audio) - 480].any(), line["video"]
    assert set(kinds) == set(SOUNDS)


def test_stills_and_sounds_are_what_was_rendered(tmp_path: Path) -> None:
    write_split(tmp_path, "validation", 40, seed=0, tasks="moments", workers=1, progress=False, prompts=AVEB_PROMPTS)
    lines = {line["scene"]: line for line in read_lines(tmp_path / "validation_scenes.jsonl")}
    media = Counter(next(key for key in ("video", "image", "audio") if key in line) for line in lines.values())
    assert media["image"] and media["audio"]
    for line in lines.values():
        scene = sample_clip("validation", 0, int(line["scene"]))
        assert json.loads(json.dumps(scene.to_dict())) == line["ground_truth"]
        if scene.medium == "image":
            assert np.array_equal(np.asarray(Image.open(tmp_path / line["image"])), render_frames(scene)[0])
            assert len(line["colour"]) == 1 and line["sound"] == [None]
        elif scene.medium == "audio":
            with av.open(str(tmp_path / line["audio"])) as container:
                audio = np.concatenate([block.to_ndarray()[0] for block in container.decode(audio=0)])
            assert np.allclose(audio / 32768, render_sound(scene), atol=2e-4)
            assert set(line["colour"]) == {None}


def test_a_word_fills_its_time_in_every_voice() -> None:
    spoken = {voice: speech.speak("tiger", voice, 50, 9600, 16000) for voice in VOICES}
    for samples in spoken.values():
        assert samples.shape == (9600,) and np.abs(samples).max() == pytest.approx(1)
        assert np.abs(samples[:1600]).max() > 0.02 and np.abs(samples[-1600:]).max() > 0.02
    assert len({samples.tobytes() for samples in spoken.values()}) == len(VOICES)
    with pytest.raises(ValueError, match="not on record"):
        speech.speak("zebra", "en-us", 50, 9600, 16000)


def test_missing_espeak_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speech, "_bank", speech._bank.__wrapped__)
    monkeypatch.setattr(speech, "engine", speech.engine.__wrapped__)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ValueError, match="pip install espeakng-loader"):
        speech.speak("tiger", "en", 50, 9600, 16000)
    with pytest.raises(ValueError, match="pip install espeakng-loader"):
        write_split(tmp_path / "new", "test", 4, seed=0, progress=False, prompts=AVEB_PROMPTS)
    assert not (tmp_path / "new").exists()


# --- the split


def test_the_split_is_reproducible_and_complete(folder: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "again", "test", CLIPS, seed=3, workers=2, progress=False, prompts=AVEB_PROMPTS)
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert len(files) == CLIPS + 2
    scenes = {line["scene"]: line for line in read_lines(folder / "test_scenes.jsonl")}
    for line in read_lines(folder / "test.jsonl"):
        (medium,) = {"video", "image", "audio"} & set(line)
        assert (folder / line[medium]).is_file() and scenes[line["scene"]][medium] == line[medium]
        assert [message["role"] for message in line["messages"]] == ["user", "assistant"]
        assert line["task"] == TASK_OF[line["family"]] and line["streams"] in ("visual", "audio", "both")
        assert isinstance(line["held_out"], bool)
    assert all(
        line[key] == sample_clip("test", 3, int(line["scene"])).labels()[key]
        for line in scenes.values()
        for key in ("colour", "shape", "screen_word", "sound")
    )


def test_favor_synth_renders_the_chosen_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    synth.add_arguments(parser)
    options = ["--task", "screen_word", "--count", "3", "--seed", "5", "--workers", "1"]
    assert synth.run(parser.parse_args([str(tmp_path), *options])) == 0
    written = Path(capsys.readouterr().out.strip())
    lines = read_lines(written)
    assert written == tmp_path / "test.jsonl"
    assert len(lines) == 3 and {line["family"] for line in lines} == {"screen_word"}


def test_errors_name_the_argument_and_the_remedy(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already holds a rendered split; remove it or choose another"):
        write_split(folder, "test", 1, seed=0, progress=False, prompts=AVEB_PROMPTS)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        write_split(tmp_path, "test", 0, seed=0, prompts=AVEB_PROMPTS)
    with pytest.raises(ValueError, match="workers must be at least 1"):
        write_split(tmp_path, "test", 1, seed=0, workers=0, prompts=AVEB_PROMPTS)
    with pytest.raises(ValueError, match="split must be one of train, validation, test, compositional, got 'dev'"):
        write_split(tmp_path, "dev", 1, seed=0, prompts=AVEB_PROMPTS)
    with pytest.raises(ValueError, match="'marimba'"):
        write_split(tmp_path, "test", 1, seed=0, tasks="marimba", prompts=AVEB_PROMPTS)
