# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The eleven tasks of AVEB-mini: answers by a second reckoning, held-out pairs, and what one stream or text tells."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.aveb_prompts import AVEB_PROMPTS
from favor.worlds.mini.dataset import TASK_SCENES
from favor.worlds.mini.difficulty import DIFFICULTIES
from favor.worlds.mini.scene import MiniScene
from favor.worlds.mini.vocabulary import SPOKEN_WORDS
from favor.worlds.mini.world import COLOURS, SHAPES, SPLITS, WORDS, is_held_out_shape, is_held_out_sound

TASKS = tuple(TASK_SCENES)
STILLS = ("ic", "vqa", "isqa")
BESIDE = {"to the left of": (-1, 0), "to the right of": (1, 0), "above": (0, -1), "below": (0, 1)}


@cache
def scenes_of(task: str, split: str = "train", count: int = 400, difficulty: str = "standard") -> list[MiniScene]:
    return [TASK_SCENES[task].sample(split, 5, index, difficulty) for index in range(count)]


def truth_of(scene: MiniScene) -> dict[str, Any]:
    """What a reader of the scenes file knows."""
    return json.loads(json.dumps(scene.to_dict()))


def lines_of(scene: MiniScene, every: bool = False) -> list[dict[str, Any]]:
    """What `favor eval` reads about the scene."""
    return list(scene.annotation_lines(every, AVEB_PROMPTS))


def asked_of(scene: MiniScene, every: bool = False) -> list[tuple[str, str, dict]]:
    """Question, reference and extra of each benchmark sample."""
    return [(line["messages"][-1]["content"], line["references"][0], line["extra"]) for line in lines_of(scene, every)]


def learnt_accuracy(clues: Sequence[object], answers: Sequence[object]) -> float:
    """How often the commonest answer to a clue in the first half is right in the second half."""
    half = len(clues) // 2
    seen: dict[object, Counter] = {}
    for clue, answer in zip(clues[:half], answers[:half], strict=True):
        seen.setdefault(clue, Counter())[answer] += 1
    hits = [
        clue in seen and seen[clue].most_common(1)[0][0] == answer
        for clue, answer in zip(clues[half:], answers[half:], strict=True)
    ]
    return float(np.mean(hits))


# --- every task


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TASKS),
    st.sampled_from(SPLITS),
    st.sampled_from(list(DIFFICULTIES)),
    st.integers(0, 2**40),
    st.integers(0, 10**6),
)
def test_a_scene_is_a_function_of_its_number(task: str, split: str, difficulty: str, seed: int, index: int) -> None:
    scene = TASK_SCENES[task].sample(split, seed, index, difficulty)
    again = TASK_SCENES[task].sample(split, seed, index, difficulty)
    assert scene == again and scene.questions(True, AVEB_PROMPTS) == again.questions(True, AVEB_PROMPTS)
    truth = truth_of(scene)
    assert truth["split"] == split and truth["index"] == index
    assert all(0 <= event["start"] < event["end"] <= truth["duration"] for event in truth["events"])
    for line in lines_of(scene):
        assert line["messages"][-1]["role"] == "user" and line["references"] and line["media"]
    lengths = {len(values) for values in scene.labels().values()}
    assert len(lengths) <= 1 and all(
        2 * truth["duration"] == length for length in lengths if truth.get("events") and "image" not in scene.media
    )


@pytest.mark.parametrize("task", TASKS)
def test_splits_and_difficulties_share_no_scene(task: str) -> None:
    seeds = [
        TASK_SCENES[task].sample(split, 1, index, difficulty).seed
        for split in SPLITS
        for difficulty in DIFFICULTIES
        for index in range(20)
    ]
    assert len(set(seeds)) == len(seeds)


def shapes_and_sounds(scene: MiniScene) -> tuple[set, set]:
    """The (colour, shape) pairs shown, and the (colour, sound) pairs that occur at one moment."""
    truth = truth_of(scene)
    shown = [*truth.get("pieces", ()), *truth.get("lamps", ()), *truth.get("segments", ())]
    shown += [truth[key] for key in ("lamp", "distractor") if truth.get(key)]
    sounds = {
        (s["colour"], e["kind"])
        for s in truth.get("segments", ())
        for e in truth["events"]
        if s["start"] <= e["start"] < s["end"]
    }
    if "lamps" in truth:
        sounds |= {(truth["lamps"][truth["source"]]["colour"], truth["kind"])}
    if truth.get("lamp"):
        sounds |= {(truth["lamp"]["colour"], truth["events"][0]["kind"])}
    return {(item["colour"], item["shape"]) for item in shown}, sounds


@pytest.mark.parametrize("task", [task for task in TASKS if task not in ("asr", "ac", "ocr")])
def test_held_out_pairs_occur_where_they_may(task: str) -> None:
    for split in SPLITS:
        found = [shapes_and_sounds(scene) for scene in scenes_of(task, split)]
        shapes, sounds = set().union(*(f[0] for f in found)), set().union(*(f[1] for f in found))
        odd_shapes = {pair for pair in shapes if is_held_out_shape(*pair)}
        odd_sounds = {pair for pair in sounds if is_held_out_sound(*pair)}
        assert bool(odd_shapes) == (split in ("test", "compositional"))
        assert bool(odd_sounds) == (split == "compositional" and bool(sounds))
    if task != "avsr":
        held_out = [
            line["extra"]["held_out"] for scene in scenes_of(task, "compositional") for line in lines_of(scene)
        ]
        assert np.mean(held_out) > 0.15 and not any(
            line["extra"]["held_out"] for scene in scenes_of(task) for line in lines_of(scene)
        )


def test_difficulty_scales_each_task() -> None:
    def mean(task: str, difficulty: str, measure: Callable[[dict], float]) -> float:
        return float(np.mean([measure(truth_of(scene)) for scene in scenes_of(task, "test", 60, difficulty)]))

    rising: dict[str, Callable[[dict], float]] = {
        "asr": lambda t: len(t["events"]),
        "ac": lambda t: len(t["events"]),
        "ic": lambda t: len(t["pieces"]),
        "ocr": lambda t: -t["signs"][0]["size"],
        "vqa": lambda t: len(t["pieces"]),
        "isqa": lambda t: t["noise_level"],
        "avssd": lambda t: len(t["lamps"]),
        "avsd": lambda t: len(t["segments"]),
        "video_qa": lambda t: len(t["segments"]),
        "avsr": lambda t: -np.mean([w["snr"] for w in t["words"]]),
        "avm": lambda t: len(t["pieces"]),
    }
    assert set(rising) == set(TASKS)
    for task, measure in rising.items():
        assert mean(task, "easy", measure) < mean(task, "standard", measure) < mean(task, "hard", measure), task
    with pytest.raises(ValueError, match="difficulty must be one of easy, standard, hard, got 'brutal'"):
        TASK_SCENES["asr"].sample("test", 0, 0, "brutal")


# --- speech and sounds


def test_transcripts_are_any_words_in_one_voice() -> None:
    words = Counter()
    for scene in scenes_of("asr"):
        events = truth_of(scene)["events"]
        ((question, answer, _),) = asked_of(scene)
        assert question == "Transcribe the speech into text." and answer == " ".join(e["word"] for e in events)
        assert 2 <= len(events) <= 6 and len({(e["voice"], e["pitch"]) for e in events}) == 1
        gaps = [later["start"] - earlier["end"] for earlier, later in zip(events, events[1:], strict=False)]
        assert all(0.03 < gap < 0.32 for gap in gaps)
        words.update(answer.split())
    assert set(words) == set(SPOKEN_WORDS) and len(SPOKEN_WORDS) <= 34
    expected = words.total() / len(SPOKEN_WORDS)
    assert max(abs(count - expected) for count in words.values()) < 5 * expected**0.5


def test_sound_captions_tell_the_sounds_in_order() -> None:
    numbers = {"a": 1, "two": 2, "three": 3, "four": 4}
    for scene in scenes_of("ac"):
        kinds = [event["kind"] for event in truth_of(scene)["events"]]
        (line,) = lines_of(scene)
        assert len(set(line["references"])) == 5
        for caption in line["references"]:
            told = re.findall(r"\b(a|two|three|four) (beep|hum|noise|bell)s?\b", caption)
            assert [kind for number, kind in told for _ in range(numbers[number])] == kinds, caption
        sounds = [(k, len(list(g))) for k, g in groupby(scene.labels()["sound"]) if k != "silence"]
        assert [kind for kind, _ in sounds] == kinds  # a silent half second between any two


# --- stills


def by_place(truth: dict) -> dict[tuple[int, int], dict]:
    return {((p["cell"] - 1) % 2, (p["cell"] - 1) // 2): p for p in truth["pieces"]}


def reckon_still(truth: dict, question: str) -> str:
    """The answer, from the words of the question and the ground truth alone."""
    places = by_place(truth)
    words = re.sub(r"[?]", "", question.lower()).split()
    shape = next((word for word in words if word in SHAPES), None)
    colour = next((word for word in words if word in COLOURS), None)
    if "many" in words:
        return ("zero", "one", "two", "three", "four")[len(places)]
    if words[:2] == ["is", "there"]:
        return "yes" if any((p["colour"], p["shape"]) == (colour, shape) for p in places.values()) else "no"
    if colour:
        (piece,) = [p for p in places.values() if p["colour"] == colour]
        return piece["shape"]
    ((at, piece),) = [(at, p) for at, p in places.items() if p["shape"] == shape]
    if "colour" in words:
        return piece["colour"]
    (step,) = [step for side, step in BESIDE.items() if side.split()[-1 if len(side.split()) == 1 else 2] in words]
    beside = places[at[0] + step[0], at[1] + step[1]]
    return f"{beside['colour']} {beside['shape']}"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("every", [False, True])
def test_answers_about_stills_are_right(split: str, every: bool) -> None:
    for scene in scenes_of("vqa", split):
        for question, answer, _ in asked_of(scene, every):
            assert reckon_still(truth_of(scene), question) == answer
    for scene in scenes_of("isqa", split):
        for question, answer, extra in asked_of(scene, every):
            assert question == "Answer the question in the audio about the image."
            assert extra["spoken"] == " ".join(event["word"] for event in truth_of(scene)["events"])
            assert set(extra["spoken"].split()) <= set(SPOKEN_WORDS)
            assert reckon_still(truth_of(scene), extra["spoken"]) == answer


def test_captions_of_stills_tell_every_shape_and_where_it_is() -> None:
    for scene in scenes_of("ic"):
        truth = truth_of(scene)
        (line,) = lines_of(scene)
        assert len(set(line["references"])) == 5
        for caption in line["references"]:
            looks = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", caption)
            assert sorted(looks) == sorted((p["colour"], p["shape"]) for p in truth["pieces"])
            if len(truth["pieces"]) == 2:
                at = {(p["colour"], p["shape"]): place for place, p in by_place(truth).items()}
                (x0, y0), (x1, y1) = at[looks[0]], at[looks[1]]
                assert ("left" in caption, "right" in caption) == (x0 < x1, x0 > x1)
                assert ("above" in caption, "below" in caption) == (y0 < y1, y0 > y1)
        cells = scene.questions(True, AVEB_PROMPTS)[1].turns[0].answer.split(", ")
        assert [cell != "nothing" for cell in cells] == [(i % 2, i // 2) in by_place(truth) for i in range(4)]


def test_signs_are_asked_for_by_their_colour() -> None:
    for scene in scenes_of("ocr"):
        signs = {sign["colour"]: sign["word"] for sign in truth_of(scene)["signs"]}
        assert len(signs) == len(set(signs.values())) == 2
        (line,) = lines_of(scene)
        colour = re.search(rf"\b({'|'.join(COLOURS)})\b", line["messages"][0]["content"])[1]
        assert line["references"] == [signs[colour]] * 10  # as TextVQA's ten people


# --- what text alone tells


def test_yes_and_no_are_right_equally_often() -> None:
    for split in SPLITS:
        for task, options in (("avm", ("Yes", "No")), ("avsd", ("yes", "no")), ("vqa", ("yes", "no"))):
            for every in (False, True):
                answers = Counter(a for scene in scenes_of(task, split) for _, a, _ in asked_of(scene, every))
                assert answers[options[0]] == answers[options[1]] > 0, (task, split)


@pytest.mark.parametrize(
    ("task", "family", "chance"),
    [
        ("vqa", "vqa_exists", 1 / 2),
        ("vqa", "vqa_count", 1 / 3),
        ("vqa", "vqa_shape", 1 / 3),
        ("vqa", "vqa_colour", 1 / 5),
        ("vqa", "vqa_relation", 1 / 12),
        ("ocr", "ocr", 1 / 10),
        ("avm", "avm_image", 1 / 2),
        ("avm", "avm_video", 1 / 2),
    ],
)
def test_the_commonest_answer_to_a_question_is_right_by_chance_only(task: str, family: str, chance: float) -> None:
    asked = [
        (q, a)
        for scene in scenes_of(task, "train", 2500)
        for q, a, extra in asked_of(scene)
        if extra["family"] == family
    ]
    accuracy = learnt_accuracy(*zip(*asked, strict=True))
    assert accuracy < chance + 4 * (chance * (1 - chance) / (len(asked) / 2)) ** 0.5


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_option_of_video_qa_stands_out_by_the_text(split: str) -> None:
    """By its place, by its name, and by its name and the question: right as often as of n options one is."""
    tallies: dict[tuple, list[float]] = {}
    for scene in scenes_of("video_qa", split, 1500):
        for line in lines_of(scene):
            choices, (answer,) = line["choices"], line["references"]
            question, kind = line["messages"][0]["content"].split(" Choose one from: "), line["extra"]["type"]
            assert question[1] == "; ".join(choices) and answer in choices and len(set(choices)) == len(choices) > 1
            share = 1 / len(choices)
            for place, choice in enumerate(choices):
                for key in ((kind, place), (kind, choice), (kind, question[0], choice)):
                    tally = tallies.setdefault(key, [0.0, 0.0])
                    tally[0] += (choice == answer) - share
                    tally[1] += share * (1 - share)
    scores = [total / variance**0.5 for total, variance in tallies.values() if variance > 8]
    assert len(scores) > 60 and max(map(abs, scores)) < 4.5
    assert np.std(scores) < 1.25


# --- moments clips


def test_answers_about_clips_are_right() -> None:
    for scene in scenes_of("video_qa", "test"):
        truth = truth_of(scene)
        segments, colours = truth["segments"], [segment["colour"] for segment in truth["segments"]]
        kinds = set()
        for line in lines_of(scene, True):
            question = line["messages"][0]["content"].split(" Choose")[0]
            kind, answer = line["extra"]["type"], line["references"][0]
            kinds.add(kind)
            named = [c for c in re.findall(r"\w+", question) if c in COLOURS]
            event = next(
                (
                    e
                    for e in truth["events"]
                    if f"the {e['kind']} is" in question or (e["word"] and f'"{e["word"]}"' in question)
                ),
                None,
            )
            if event:
                (place,) = [i for i, s in enumerate(segments) if s["start"] < event["start"] < s["end"]]
            if kind == "order":
                assert answer == colours[colours.index(named[0]) + (1 if "after" in question else -1)]
            elif kind == "ends":
                assert answer == colours[0 if "first" in question else -1]
            elif kind == "next":
                later = segments[place + 1]
                assert answer == f"a {later['colour']} {later['shape']} appears"
                assert not any(colours[place] in choice for choice in line["choices"])
            elif kind in ("colour", "shape"):
                assert answer == segments[place][kind]
            else:
                segment = segments[colours.index(named[0])]
                window = (
                    (segment["start"] - 1.0, segment["start"])
                    if kind == "cause"
                    else (segment["start"], segment["end"])
                )
                heard = {
                    e["word"] or e["kind"]
                    for e in truth["events"]
                    if min(e["end"], window[1]) - max(e["start"], window[0]) > 0.1
                }
                assert len(heard) == 1 and heard.pop() in answer
        assert kinds >= {"order", "ends"}


def test_dialogues_hold_together() -> None:
    for scene in scenes_of("avsd", "test"):
        truth = truth_of(scene)
        segments = truth["segments"]
        lines = lines_of(scene)
        assert len(lines) == len(truth["dialogue"]) in (3, 4)
        at = -1
        for number, line in enumerate(lines):
            question, answer = line["messages"][-1]["content"], line["references"][0]
            assert len(line["messages"]) == 2 * number + 1 and line["extra"]["turn"] == number + 1
            if number == 0:
                (at,) = [i for i, s in enumerate(segments) if s["colour"] == answer]
                moment = next(
                    (
                        e
                        for e in truth["events"]
                        if f"the {e['kind']} is" in question or (e["word"] and f'"{e["word"]}"' in question)
                    ),
                    None,
                )
                first_or_last = 0 if "first" in question else len(segments) - 1
                assert (
                    at == first_or_last
                    if moment is None
                    else (segments[at]["start"] < moment["start"] < segments[at]["end"])
                )
            elif number == 1:
                at += 1 if "after" in question else -1
                assert answer == segments[at]["colour"]
            elif question.startswith("Is it"):
                assert answer == ("yes" if segments[at]["shape"] in question else "no")
            else:
                heard = [e for e in truth["events"] if segments[at]["start"] < e["start"] < segments[at]["end"]]
                assert answer == "nothing" if not heard else (heard[0]["word"] or heard[0]["kind"]) in answer
            previous = line["messages"][:-1]
            assert previous == [
                m
                for earlier in lines[:number]
                for m in (earlier["messages"][-1], {"role": "assistant", "content": earlier["references"][0]})
            ]


# --- sources and matches: what one stream tells


def visual_guesses(lamps: list[dict]) -> dict[str, int]:
    """Guesses at the source by what is seen."""
    lit = [np.flatnonzero(lamp["lit"]) for lamp in lamps]
    runs = [max(len(run) for run in "".join("1" if on else "0" for on in lamp["lit"]).split("0")) for lamp in lamps]
    return {
        "first lit": int(np.argmin([steps[0] for steps in lit])),
        "last lit": int(np.argmax([steps[-1] for steps in lit])),
        "most often lit": int(np.argmax([len(steps) for steps in lit])),
        "longest lit": int(np.argmax(runs)),
        "most evenly lit": int(np.argmin([np.std(np.diff(steps)) for steps in lit])),
        "biggest": int(np.argmax([lamp["size"] for lamp in lamps])),
        "first cell": int(np.argmin([lamp["cell"] for lamp in lamps])),
        "reddest": int(np.argmin([COLOURS.index(lamp["colour"]) for lamp in lamps])),
    }


@pytest.mark.parametrize("split", ["train", "test", "compositional"])
@pytest.mark.parametrize("difficulty", list(DIFFICULTIES))
def test_the_source_lies_in_the_coincidence_alone(split: str, difficulty: str) -> None:
    scenes = scenes_of("avssd", split, 1200, difficulty)
    hits: Counter = Counter()
    chance = float(np.mean([1 / len(scene.lamps) for scene in scenes]))
    for scene in scenes:
        truth = truth_of(scene)
        lamps, source = truth["lamps"], truth["source"]
        sounding = [label != "silence" for label in scene.labels()["sound"]]
        assert [lamp["lit"] == sounding for lamp in lamps] == [i == source for i in range(len(lamps))]
        assert all(sum(lamp["lit"][step] for lamp in lamps) <= 1 for step in range(len(sounding)))
        assert len({sum(lamp["lit"]) for lamp in lamps}) == 1 and 8 <= len(sounding) <= 12
        assert any(not any(lamp["lit"][step] for lamp in lamps) for step in range(len(sounding)))
        look = f"{lamps[source]['colour']} {lamps[source]['shape']}"
        ((question, answer, extra),) = asked_of(scene)
        assert (question, answer, extra["class"]) == ("What is the source of the sound?", f"the {look}", look)
        hits.update(name for name, guess in visual_guesses(lamps).items() if guess == source)
    margin = 4 * (chance * (1 - chance) / len(scenes)) ** 0.5
    assert len(hits) == 8 and all(abs(hit / len(scenes) - chance) < margin for hit in hits.values()), (hits, chance)


def test_what_is_heard_does_not_name_the_source() -> None:
    """The commonest look, given kind or count of the sounds, is right about once in the twenty possible ones."""
    scenes = scenes_of("avssd", "train", 3000)
    looks = [asked_of(scene)[0][1] for scene in scenes]
    assert learnt_accuracy([scene.kind for scene in scenes], looks) < 0.1
    assert learnt_accuracy([sum(scene.lamps[scene.source].lit) for scene in scenes], looks) < 0.1


def one_stream_clues(scene: MiniScene) -> Iterable[tuple[str, object]]:
    """Statistics of the picture alone and of the sound alone."""
    if scene.lamp is None:
        words = [event.word for event in scene.events]
        for word in ("left", "right", "above", "below"):
            yield f"hears {word}", word in words
        yield "said", (len(words), tuple(word for word in words if word in (*COLOURS, *SHAPES))[:2])
        yield "shown", tuple((p.cell, p.colour) for p in scene.pieces)[:1]
        yield "shapes shown", tuple(p.shape for p in scene.pieces)
        return
    for stream, pattern in (("lit", scene.lamp.lit), ("sounding", scene.sounding)):
        yield f"{stream} first and last", (pattern[0], pattern[-1])
        yield f"{stream} count", (len(pattern), sum(pattern))
        yield f"{stream} runs", len(list(groupby(pattern)))
        yield f"{stream} start", tuple(pattern[:4])
    yield "kind", scene.events[0].kind
    yield "look", (scene.lamp.colour, scene.lamp.shape)


@pytest.mark.parametrize("split", ["train", "test", "compositional"])
@pytest.mark.parametrize("medium", ["image", "video"])
def test_a_match_cannot_be_told_from_one_stream(split: str, medium: str) -> None:
    scenes = [scene for scene in scenes_of("avm", split, 3200) if scene.medium == medium]
    assert len(scenes) == 1600
    answers = [scene.matches for scene in scenes]
    assert sum(answers) == 800
    clues: dict[str, list] = {}
    for scene in scenes:
        for name, clue in one_stream_clues(scene):
            clues.setdefault(name, []).append(clue)
    for name, values in clues.items():
        assert abs(learnt_accuracy(values, answers) - 0.5) < 4 * (0.25 / 800) ** 0.5, name


def test_matches_are_what_they_are_said_to_be() -> None:
    for scene in [*scenes_of("avm", "test"), *scenes_of("avm", "compositional"), *scenes_of("avm")]:
        truth = truth_of(scene)
        ((question, answer, extra),) = asked_of(scene)
        if truth["medium"] == "video":
            assert question == "Is the audio compatible with the video?"
            sounding = [label != "silence" for label in scene.labels()["sound"]]
            lit = truth["lamp"]["lit"]
            differing = sum(a != b for a, b in zip(lit, sounding, strict=True))
            assert sum(lit) == sum(sounding) and (differing == 0 if answer == "Yes" else differing >= 4)
            continue
        assert question == "Is the audio describing the image?"
        looks = re.findall(rf"a ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", extra["heard"])
        places = by_place(truth)
        shown = {(p["colour"], p["shape"]): at for at, p in places.items()}
        fits = set(looks) == set(shown)
        if len(looks) == 2 and fits:
            (side,) = [step for side, step in BESIDE.items() if side.removeprefix("to the ") in extra["heard"]]
            first, second = shown[looks[0]], shown[looks[1]]
            fits = (first[0] - second[0], first[1] - second[1]) == side
        assert answer == ("Yes" if fits else "No")
        if scene.split == "train":
            assert not any(is_held_out_shape(*look) for look in looks)


def test_neither_stream_of_noisy_speech_tells_all_words() -> None:
    words = []
    for scene in scenes_of("avsr", "test", 600):
        truth, labels = truth_of(scene), scene.labels()
        ((question, answer, _),) = asked_of(scene)
        assert question == "Transcribe the speech into text, paying attention to both audio and video."
        assert answer == " ".join(word["word"] for word in truth["words"])
        assert 2 <= len(truth["words"]) <= 4 and len(set(answer.split())) == len(truth["words"])
        shown: list[str | None] = [None] * len(labels["screen_word"])
        heard = ["silence"] * len(shown)
        for word in truth["words"]:
            assert word["captioned"] or not word["drowned"]
            assert -25 <= word["snr"] <= -21 if word["drowned"] else -4 <= word["snr"] <= 4
            for step in (word["slot"], word["slot"] + 1):
                assert min(word["end"], (step + 1) / 2) - max(word["start"], step / 2) > 0.2
                heard[step] = word["word"]
                shown[step] = word["word"] if word["captioned"] else None  # never a wrong caption
        assert labels == {"screen_word": shown, "sound": heard}
        words += truth["words"]
    assert 0.65 < np.mean([word["captioned"] for word in words]) < 0.76
    assert np.mean([not word["captioned"] for word in words]) > 0.25  # not on the screen
    assert np.mean([word["drowned"] for word in words]) > 0.3  # not to be heard
    assert {word["word"] for word in words} == set(WORDS)
