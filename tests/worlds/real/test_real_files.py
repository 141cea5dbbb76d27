# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files of the world of real things: media that decode, manifests that training and evaluation read."""

import json
from pathlib import Path

import numpy as np
import pytest

from favor.aveb_prompts import AVEB_PROMPTS
from favor.cli import main
from favor.evaluation.metrics import METRICS
from favor.evaluation.readers.own_data import read_samples
from favor.evaluation.tasks import TASKS as AVEB_TASKS
from favor.processing import load_media
from favor.trainers.manifest import load_manifest
from favor.worlds.real.assets import Assets
from favor.worlds.real.dataset import EXTRA_SCENES, TASK_SCENES, write_split

TASKS = (*TASK_SCENES, *EXTRA_SCENES)
METRIC_OF = {  # one that needs no other programs, and its best value; others by `qa_accuracy`
    **{
        "asr": ("wer", 0),
        "asr_free": ("wer", 0),
        "avsr": ("wer", 0),
        "ocr": ("aveb_ocr", 1),
        "isqa": ("aveb_isqa", 1),
    },
    **{"video_qa": ("aveb_choice", 1), "avssd": ("class_match", 1), "avm": ("yes_no", 1), "vqa": ("gqa_accuracy", 1)},
}


@pytest.fixture(autouse=True)
def _speakers(speakers: None) -> None:
    """Speech of the stand-in."""


def render(assets: Assets, out_dir: Path, split: str, tasks: str, count: int = 2, every: bool = False) -> Path:
    return write_split(
        *(out_dir, split, count, 7, assets, tasks),
        workers=1,
        progress=False,
        every_question=every,
        prompts=AVEB_PROMPTS,
    )


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_task_is_rendered_and_read_by_training(assets: Assets, tmp_path: Path) -> None:
    path = render(assets, tmp_path, "train", ",".join(TASKS), every=True)
    rows = load_manifest(str(path))
    assert len(rows) == len(read_lines(path)) >= 2 * len(TASKS)
    for line in read_lines(tmp_path / "train_scenes.jsonl"):
        assert "root" not in line["ground_truth"] and assets.root not in json.dumps(line)
        for kind in ("video", "image", "audio"):
            if kind in line:
                clip = load_media(str(tmp_path / line[kind]), fps=2.0)
                if kind != "audio":
                    assert clip.frames is not None and clip.frames.shape[1:] == (224, 224, 3)
                    assert clip.frames.std() > 5
                if kind != "image":
                    assert clip.audio is not None and np.abs(clip.audio).max() > 0.05
                if kind == "video":
                    assert len(line.get("sound", [])) in (
                        0,
                        2 * line["ground_truth"]["clip"]["segments"][-1]["end"]
                        if "clip" in line["ground_truth"]
                        else 0,
                    )


def test_tests_are_read_by_the_benchmark(assets: Assets, tmp_path: Path) -> None:
    render(assets, tmp_path, "test", ",".join(TASKS), count=3)
    for task in TASKS:
        read = AVEB_TASKS[task].read_samples if task in AVEB_TASKS else read_samples
        samples = list(read(tmp_path / f"{task}.jsonl", None))
        assert len(samples) >= 3 and all(sample.references for sample in samples), task
        assert all(Path(path).is_file() for sample in samples for path in sample.media.values())
        answers = [sample.references[0] for sample in samples]
        name, best = METRIC_OF.get(task, ("qa_accuracy", 1))
        metric = METRICS[name]
        assert metric.aggregate(metric.sample_statistics(samples, answers)) == best, task
        wrong = metric.aggregate(metric.sample_statistics(samples, ["unsaid"] * len(samples)))
        assert wrong >= 1 if best == 0 else wrong == 0, task


def test_any_word_of_a_name_is_right_and_another_name_is_not(assets: Assets, tmp_path: Path) -> None:
    render(assets, tmp_path, "test", "name_picture", count=4)
    samples = list(read_samples(tmp_path / "name_picture.jsonl", None))
    metric = METRICS["qa_accuracy"]
    for answer in (lambda sample: f"a {sample.references[0]}.", lambda sample: sample.references[-1]):
        assert metric.aggregate(metric.sample_statistics(samples, [answer(sample) for sample in samples])) == 1
    assert metric.aggregate(metric.sample_statistics(samples, ["a tapir"] * len(samples))) == 0


def test_people_speak_in_their_split(assets: Assets, tmp_path: Path) -> None:
    render(assets, tmp_path, "people", "all", count=6)
    lines = read_lines(tmp_path / "people_scenes.jsonl")
    assert {line["scene"].rpartition("_")[0] for line in lines} == {"asr", "avm", "spoken_thing"}
    assert all(event["file"].startswith("readings/") for line in lines for event in line["ground_truth"]["events"])
    assert {"pig", "cow"} & {line["references"][0] for line in read_lines(tmp_path / "asr.jsonl")}


def test_the_same_seed_gives_the_same_files(assets: Assets, tmp_path: Path) -> None:
    for name in ("one", "two"):
        render(assets, tmp_path / name, "test", "avm,isqa,video_qa,avssd,ac", count=2)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_sound_is_where_the_label_says(assets: Assets, tmp_path: Path) -> None:
    path = render(assets, tmp_path, "train", "video_qa", count=3)
    for line in read_lines(path.with_name("train_scenes.jsonl")):
        sound = load_media(str(tmp_path / line["video"]), with_frames=False).audio
        assert sound is not None
        for event in line["ground_truth"]["clip"]["events"]:
            start = round(event["start"] * 16000)
            assert np.abs(sound[start : start + 4800]).max() > 0.2
        first = line["ground_truth"]["clip"]["events"][0]["start"]
        assert np.abs(sound[: max(1, round((first - 0.05) * 16000))]).max() < 0.15


def test_the_command_renders_from_a_prepared_folder(
    assets: Assets, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["synth", str(tmp_path / "out"), "--world", "real", "--assets", assets.root, "--workers", "1"]
    assert main([*arguments, "--task", "name_picture", "--count", "2"]) == 0
    assert capsys.readouterr().out.strip().endswith("test.jsonl")
    assert len(read_lines(tmp_path / "out" / "name_picture.jsonl")) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--world", "real", "--split", "compositional"], "train, validation, test, photos, people, joe"),
        (["--world", "real", "--difficulty", "easy"], "belongs to --world mini"),
        (["--sounds", "somewhere"], "belongs to --world real"),
        (["--split", "people"], "compositional"),
        (["--world", "real", "--task", "moments"], "this world has not"),
    ],
)
def test_what_the_other_world_has_is_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synth", str(tmp_path / "out"), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_voice_that_cannot_speak_is_named_before_anything_is_written(
    assets: Assets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from favor.worlds.real import voices

    monkeypatch.setenv("PATH", "/nowhere")
    voices._program_path.cache_clear()
    with pytest.raises(ValueError, match="apt-get install flite"):
        render(assets, tmp_path, "test", "asr")
    assert not list(tmp_path.glob("media/*"))
