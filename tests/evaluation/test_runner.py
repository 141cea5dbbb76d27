# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs that are cut off, shared, limited or changed: the files they leave, and what they refuse."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from favor.evaluation.answerer import Answer, Answerer, FavorAnswerer, chat_of
from favor.evaluation.controls import Controls, apply_controls
from favor.evaluation.metrics import METRICS
from favor.evaluation.results import MetricScore, RunResults, read_results
from favor.evaluation.runner import answer_share, check_missing, model_revision, pending, prepare_task
from favor.evaluation.sample import EvalSample
from favor.evaluation.sample_log import SampleLog, part_path, read_samples
from favor.evaluation.scoring import gather_results, score_task
from favor.evaluation.settings import RunSettings, check_settings, write_settings
from favor.evaluation.task import available_tasks
from favor.evaluation.tasks import TASKS

from .toy_tasks import ExactAnswer, UnavailableMetric, toy_task

FULL = Controls()


@pytest.fixture(autouse=True)
def toy_metrics(monkeypatch):
    for metric in (ExactAnswer(), UnavailableMetric()):
        monkeypatch.setitem(METRICS, metric.name, metric)


class Echo(Answerer):
    """Says the question; dies after `lives` batches."""

    facts = {"kind": "echo"}

    def __init__(self, lives: int | None = None):
        self.lives = lives
        self.asked: list[str] = []

    def answer(self, samples, generation):
        if self.lives is not None and len(self.asked) >= self.lives:
            raise KeyboardInterrupt
        self.asked += [sample.id for sample in samples]
        for sample in samples:
            for path in sample.media.values():
                if "broken" in path:
                    raise ValueError(f"{path} cannot be read as media")
        return [Answer(f" {sample.question}. ", {"items": len(sample.media)}) for sample in samples]


def write_toy(folder: Path, count: int, media: dict[int, dict[str, str]] | None = None) -> Path:
    """Annotations whose even questions are their own answers."""
    lines = [
        {"id": f"{index:02d}", "question": f"q{index}", "answer": f"q{index}" if index % 2 == 0 else "other"}
        | (media or {}).get(index, {})
        for index in range(count)
    ]
    random.Random(0).shuffle(lines)
    (folder / "toy_questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def run(folder: Path, out: Path, answerer, rank: int = 0, num_processes: int = 1, **options) -> None:
    out.mkdir(exist_ok=True)
    work = prepare_task(toy_task(), folder, None, FULL)
    answer_share([work], answerer, out, rank, num_processes, progress=False, **options)


def finish(folder: Path, out: Path, limit: int | None = None) -> RunResults:
    work = prepare_task(toy_task(), folder, None, FULL, limit)
    write_settings(out, check_settings(out, RunSettings("parrot", system="echo"), [work]))
    return gather_results(out, {"toy": score_task(toy_task(), work, out)})


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_results_say_how_the_number_came_about(tmp_path):
    folder, out = write_toy(tmp_path, 10), tmp_path / "out"
    run(folder, out, Echo(), batch_size=3)
    results = finish(folder, out)
    entry = results.tasks["toy"]
    assert results.facts == {"kind": "echo"} and results.settings.system == "echo"
    assert (entry.metric, entry.headline.value, entry.headline.n) == ("toy_exact", 0.5, 10)
    assert 0 <= entry.headline.ci95[0] < 0.5 < entry.headline.ci95[1] <= 1
    assert entry.score("toy_unavailable") == MetricScore(None, n=0, reason="not computed: METEOR needs Java")
    assert read_results(out) == results
    written = json.loads((out / "results.json").read_text())
    assert (written["model"], written["system"], written["controls"]) == (
        "parrot", "echo", {"audio": "on", "video": "on"}
    )  # fmt: skip
    assert {name: written["tasks"]["toy"][name] for name in ("metric", "value", "n")} == {
        "metric": "toy_exact", "value": 0.5, "n": 10
    }  # fmt: skip
    records = [json.loads(line) for line in (out / "toy.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == [f"{index:02d}" for index in range(10)]
    assert records[0]["answer"] == "q0" and records[0]["raw"] == " q0. "
    assert records[0]["scores"] == {"toy_exact": {"correct": 1.0, "samples": 1.0}}


def test_what_stands_in_for_a_headline_is_named(tmp_path):
    folder, out = write_toy(tmp_path, 10), tmp_path / "out"
    run(folder, out, Echo())
    work = prepare_task(toy_task(), folder, None, FULL)
    task = toy_task(metrics=("toy_unavailable", "toy_exact"), stand_in="toy_exact")
    entry = score_task(task, work, out)
    assert (entry.metric, entry.instead_of, entry.headline.value) == ("toy_exact", "toy_unavailable", 0.5)
    assert entry.score("toy_unavailable").reason == "not computed: METEOR needs Java"
    entry = score_task(toy_task(metrics=("toy_unavailable", "toy_exact")), work, out)
    assert (entry.metric, entry.instead_of) == ("toy_exact", "toy_unavailable")  # the best that could be computed
    entry = score_task(toy_task(metrics=("toy_unavailable",)), work, out)
    assert entry.metric == "toy_unavailable" and entry.instead_of is None
    assert (entry.headline.value, entry.headline.reason) == (None, "not computed: METEOR needs Java")
    assert score_task(toy_task(stand_in="toy_unavailable"), work, out).instead_of is None


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.answers.stand_in])
def test_what_stands_in_needs_no_program(name):
    texts = ("a dog", "two bells")
    samples = [EvalSample(str(index), [], {}, [text], extra={"class": text}) for index, text in enumerate(texts)]
    assert TASKS[name].answers.stand_in in TASKS[name].answers.metrics[1:]
    assert METRICS[TASKS[name].answers.stand_in].sample_statistics(samples, ["a dog", "a bell"])


def test_all_are_the_tasks_whose_annotations_are_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds annotations of no task.*--annotations"):
        available_tasks("all", tmp_path)
    for name in ("avm.jsonl", "textvqa.json"):
        (tmp_path / name).touch()
    tasks, not_run = available_tasks("all", tmp_path)
    assert [task.name for task in tasks] == ["ocr", "avm"]
    assert set(not_run) == set(TASKS) - {"ocr", "avm"}
    assert "test-clean" in not_run["asr"] and "asr.jsonl" in not_run["asr"]
    assert [task.name for task in available_tasks("asr,avm", tmp_path)[0]] == ["asr", "avm"]


def test_left_out_tasks_are_in_the_results_until_they_are_run(tmp_path):
    folder, out = write_toy(tmp_path, 4), tmp_path / "out"
    run(folder, out, Echo())
    finish(folder, out)
    assert json.loads((out / "results.json").read_text())["not_run"] == {}
    gather_results(out, {}, {"asr": "no file", "toy": "no file"})
    assert json.loads((out / "results.json").read_text())["not_run"] == {"asr": "no file"}
    assert finish(folder, out).not_run == {"asr": "no file"}


@pytest.mark.parametrize("num_processes", [2, 3])
def test_any_number_of_processes_leaves_the_same_files(num_processes, tmp_path):
    folder = write_toy(tmp_path, 11)
    run(folder, tmp_path / "one", Echo(), batch_size=4)
    for rank in reversed(range(num_processes)):
        run(folder, tmp_path / "many", Echo(), rank, num_processes, batch_size=2)
    assert len(files(tmp_path / "many")) > len(files(tmp_path / "one"))
    finish(folder, tmp_path / "one")
    finish(folder, tmp_path / "many")
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_a_run_that_was_cut_off_goes_on(tmp_path):
    folder, out = write_toy(tmp_path, 9), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, out, Echo(lives=4), batch_size=2)
    first = part_path(out, "toy", 0)
    first.write_bytes(first.read_bytes() + b'{"id": "05", "raw": " q')  # killed while writing
    run(folder, out, second := Echo(), 1, 2, batch_size=1)  # with another number of processes
    run(folder, out, third := Echo(), 0, 1)
    assert sorted(second.asked + third.asked) == ["04", "05", "06", "07", "08"]
    run(folder, tmp_path / "whole", Echo())
    finish(folder, out)
    finish(folder, tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")
    run(folder, out, fourth := Echo())
    assert fourth.asked == []


def test_unfinished_runs_are_not_scored(tmp_path):
    folder, out = write_toy(tmp_path, 6), tmp_path / "out"
    run(folder, out, Echo(), 0, 2)
    with pytest.raises(ValueError, match="3 samples of toy have no answer yet"):
        finish(folder, out)


def test_a_folder_has_one_writer(tmp_path):
    folder, out = write_toy(tmp_path, 2), tmp_path / "out"
    out.mkdir()
    with SampleLog(out, "toy"), pytest.raises(ValueError, match="being written by another run"):
        run(folder, out, Echo())


def test_broken_lines_in_the_middle_are_named(tmp_path):
    (tmp_path / "toy.jsonl").write_text('{"id": "1"}\n[]\n')
    with pytest.raises(ValueError, match="line 2"):
        read_samples(tmp_path, "toy")


def test_other_settings_are_refused_by_name(tmp_path):
    folder = write_toy(tmp_path, 4)
    work = prepare_task(toy_task(), folder, None, FULL)
    settings = RunSettings("a", system="echo")
    write_settings(tmp_path, check_settings(tmp_path, settings, [work]))
    assert check_settings(tmp_path, settings, [work]).tasks.keys() == {"toy"}
    other = replace(work, task="other")
    assert check_settings(tmp_path, settings, [other]).tasks.keys() == {"toy", "other"}
    with pytest.raises(ValueError, match="model was 'a' and is 'b'"):
        check_settings(tmp_path, replace(settings, model="b"), [work])
    muted = replace(settings, controls=Controls(audio="off"))
    with pytest.raises(ValueError, match="controls.audio was 'on' and is 'off'"):
        check_settings(tmp_path, muted, [work])
    beams = replace(work, generation={**work.generation, "num_beams": 5})
    with pytest.raises(ValueError, match="tasks.toy.generation.num_beams was None and is 5"):
        check_settings(tmp_path, settings, [beams])
    (tmp_path / "changed").mkdir()
    changed = prepare_task(toy_task(), write_toy(tmp_path / "changed", 5), None, FULL)
    with pytest.raises(ValueError, match="tasks.toy.prompts"):
        check_settings(tmp_path, settings, [changed])


def test_a_limit_is_an_even_choice_and_grows(tmp_path):
    folder = write_toy(tmp_path, 200)
    chosen = [{s.id for s in prepare_task(toy_task(), folder, None, FULL, limit).samples} for limit in (10, 50, None)]
    assert [len(ids) for ids in chosen] == [10, 50, 200]
    assert chosen[0] < chosen[1] < chosen[2]
    assert 10 < sum(int(key) < 100 for key in chosen[1]) < 40
    out = tmp_path / "out"
    run(folder, out, Echo(), batch_size=64)
    assert finish(folder, out, limit=10).tasks["toy"].headline.n == 10
    assert len((out / "toy.jsonl").read_text().splitlines()) == 200


def test_missing_media_fail_the_run_unless_allowed(tmp_path):
    (tmp_path / "there.mp4").write_bytes(b"")
    media = {0: {"video": "there.mp4"}, 1: {"video": "gone.mp4"}, 2: {"audio": "gone.wav"}, 3: {"audio": "gone.wav"}}
    work = prepare_task(toy_task(), write_toy(tmp_path, 5, media), None, FULL)
    assert [sample.id for sample in work.samples] == ["00", "04"]
    assert work.missing_samples == 3
    with pytest.raises(ValueError, match=r"3 samples lack their media: .*gone.mp4, .*gone.wav.*--allow-missing"):
        check_missing([work], allowed=False)
    check_missing([work], allowed=True)
    with pytest.raises(ValueError, match="no sample to answer"):
        check_missing([replace(work, samples=[])], allowed=True)


def test_unreadable_media_fail_the_run_unless_allowed(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    folder, out = write_toy(tmp_path, 5, {2: {"video": "broken.mp4"}}), tmp_path / "out"
    with pytest.raises(ValueError, match="broken.mp4 cannot be read"):
        run(folder, out, Echo(), batch_size=5)
    run(folder, out, Echo(), batch_size=5, allow_unreadable=True)
    work = prepare_task(toy_task(), folder, None, FULL)
    entry = score_task(toy_task(), work, out)
    assert (entry.headline.n, entry.unreadable_samples, entry.headline.value) == (4, 1, 0.5)
    assert [sample.id for sample in pending(work, out)] == ["02"]  # tried again by the next run


def test_two_samples_of_one_id_are_refused(tmp_path):
    folder = write_toy(tmp_path, 2)
    (folder / "toy_questions.jsonl").write_text((folder / "toy_questions.jsonl").read_text() * 2)
    with pytest.raises(ValueError, match="two samples have the id '00'"):
        prepare_task(toy_task(), folder, None, FULL)
    with pytest.raises(FileNotFoundError, match="--annotations"):
        prepare_task(toy_task(), tmp_path / "nowhere", None, FULL)


def test_a_models_revision_is_its_content(tmp_path, tiny_model_dir):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_model_dir, copy)
    assert model_revision(str(copy)) == model_revision(str(tiny_model_dir))
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert model_revision(str(copy)) != model_revision(str(tiny_model_dir))


def media_samples(media_dir: Path) -> list[EvalSample]:
    given = [
        {"video": "clip.mp4"},
        {"video": "long_clip.mp4"},
        {"video": "silent.mp4"},
        {"image": "photo.png"},
        {"image": "photo.png", "audio": "sound.wav"},
        {"audio": "sound.wav"},
        {"video": "silent.mp4", "audio": "sound.wav"},
        {},
    ]
    questions = ["What colour is the shape while the bell sounds?", "Which sound is heard first?"]
    samples = []
    for index, media in enumerate(given):
        turns = [{"role": "user", "content": questions[index % 2]}]
        if index == 1:
            turns += [{"role": "assistant", "content": "red"}, {"role": "user", "content": questions[0]}]
        paths = {kind: str(media_dir / name) for kind, name in media.items()}
        samples.append(EvalSample(f"{index}", turns, paths, ["red"], use_own_audio=index != 1))
    return samples


@pytest.fixture(scope="module")
def favor(tiny_model_dir):
    from favor.model_loading import load_pipeline

    return FavorAnswerer(load_pipeline(str(tiny_model_dir)))


@pytest.mark.parametrize("num_beams", [1, 3])
def test_favors_answers_do_not_depend_on_the_batch(num_beams, favor, media_dir):
    samples = media_samples(media_dir)
    generation = {"max_new_tokens": 8, "do_sample": False, "num_beams": num_beams}
    together = favor.answer(samples, generation)
    assert together == [favor.answer([sample], generation)[0] for sample in samples]
    assert len({answer.text for answer in together}) > 4
    assert [answer.seen["audio_seconds"] > 0 for answer in together] == [True] + [False] * 3 + [True] * 3 + [False]


def test_the_frame_rate_can_be_changed(tiny_model_dir, media_dir):
    from favor.model_loading import load_pipeline

    answerer = FavorAnswerer(load_pipeline(str(tiny_model_dir)), fps=4.0)
    assert answerer.facts["fps"] == 4.0
    answer = answerer.answer(media_samples(media_dir)[:1], {"max_new_tokens": 4})[0]
    assert answer.seen["visual_frames"] == 12
    with pytest.raises(ValueError, match="whole multiple"):
        FavorAnswerer(load_pipeline(str(tiny_model_dir)), fps=3.0)


def test_controls_withhold_what_they_name(favor, media_dir):
    samples = media_samples(media_dir)

    def seen(controls: Controls) -> list[tuple[bool, bool]]:
        answers = favor.answer(apply_controls(samples, controls), {"max_new_tokens": 2})
        return [
            (answer.seen.get("visual_frames", 0) > 0, answer.seen.get("audio_seconds", 0) > 0) for answer in answers
        ]

    everything = seen(FULL)
    assert seen(Controls(audio="off")) == [(picture, False) for picture, _ in everything]
    assert seen(Controls(video="off")) == [(False, sound) for _, sound in everything]
    assert seen(Controls(audio="shuffled")) == everything
    assert seen(Controls("off", "off")) == [(False, False)] * len(samples)


@given(count=st.integers(2, 12), turns=st.integers(1, 3), seed=st.integers(0, 5))
def test_shuffled_sounds_are_a_permutation_that_leaves_none_in_place(count, turns, seed):
    samples = [
        EvalSample(f"{clip}-{turn}", [], {"image": f"{clip}.png", "audio": f"{clip}.wav"}, [])
        for clip in range(count)
        for turn in range(turns)
    ]
    shuffled = apply_controls(samples, Controls(audio="shuffled", seed=seed))
    pairs = {(before.media["audio"], after.media["audio"]) for before, after in zip(samples, shuffled, strict=True)}
    assert len(pairs) == count  # all turns of a clip hear the same
    assert {after for _, after in pairs} == {before for before, _ in pairs}
    assert all(before != after for before, after in pairs)
    assert shuffled == apply_controls(samples, Controls(audio="shuffled", seed=seed))
    assert [sample.media["image"] for sample in shuffled] == [sample.media["image"] for sample in samples]


def test_one_sound_cannot_be_shuffled():
    with pytest.raises(ValueError, match="at least two"):
        apply_controls([EvalSample("1", [], {"audio": "a.wav"}, [])], Controls(audio="shuffled"))


def test_media_lie_in_the_first_user_message():
    turns = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "What?"},
        {"role": "assistant", "content": "This."},
        {"role": "user", "content": "And?"},
    ]
    chat = chat_of(EvalSample("1", turns, {"audio": "b.wav", "video": "a.mp4"}, []))
    blocks = [
        {"type": "video", "path": "a.mp4"},
        {"type": "audio", "path": "b.wav"},
        {"type": "text", "text": "What?"},
    ]
    assert chat == [turns[0], {"role": "user", "content": blocks}, turns[2], turns[3]]
