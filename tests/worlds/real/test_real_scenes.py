# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scenes of real things: answers, splits that share nothing, and what the text or one stream alone can tell."""

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from favor.aveb_prompts import AVEB_PROMPTS
from favor.worlds.real.assets import SPLITS, Assets
from favor.worlds.real.dataset import EXTRA_SCENES, PEOPLE_TASKS, TASK_SCENES, parse_tasks
from favor.worlds.real.names import a
from favor.worlds.real.scene import RealScene
from favor.worlds.real.stills import RELATIONS
from favor.worlds.real.voices import VOICES

SCENES = {**TASK_SCENES, **EXTRA_SCENES}
_COUNT = 1200


@pytest.fixture(autouse=True)
def _speakers(speakers: None) -> None:
    """AVSR's length is that of its speech."""


def scenes_of(assets: Assets, task: str, split: str = "train", count: int = _COUNT) -> list[RealScene]:
    return _scenes_of(assets.root, task, split, count)


@cache
def _scenes_of(root: str, task: str, split: str, count: int) -> list[RealScene]:
    assets = Assets.load(root)
    return [SCENES[task].sample(split, 5, index, "standard", assets) for index in range(count)]


def truth_of(scene: RealScene) -> dict[str, Any]:
    return json.loads(json.dumps(scene.to_dict()))


def asked_of(scene: RealScene) -> tuple[str, str]:
    """The first question and its reference, as `favor eval` reads them."""
    line = next(iter(scene.annotation_lines(False, AVEB_PROMPTS)))
    return line["messages"][-1]["content"], line["references"][0]


def values_of(truth: Any, *keys: str) -> Iterator[Any]:
    """All values of these keys, anywhere in the ground truth."""
    if isinstance(truth, dict):
        for name, value in truth.items():
            if name in keys and value:
                yield value
            yield from values_of(value, *keys)
    elif isinstance(truth, list):
        for value in truth:
            yield from values_of(value, *keys)


def learnt_accuracy(clues: Sequence[Hashable], answers: Sequence[Hashable]) -> float:
    """How often the commonest answer to a clue in the first half is right in the second half."""
    half = len(clues) // 2
    seen: dict[Hashable, Counter] = {}
    for clue, answer in zip(clues[:half], answers[:half], strict=True):
        seen.setdefault(clue, Counter())[answer] += 1
    hits = [
        clue in seen and seen[clue].most_common(1)[0][0] == answer
        for clue, answer in zip(clues[half:], answers[half:], strict=True)
    ]
    return float(np.mean(hits))


def assert_chance(accuracy: float, chance: float, count: int = _COUNT // 2) -> None:
    """Not above chance by more than four standard errors."""
    assert accuracy <= chance + 4 * (chance * (1 - chance) / count) ** 0.5, (accuracy, chance)


# --- every task


@pytest.mark.parametrize("task", SCENES)
def test_a_scene_is_a_function_of_its_number(assets: Assets, task: str) -> None:
    for split in ("people",) if task in PEOPLE_TASKS else ("train", "test"):
        for index in range(10):
            scenes = [SCENES[task].sample(split, 3, index, "standard", assets) for _ in range(2)]
            assert scenes[0] == scenes[1]
            assert scenes[0].questions(True, AVEB_PROMPTS) == scenes[1].questions(True, AVEB_PROMPTS)
            truth = truth_of(scenes[0])
            assert "root" not in truth and truth["index"] == index


@pytest.mark.parametrize("task", SCENES)
def test_tests_hold_no_picture_sound_voice_or_sentence_of_training(assets: Assets, task: str) -> None:
    hashes = {asset.path: asset.sha256 for asset in assets.assets}
    trained: set[str] = set()
    tested: set[str] = set()
    for split in SPLITS:
        if split == "people" and task not in PEOPLE_TASKS:
            continue
        for scene in scenes_of(assets, task, split, 60):
            truth = truth_of(scene)
            used = {hashes[file] for file in values_of(truth, "file")}
            used |= {f"{voice['engine']} {voice['name']}" for voice in values_of(truth, "voice")}
            if task == "asr_free":
                used |= {event["name"].lower() for event in truth["events"]}
            (trained if split in ("train", "validation") else tested).update(used)
    assert trained and tested and not trained & tested


def test_voices_of_tests_are_in_no_training() -> None:
    assert not set(VOICES["train"]) & {voice for split in SPLITS[2:] for voice in VOICES[split]}


@pytest.mark.parametrize("task", SCENES)
def test_another_split_is_another_scene(assets: Assets, task: str) -> None:
    seeds = [
        SCENES[task].sample(split, 1, index, "standard", assets).seed
        for split in ("train", "test", "validation")
        for index in range(20)
    ]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("tasks", "split", "words"),
    [("ic", "people", "people say"), ("moments", "train", "choose from: all"), ("all", "compositional", "joe")],
)
def test_what_a_split_has_not_is_refused(tasks: str, split: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_tasks(tasks, split)


def test_all_of_people_are_the_tasks_in_which_they_speak() -> None:
    assert tuple(parse_tasks("all", "people")) == PEOPLE_TASKS and set(parse_tasks("all", "test")) == set(TASK_SCENES)


# --- answers by a second reckoning


def test_vqa_answers_are_what_lies_there(assets: Assets) -> None:
    step = {"to the left of": (-1, 0), "to the right of": (1, 0), "above": (0, -1), "below": (0, 1)}
    for scene in scenes_of(assets, "vqa", count=300):
        sprites = truth_of(scene)["sprites"]
        for fact in truth_of(scene)["facts"]:
            if fact["kind"] == "count":
                numbers = {"one": 1, "two": 2, "three": 3, "four": 4}
                assert numbers[fact["answer"]] == Counter(one["thing"] for one in sprites).most_common(1)[0][1]
            elif fact["kind"] == "is_there":
                there = any(f" {a(one['thing'])} in" in fact["question"] for one in sprites)
                assert fact["answer"] == ("yes" if there else "no")
            else:
                relation = next(name for name in RELATIONS if name in fact["question"])
                known = next(one for one in sprites if fact["question"].endswith(f"the {one['thing']}?"))
                x, y = step[relation]
                ways = [
                    (one["x"] - known["x"], one["y"] - known["y"]) for one in sprites if one["thing"] == fact["answer"]
                ]
                assert any(
                    across * x + down * y > 0.3 and abs(across * y) + abs(down * x) < 0.2 for across, down in ways
                )


def test_captions_say_where_the_first_thing_is(assets: Assets) -> None:
    for scene in scenes_of(assets, "ic", count=200):
        truth = truth_of(scene)
        if len(truth["sprites"]) == 2:
            first, second = truth["sprites"]
            across, down = first["x"] - second["x"], first["y"] - second["y"]
            said = {"to the left of": -across, "to the right of": across, "above": -down, "below": down}
            assert max(said, key=lambda name: said[name]) == truth["relation"]
            assert asked_of(scene)[1] == f"{a(first['thing'])} {truth['relation']} {a(second['thing'])}"


def test_video_qa_answers_are_on_the_timeline(assets: Assets) -> None:
    for scene in scenes_of(assets, "video_qa", count=300):
        truth, lines = truth_of(scene), list(scene.annotation_lines(True, AVEB_PROMPTS))
        clip = truth["clip"]
        for line in lines:
            assert line["references"][0] in line["choices"] and len(set(line["choices"])) == len(line["choices"])
        asked = truth["asked"]
        if asked["kind"] == "shown_while":
            segment = next(one for one in clip["segments"] if one["sprite"]["thing"] == asked["answer"])
            inside = [one for one in clip["events"] if segment["start"] <= one["start"] < segment["end"]]
            assert inside and all(one["end"] <= segment["end"] for one in inside)
        shown = {one["sprite"]["thing"] for one in clip["segments"]}
        assert not shown & {one["name"] for one in clip["events"]}, "a sound would tell what is shown"


# --- what the text, or one stream, can tell


@pytest.mark.parametrize("task", ["avm", "vqa", "isqa"])
def test_yes_and_no_are_equally_often_right(assets: Assets, task: str) -> None:
    answers = [asked_of(scene)[1].lower() for scene in scenes_of(assets, task)]
    counts = Counter(answer for answer in answers if answer in ("yes", "no"))
    assert abs(counts["yes"] - counts["no"]) < 4 * (counts.total()) ** 0.5


def test_avm_is_chance_for_each_stream(assets: Assets) -> None:
    scenes = scenes_of(assets, "avm")
    answers = [asked_of(scene)[1] for scene in scenes]
    truths = [truth_of(scene) for scene in scenes]
    texts = [asked_of(scene)[0] for scene in scenes]
    shown = [(truth["medium"], tuple(one["thing"] for one in truth["sprites"])) for truth in truths]
    heard = [(truth["medium"], truth["events"][0]["name"]) for truth in truths]
    length = [(truth["medium"], truth["duration"]) for truth in truths]
    for clues in (texts, shown, heard, length):
        assert_chance(learnt_accuracy(clues, answers), 0.5)


def test_avssd_is_chance_for_each_stream(assets: Assets) -> None:
    truths = [truth_of(scene) for scene in scenes_of(assets, "avssd")]
    sources = [truth["source"] for truth in truths]
    counts = [len(truth["sprites"]) for truth in truths]
    orders = [tuple(truth["order"]) for truth in truths]
    heard = [
        (count, tuple(event["start"] for event in truth["events"]))
        for count, truth in zip(counts, truths, strict=True)
    ]
    chance = float(np.mean([1 / count for count in counts]))
    for clues in (counts, orders, heard):
        assert_chance(learnt_accuracy(clues, sources), chance)
    for truth in truths:  # all are shown equally often: how much is heard says nothing
        assert len(set(Counter(truth["order"]).values())) == 1
        names = {one["thing"] for one in truth["sprites"]}
        assert not names & {event["name"] for event in truth["events"]}


def test_video_qa_is_chance_for_the_text_and_for_each_stream(assets: Assets) -> None:
    rows = []
    for scene in scenes_of(assets, "video_qa"):
        asked, clip = truth_of(scene)["asked"], truth_of(scene)["clip"]
        if asked["kind"] == "shown_while":
            things = [one["sprite"]["thing"] for one in clip["segments"]]
            place = things.index(asked["answer"])
            event = next(
                one
                for one in clip["events"]
                if clip["segments"][place]["start"] <= one["start"] < clip["segments"][place]["end"]
            )
            rows.append(
                (
                    len(things),
                    asked["options"].index(asked["answer"]),
                    place,
                    round(event["start"]),
                    event["is_speech"],
                )
            )
    count, option, place, start, is_speech = (list(column) for column in zip(*rows, strict=True))
    chance = float(np.mean([1 / number for number in count]))
    assert_chance(learnt_accuracy(count, option), chance, len(rows) // 2)  # the text: which of the options
    assert_chance(
        learnt_accuracy(list(zip(count, start, strict=True)), option), chance, len(rows) // 2
    )  # and the sound
    assert_chance(
        learnt_accuracy(list(zip(count, is_speech, strict=True)), place), chance, len(rows) // 2
    )  # the picture


def test_counts_are_equally_often_right(assets: Assets) -> None:
    counted = [
        fact["answer"]
        for scene in scenes_of(assets, "vqa")
        for fact in truth_of(scene)["facts"]
        if fact["kind"] == "count"
    ]
    assert_chance(max(Counter(counted).values()) / len(counted), 0.25, len(counted))


def test_avsd_ends_on_yes_as_often_as_on_no_whatever_was_said_before(assets: Assets) -> None:
    scenes = scenes_of(assets, "avsd")
    last = [scene.to_dict()["dialogue"][-1] for scene in scenes]
    named = [
        any(f" {a(answer)} in" in scene.to_dict()["dialogue"][-1][0] for _, answer in scene.to_dict()["dialogue"][:2])
        for scene in scenes
    ]
    assert not any(named)
    assert_chance(learnt_accuracy([0] * len(last), [answer for _, answer in last]), 0.5)
