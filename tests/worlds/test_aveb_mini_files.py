# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files of AVEB-mini's eleven tasks: media show and sound what their labels say, and `favor eval` reads the rest."""

import hashlib
import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from favor.aveb_prompts import AVEB_PROMPTS
from favor.evaluation.metrics import METRICS
from favor.evaluation.tasks import TASKS
from favor.trainers.manifest import load_manifest
from favor.worlds.mini import speech
from favor.worlds.mini.dataset import TASK_SCENES, write_split
from favor.worlds.mini.moments import MomentsScene
from favor.worlds.mini.questions import FAMILIES, TASK_OF, sample_questions

SEED, COUNT = 11, 4
METRIC_OF = {  # one that needs no other programs, and its best value
    **{"asr": ("wer", 0), "avsr": ("wer", 0), "ocr": ("aveb_ocr", 1), "vqa": ("gqa_accuracy", 1)},
    **{"video_qa": ("aveb_choice", 1), "isqa": ("aveb_isqa", 1), "avssd": ("class_match", 1), "avm": ("yes_no", 1)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some items of every task."""
    out_dir = tmp_path_factory.mktemp("aveb") / "test"
    write_split(out_dir, "test", COUNT, SEED, tasks="all", workers=1, progress=False, prompts=AVEB_PROMPTS)
    return out_dir


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lines_of(folder: Path, task: str) -> list[dict]:
    lines = [line for line in read_lines(folder / "test_scenes.jsonl") if line["scene"].startswith(f"{task}_0")]
    assert len(lines) == COUNT
    return lines


def pictures_of(path: Path) -> np.ndarray:
    """The pictures that a model sees: one every half second."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames[::4]).astype(np.float32)


def sound_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        blocks = list(container.decode(audio=0))
    assert blocks[0].sample_rate == 16000
    samples = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return samples / 32768 if samples.dtype == np.int16 else samples


def test_without_media_the_same_is_written_about_them(folder: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "test", COUNT, SEED, tasks="all", progress=False, prompts=AVEB_PROMPTS, render=False)
    files = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*")}
    assert files == {path.relative_to(folder): path.read_bytes() for path in folder.glob("*.jsonl")}


def loudness(samples: np.ndarray, start: float, end: float) -> float:
    return float(np.sqrt(np.mean(samples[round(start * 16000) : round(end * 16000)] ** 2)))


def disc(picture: np.ndarray, centre: list[int], radius: int) -> np.ndarray:
    x, y = centre
    return picture[y - radius : y + radius + 1, x - radius : x + radius + 1]


# --- what is written


def test_favor_eval_reads_every_task_and_references_score_best(folder: Path) -> None:
    for name in TASK_SCENES:
        task = TASKS[name]
        path = task.annotation_path(folder)
        assert path == folder / f"{name}.jsonl"
        samples = task.read_samples(path, None)
        assert len(samples) >= COUNT and all(Path(p).is_file() for s in samples for p in s.media.values())
        answers = [task.answers.parse(sample.references[0], sample) for sample in samples]
        assert answers == [sample.references[0] for sample in samples]
        if name in METRIC_OF:
            metric, best = METRICS[METRIC_OF[name][0]], METRIC_OF[name][1]
            assert METRIC_OF[name][0] in (*task.answers.metrics, "gqa_accuracy")
            assert metric.aggregate(metric.sample_statistics(samples, answers)) == best
            wrong = metric.aggregate(metric.sample_statistics(samples, ["unsaid"] * len(samples)))
            assert wrong >= 1 if best == 0 else wrong == 0


def test_prompts_are_those_of_the_tasks(folder: Path) -> None:
    for name in ("asr", "ac", "ic", "avsr", "isqa", "avssd"):
        questions = {line["messages"][0]["content"] for line in read_lines(folder / f"{name}.jsonl")}
        assert questions == {TASKS[name].prompt}


def test_training_reads_the_manifest(folder: Path) -> None:
    rows = load_manifest(folder / "test.jsonl")
    assert set(rows["task"]) == set(TASK_SCENES)
    for row in rows:
        media = {kind for kind in ("video", "image", "audio") if row[kind]}
        assert media in ({"video"}, {"image"}, {"audio"}, {"image", "audio"})
        assert [m["role"] for m in row["messages"]] == ["user", "assistant"] * (len(row["messages"]) // 2)
        assert (len(row["messages"]) > 2) == (row["task"] == "avsd")


def test_training_data_have_no_annotations_and_tasks_can_be_mixed_with_moments(tmp_path: Path) -> None:
    write_split(
        tmp_path,
        "train",
        2,
        0,
        tasks="moments, ocr, ic",
        workers=1,
        progress=False,
        prompts=AVEB_PROMPTS,
        every_question=True,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"media", "train.jsonl", "train_scenes.jsonl"}
    lines = read_lines(tmp_path / "train.jsonl")
    assert {line["scene"] for line in lines} == {"000000", "000001"} | {
        f"{task}_00000{number}" for task in ("ic", "ocr") for number in range(2)
    }
    families = {line["family"] for line in lines}
    assert families >= {"ic", "ic_cells", "ocr", "ocr_signs"} and families & set(TASK_OF)


def test_files_do_not_depend_on_the_processes(folder: Path, tmp_path: Path) -> None:
    write_split(
        tmp_path, "test", COUNT, SEED, tasks="asr,avsr,isqa,avssd", workers=2, progress=False, prompts=AVEB_PROMPTS
    )
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file() and not path.name.startswith("test"):
            assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes(), path


# --- what is seen and heard


def test_lit_objects_shine_and_sounds_sound_when_the_labels_say_so(folder: Path) -> None:
    videos = [*lines_of(folder, "avssd"), *(line for line in lines_of(folder, "avm") if "video" in line)]
    for line in videos:
        truth = line["ground_truth"]
        pictures, samples = pictures_of(folder / line["video"]), sound_of(folder / line["video"])
        assert len(pictures) == len(line["sound"]) == len(line["lit_colour"]) == 2 * truth["duration"]
        lamps = truth.get("lamps") or [truth["lamp"]]
        for step, (picture, sound) in enumerate(zip(pictures, line["sound"], strict=True)):
            for lamp in lamps:
                brightness = disc(picture, lamp["centre"], 4).max(axis=2).mean()
                assert (brightness > 150) == lamp["lit"][step] and (brightness < 120) != lamp["lit"][step]
            lit = next((lamp for lamp in lamps if lamp["lit"][step]), None)
            seen = (line["lit_colour"][step], line["lit_shape"][step])
            assert seen == ((lit["colour"], lit["shape"]) if lit else ("nothing", "nothing"))
            loud = loudness(samples, step / 2 + 0.15, step / 2 + 0.35) > 4 * truth["noise_level"]
            assert loud == (sound != "silence"), (line["scene"], step)


def test_sounds_of_captions_are_where_their_labels_are(folder: Path) -> None:
    for line in lines_of(folder, "ac"):
        samples, truth = sound_of(folder / line["audio"]), line["ground_truth"]
        assert len(samples) == 16000 * truth["duration"]
        for step, label in enumerate(line["sound"]):
            loud = loudness(samples, step / 2 + 0.15, step / 2 + 0.35) > 3 * truth["noise_level"]
            assert loud == (label != "silence")
        for event in truth["events"]:
            part = samples[round(event["start"] * 16000) : round(event["end"] * 16000)]
            spectrum = np.abs(np.fft.rfft(part)) ** 2
            if event["kind"] == "noise":
                assert spectrum.max() < 0.02 * spectrum.sum()
            else:
                assert abs(np.argmax(spectrum) * 16000 / len(part) - event["pitch"]) < 5


@pytest.mark.parametrize("task", ["asr", "isqa"])
def test_words_are_spoken_in_their_times_and_pauses_are_quiet(folder: Path, task: str) -> None:
    for line in lines_of(folder, task):
        samples, truth = sound_of(folder / line["audio"]), line["ground_truth"]
        assert abs(len(samples) / 16000 - truth["duration"]) < 0.001 and truth["duration"] < 10
        times = [(event["start"], event["end"]) for event in truth["events"]]
        assert all(loudness(samples, *time) > 0.03 for time in times)
        borders = [0.0, *(border for time in times for border in time), truth["duration"]]
        for start, end in zip(borders[::2], borders[1::2], strict=True):
            assert loudness(samples, start, end) < 1.5 * truth["noise_level"]


def test_noisy_speech_has_captions_in_their_time_and_the_noise_that_it_says(folder: Path) -> None:
    for line in lines_of(folder, "avsr"):
        truth, scene = line["ground_truth"], TASK_SCENES["avsr"].sample("test", SEED, int(line["scene"][-6:]))
        pictures = pictures_of(folder / line["video"])
        rows = slice(5, 32) if truth["position"] == "top" else slice(96, 123)
        ink = (pictures[:, rows].min(axis=3) > 130).sum(axis=(1, 2))
        for step, word in enumerate(line["screen_word"]):
            marked = any(w["slot"] <= step < w["slot"] + 2 for w in truth["words"])
            assert (ink[step] > 60) == (word is not None), (line["scene"], step, ink)
            assert (ink[step] > 2) == marked
        samples = scene.sound()
        quiet = [step / 2 for step, sound in enumerate(line["sound"]) if sound == "silence"]
        for word in truth["words"]:
            if quiet and word["snr"] > 0:
                noise = np.mean([loudness(samples, start + 0.05, start + 0.45) for start in quiet])
                assert loudness(samples, word["start"], word["end"]) > 1.15 * noise


def test_stills_show_the_shapes_and_signs_of_their_labels(folder: Path) -> None:
    for line in [line for task in ("ic", "vqa", "isqa") for line in lines_of(folder, task)]:
        picture = np.asarray(Image.open(folder / line["image"])).astype(np.float32)
        pieces = {piece["cell"]: piece for piece in line["ground_truth"]["pieces"]}
        for cell in (1, 2, 3, 4):
            x, y = 64 * ((cell - 1) % 2), 64 * ((cell - 1) // 2)
            bright = (picture[y : y + 64, x : x + 64].max(axis=2) > 130).sum()
            assert (bright > 150) == (cell in pieces) and (bright == 0) == (cell not in pieces)
            assert (line[f"cell_{cell}_colour"], line[f"cell_{cell}_shape"]) == (
                ([pieces[cell]["colour"]], [pieces[cell]["shape"]]) if cell in pieces else (["nothing"], ["nothing"])
            )
    for line in lines_of(folder, "ocr"):
        picture = np.asarray(Image.open(folder / line["image"])).astype(np.float32)
        small = np.asarray(Image.open(folder / line["image"]).convert("L").resize((64, 64)), dtype=np.float32)
        for sign in line["ground_truth"]["signs"]:
            x, y = sign["centre"]
            plate = picture[y + 17, x]
            assert plate.max() > 130  # below the letters
            strip = small[y // 2 - 6 : y // 2 + 6, x // 2 - 18 : x // 2 + 18]
            assert np.ptp(strip) > 60  # letters differ from the plate also at the size that a tiny model sees
            assert line[f"{sign['half']}_sign_word"] == [sign["word"]]


# --- what published scores rest on

_DIGEST = """
import hashlib
from favor.worlds.mini import speech
others = speech._other_bank()  # asked for before the ten first words
parts = [part.tobytes() for bank in (speech._bank(), others) for words in bank.values() for part in words]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


def test_words_sound_the_same_whichever_are_needed_first() -> None:
    first = speech._bank()
    parts = [part.tobytes() for bank in (first, speech._other_bank()) for words in bank.values() for part in words]
    done = subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(b"".join(parts)).hexdigest()


# The digest is of this text of the questions.
Asked = namedtuple("Question", ["question", "answer", "family", "streams", "held_out"])


def test_moments_are_those_that_the_bundled_model_was_trained_on() -> None:
    """Their scenes and questions never change: recipes and published scores name only split, seed and count."""
    digest = hashlib.sha256()
    for split in ("train", "validation", "test", "compositional"):
        for index in range(40):
            scene = MomentsScene.sample(split, 1, index)
            digest.update(json.dumps(scene.to_dict()).encode())
            for every in (False, True):
                asked = [
                    Asked(turn.question, turn.answer, question.family, question.streams, question.held_out)
                    for question in sample_questions(scene.clip, FAMILIES, every)
                    for turn in question.turns
                ]
                digest.update(repr(asked).encode())
    assert digest.hexdigest() == "cb90a2590993a0b01e7fc27c689362d760df8813cc7391746ccc61c8ba79ed05"
