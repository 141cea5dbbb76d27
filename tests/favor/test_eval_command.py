# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor eval` with the bundled model on rendered clips in the published formats: all tasks, cut off, shared."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from favor.cli import main
from favor.commands.push import read_scores
from favor.evaluation.readers.own_data import write_samples
from favor.evaluation.tasks import TASKS
from favor.model_loading import bundled_model_path

from ..evaluation.rendered_benchmark import write_benchmark

REPOSITORY = Path(__file__).parents[2]
SHARED_TASKS = "asr,avm"
SHORT = ["--generate", "max_new_tokens=6"]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("benchmark"), count=3)


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    """METEOR's Java program takes longer than all the rest, and has tests of its own."""
    monkeypatch.setattr("favor.evaluation.metrics.java._find_java", lambda: None)


def options(benchmark: Path, out: Path, *more: str) -> list[str]:
    data = ["--annotations", str(benchmark), "--media-root", str(benchmark / "media")]
    return ["eval", *data, "--out", str(out), *SHORT, *more]


def evaluate(benchmark: Path, out: Path, *more: str) -> dict:
    assert main(options(benchmark, out, *more)) == 0
    return json.loads((out / "results.json").read_text())


def command(benchmark: Path, out: Path, *more: str, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, "-m", "favor", *options(benchmark, out, "--tasks", SHARED_TASKS, *more)]


def start(command: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True, **pipes)


def succeed(process: subprocess.Popen) -> str:
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


def result_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def fails(capsys, *arguments: str) -> str:
    assert main(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("favor: error: ")
    return last


def test_every_task_runs_end_to_end(benchmark, tmp_path, capsys):
    results = evaluate(benchmark, tmp_path / "out")
    assert results["model"] == "favor-tiny (bundled)"
    assert list(results["tasks"]) == sorted(TASKS)
    for name, entry in results["tasks"].items():
        task = TASKS[name]
        samples = [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()]
        answered = [bool(sample["raw"]) for sample in samples]
        # Here ISQA's sounds are beeps and the like: to what is no question, nothing may be said.
        assert len(samples) >= 3 and (any(answered) if name == "isqa" else all(answered)), name
        assert list(entry["metrics"]) == list(task.answers.metrics)
        for metric, scores in entry["metrics"].items():
            if scores["value"] is None:
                assert any(need in scores["reason"] for need in ("Java", "java", "CoreNLP", "pycoco", "judge")), metric
            else:
                assert scores["n"] == len(samples)
                assert scores["ci95"][0] <= scores["value"] <= scores["ci95"][1]
        assert all(sample["seen"]["audio_seconds"] > 0 for sample in samples) == (name not in ("ic", "ocr", "vqa"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(f'id="{name}"' in page for name in TASKS)
    printed = capsys.readouterr().out
    assert all(name in printed for name in TASKS)


def test_a_run_cut_off_and_finished_by_two_processes_leaves_the_same_files(benchmark, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    running = start(command(benchmark, killed, "--batch-size", "1"))
    while not (killed / "asr.jsonl").exists() or not (killed / "asr.jsonl").read_bytes():
        assert running.poll() is None, running.communicate()
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert not (killed / "results.json").exists()
    with (killed / "asr.jsonl").open("ab") as file:
        file.write(b'{"id": "cut o')
    succeed(start(command(benchmark, killed, "--num-processes", "2")))
    evaluate(benchmark, whole, "--tasks", SHARED_TASKS, "--batch-size", "3")
    expected = result_files(whole)
    assert {"results.json", "asr.jsonl", "avm.jsonl", "report.html"} <= expected.keys()
    assert result_files(killed) == expected


@pytest.mark.slow
def test_torchrun_leaves_the_same_files(benchmark, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    succeed(start(command(benchmark, tmp_path / "torchrun", launcher=launcher)))
    evaluate(benchmark, tmp_path / "whole", "--tasks", SHARED_TASKS)
    assert result_files(tmp_path / "torchrun") == result_files(tmp_path / "whole")


def test_a_judge_can_come_later(benchmark, tmp_path, capsys, monkeypatch):
    arguments = ("--tasks", "avssd,vcg_consistency")
    results = evaluate(benchmark, tmp_path / "out", *arguments)
    entry = results["tasks"]["avssd"]
    assert (entry["metric"], entry["instead_of"]) == ("class_match", "judged_accuracy")
    assert entry["metrics"]["judged_accuracy"]["value"] is None
    samples = [json.loads(line) for line in (tmp_path / "out" / "avssd.jsonl").read_text().splitlines()]
    replies = tmp_path / "replies.jsonl"
    question = TASKS["avssd"].answers.judge
    prompts = [
        question.template.format(reference=sample["references"][0], hypothesis=sample["answer"]) for sample in samples
    ]
    lines = [{"prompt": prompt, "reply": "Yes.", "judge": "a person"} for prompt in prompts[:1]]
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr("favor.commands.eval.load_answerer", lambda system: pytest.fail("the model was asked again"))
    results = evaluate(benchmark, tmp_path / "out", *arguments, "--judge-replies", str(replies))
    judged = results["tasks"]["avssd"]
    assert (judged["value"], judged["n"]) == (1.0, 1)
    assert judged["judge"] == {"name": "a person (recorded)", "judged": 1, "failed": 2}
    assert results["tasks"]["vcg_consistency"]["judge"] == {"name": "a person (recorded)", "judged": 0, "failed": 3}
    assert results["tasks"]["vcg_consistency"]["value"] is None


def test_controls_and_baselines_are_told_in_the_results(benchmark, tmp_path):
    muted = evaluate(benchmark, tmp_path / "muted", "--tasks", "avm,asr", "--no-audio", "--limit", "1")
    assert muted["controls"] == {"audio": "off", "video": "on"}
    assert muted["tasks"]["avm"]["n"] == 1
    assert json.loads((tmp_path / "muted" / "asr.jsonl").read_text())["seen"]["items"] == 0
    shuffled = evaluate(benchmark, tmp_path / "shuffled", "--tasks", "avm", "--shuffle-audio", "--seed", "3")
    assert shuffled["controls"] == {"audio": "shuffled", "video": "on", "seed": 3}
    constant = evaluate(benchmark, tmp_path / "yes", "--tasks", "avm", "--system", "constant", "--answer", "Yes")
    assert constant["model"] == "constant answer 'Yes'"
    assert constant["tasks"]["avm"]["value"] == pytest.approx(1 / 3)
    together = [str(tmp_path / name) for name in ("muted", "shuffled", "yes")]
    assert main(["eval", "--report-only", *together, "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [run["name"] for run in report["runs"]] == [
        "favor-tiny (bundled), no audio",
        "favor-tiny (bundled), shuffled audio",
        "constant answer 'Yes'",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--no-audio"], "a control run, no audio"),
        (["--no-video"], "a control run, no video"),
        (["--no-audio", "--no-video"], "a control run, text only"),
        (["--shuffle-audio"], "a control run, shuffled audio"),
        (["--shuffle-audio", "--no-video"], "a control run, shuffled audio, no video"),
        (["--system", "constant", "--answer", "Yes"], "on the system 'constant'"),
    ],
)
def test_what_is_not_the_models_score_does_not_pass_into_its_card(options, said, benchmark, tmp_path, capsys):
    evaluate(benchmark, tmp_path / "out", "--tasks", "avm", "--limit", "1", *options)
    for results in (tmp_path / "out", tmp_path / "out" / "results.json"):
        with pytest.raises(ValueError, match=said):
            read_scores(results)
    assert said in fails(
        capsys, "push", str(bundled_model_path()), "org/mine", "--dry-run", "--results", str(tmp_path / "out")
    )


def test_what_the_model_scored_passes_into_its_card(benchmark, tmp_path):
    results = evaluate(benchmark, tmp_path / "out", "--tasks", "avm,ac", "--limit", "2", "--fps", "4")
    scores = read_scores(tmp_path / "out")
    assert scores.measured_with == "`favor eval` at 4 frames per second"
    assert [score.task for score in scores.tasks] == ["ac", "avm"]
    for score in scores.tasks:
        entry = results["tasks"][score.task]
        assert (score.metric, score.value, score.samples) == (entry["metric"], entry["value"], 2)
        assert list(score.interval) == entry["ci95"] and score.published_samples == TASKS[score.task].data.size


def test_other_settings_in_the_same_folder_are_refused(benchmark, tmp_path, capsys):
    out = tmp_path / "out"
    evaluate(benchmark, out, "--tasks", "vqa")
    again = options(benchmark, out, "--tasks", "vqa")
    assert "controls.audio was 'on' and is 'off'" in fails(capsys, *again, "--no-audio")
    assert "tasks.vqa.generation.num_beams was None and is 2" in fails(capsys, *again, "--generate", "num_beams=2")
    assert "fps was None and is 4.0" in fails(capsys, *again, "--fps", "4")
    assert main(options(benchmark, out, "--tasks", "ocr")) == 0  # another task may join
    assert list(json.loads((out / "results.json").read_text())["tasks"]) == ["ocr", "vqa"]
    (out / "settings.json").unlink()  # the results say what they were made with, too
    avm = options(benchmark, out, "--tasks", "avm")
    said = fails(capsys, *avm, "--no-audio")
    assert "holds results of favor-tiny (bundled) (full)" in said and "favor-tiny (bundled) (no audio)" in said
    assert main([*avm, "--seed", "5"]) == 0  # which draws nothing


def test_bad_input_is_one_line(benchmark, tmp_path, capsys):
    vqa = options(benchmark, tmp_path / "out", "--tasks", "vqa")
    assert "unknown task" in fails(capsys, *options(benchmark, tmp_path, "--tasks", "nonsense"))
    assert "No data" in fails(capsys, "eval", "--out", str(tmp_path))
    assert "--annotations" in fails(capsys, "eval", "--media-root", str(tmp_path), "--out", str(tmp_path))
    assert "contradict" in fails(capsys, *vqa, "--no-audio", "--shuffle-audio")
    assert "KEY=VALUE" in fails(capsys, *vqa, "--generate", "num_beams")
    assert "at least 1" in fails(capsys, *vqa, "--limit", "0")
    assert "go together" in fails(capsys, *vqa, "--system", "constant")
    assert "needs --model" in fails(capsys, *vqa, "--system", "whisper")
    assert "--judge-model" in fails(capsys, *vqa, "--judge-url", "http://localhost:1/v1")
    assert "goes without" in fails(capsys, *vqa, "--judge-model", "m", "--judge-replies", "f.jsonl")
    assert "does not exist" in fails(capsys, *vqa, "--judge-replies", str(tmp_path / "f.jsonl"))
    assert "no_such_option" in fails(capsys, *vqa, "--generate", "no_such_option=1")
    assert "no finished run" in fails(capsys, "eval", "--report-only", str(benchmark), "--out", str(tmp_path / "r"))
    assert "whole multiple" in fails(capsys, *options(benchmark, tmp_path / "b", "--tasks", "vqa"), "--fps", "3")


def test_all_are_the_tasks_that_are_there(benchmark, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "textvqa.json").write_bytes((benchmark / "textvqa.json").read_bytes())
    write_samples(
        data / "avm.jsonl", TASKS["avm"].data.read(TASKS["avm"].annotation_path(benchmark), benchmark / "media")
    )
    constant = ["--system", "constant", "--answer", "Yes", "--media-root", str(benchmark / "media")]
    arguments = ["eval", "--annotations", str(data), *constant, "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["tasks"]) == ["avm", "ocr"]
    assert set(results["not_run"]) == set(TASKS) - {"avm", "ocr"}
    line = f"Not run, {data} has no annotations of them: asr, ac, "
    assert capsys.readouterr().err.count(line) == 1
    assert "how2" in fails(capsys, *arguments, "--tasks", "avm,avsr")
    empty = ["eval", "--annotations", str(tmp_path), *constant, "--out", str(tmp_path / "none")]
    assert "holds annotations of no task" in fails(capsys, *empty)


def test_captions_of_sound_without_java_are_scored_by_cider(benchmark, tmp_path, capsys):
    results = evaluate(benchmark, tmp_path / "out", "--tasks", "ac", "--system", "constant", "--answer", "a bell")
    entry = results["tasks"]["ac"]
    assert (entry["metric"], entry["instead_of"], entry["n"]) == ("cider_d", "spider", 3)
    reason = entry["metrics"]["spider"]["reason"]
    assert reason.startswith("not computed: spice needs")
    assert f"ac: cider_d stands in for spider, which was {reason}" in capsys.readouterr().out


def test_missing_media_are_counted_and_fail_the_run(benchmark, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("textvqa.json", "testdata_formatted.json"):
        (data / name).write_bytes((benchmark / name).read_bytes())
    missing = ["eval", "--annotations", str(data), "--media-root", str(tmp_path), "--tasks", "ocr"]
    assert "3 samples lack their media" in fails(capsys, *missing, "--out", str(tmp_path / "out"))
    media = tmp_path / "media"
    media.mkdir()
    name = Path(json.loads((data / "textvqa.json").read_text())[0]["image"]).name
    (media / name).write_bytes((benchmark / "media" / name).read_bytes())
    missing[4] = str(media)
    assert "2 samples lack their media" in fails(capsys, *missing, "--out", str(tmp_path / "out"))
    assert main([*missing, "--out", str(tmp_path / "out"), "--allow-missing", *SHORT]) == 0
    entry = json.loads((tmp_path / "out" / "results.json").read_text())["tasks"]["ocr"]
    assert (entry["n"], entry["missing_samples"]) == (1, 2)
