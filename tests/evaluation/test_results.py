# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`results.json`: what is written is read again, little is enough, and what is broken is named by file and field."""

import json
from pathlib import Path

import pytest

from favor.evaluation.controls import Controls
from favor.evaluation.report import write_report
from favor.evaluation.results import (
    JudgeCounts,
    MetricScore,
    RunResults,
    TaskResult,
    read_model_results,
    read_results,
    write_results,
)
from favor.evaluation.settings import RunSettings

LEAST = {"model": "mine", "tasks": {"asr": {"metric": "wer", "value": 0.1, "ci95": [0.08, 0.12], "n": 200}}}
SPIDER = MetricScore(None, n=0, reason="not computed: no Java")
EARLIER = Path(__file__).parent / "fixtures" / "results_0.1.json"
FULL = RunResults(
    settings=RunSettings("org/mine", "favor", Controls("shuffled", "on", 3), "0123", 4.0),
    tasks={
        "ac": TaskResult(
            title="AC",
            dataset="mine/ac.jsonl",
            metric="cider_d",
            metrics={"spider": SPIDER, "cider_d": MetricScore(0.5, (0.25, 1), 7, True)},
            instead_of="spider",
            own_data=True,
            generation={"num_beams": 5, "do_sample": False, "stop": ["a", None]},
            answered=8,
            missing_samples=2,
            unreadable_samples=1,
        ),
        "avssd": TaskResult(
            title="AVSSD",
            dataset="VGGSS",
            metric="judged_accuracy",
            metrics={"judged_accuracy": MetricScore(1, (1, 1), 2, True)},
            published_samples=850,
            answered=3,
            judge=JudgeCounts("a judge", 2, 1),
        ),
    },
    facts={"fps": 4.0, "window_frames": None},
    not_run={"asr": "no file"},
    measured_with="another program",
)


def written(folder, content):
    (folder / "results.json").write_text(json.dumps(content))
    return folder / "results.json"


def changed(**entry):
    return {**LEAST, "tasks": {"asr": {**LEAST["tasks"]["asr"], **entry}}}


def test_what_is_written_is_read_again(tmp_path):
    write_results(tmp_path, FULL)
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == FULL
    first = (tmp_path / "results.json").read_bytes()
    write_results(tmp_path, read_results(tmp_path))
    assert (tmp_path / "results.json").read_bytes() == first


def test_the_documented_least_is_enough_for_reading_and_for_a_report(tmp_path):
    results = read_model_results(written(tmp_path, LEAST))
    entry = results.tasks["asr"]
    assert (entry.metric, entry.headline) == ("wer", MetricScore(0.1, (0.08, 0.12), 200))
    assert (entry.dataset, entry.answered, results.settings.system) == ("asr", 200, "favor")
    write_report(tmp_path, [tmp_path])
    assert "| **mine** | 10.0 [8.0, 12.0] |" in (tmp_path / "report.md").read_text()
    assert "<strong>mine</strong>" in (tmp_path / "report.html").read_text()


def test_a_file_of_an_earlier_version_is_read_whole():
    """Written by `favor eval` before the format had a definition: every field of it is written again."""
    content = json.loads(EARLIER.read_text())
    results = read_model_results(EARLIER)
    again = json.loads(json.dumps(results.to_json()))
    assert {name: {**entry, "judge": None} for name, entry in content.pop("tasks").items()} == again.pop("tasks")
    assert again == content
    assert results.tasks["ac"].instead_of == "spider" and results.tasks["ac"].headline.value > 0


def test_fields_of_other_programs_are_passed_over(tmp_path):
    more = {**changed(hours=5.4), "date": "2026-11-01"}
    assert read_results(written(tmp_path, more)) == read_results(written(tmp_path, LEAST))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], r"results.json: the content is \[\]; it must be an object"),
        ({"model": "m"}, "results.json has no `tasks`"),
        ({"tasks": {}}, r"results.json: model is missing \(there are tasks\); it must be a text"),
        ({**LEAST, "tasks": [1]}, r"results.json: tasks is \[1\]; it must be an object"),
        ({**LEAST, "tasks": {"asr": None}}, "results.json: tasks.asr is null; it must be an object"),
        (changed(value="good"), 'tasks.asr.value is "good"; it must be a number or null'),
        (changed(value=True), "tasks.asr.value is true; it must be a number or null"),
        (changed(value=float("nan")), "tasks.asr.value is nan; it must be a finite number or null"),
        (changed(metric=None), "tasks.asr.metric is null; it must be a text"),
        (changed(ci95=[0.2, 0.1]), r"tasks.asr.ci95 is \[0.2, 0.1\]; it must be two numbers"),
        (changed(ci95=0.1), r"tasks.asr.ci95 is 0.1; it must be \[low, high\] or null"),
        (changed(n=-1), "tasks.asr.n is -1; it must be 0 or more"),
        (changed(n=2.5), "tasks.asr.n is 2.5; it must be a count"),
        (changed(metrics={"wer": {"value": 0.2}}), "tasks.asr.value is 0.1, and .*metrics.wer does not say the same"),
        (changed(metrics={"cer": {"value": 0.1}}), "metrics.wer does not say the same"),
        (changed(metrics={"wer": {"n": 3}}), "tasks.asr.metrics.wer.value is missing"),
        (changed(judge={"name": "j", "judged": 1}), "tasks.asr.judge.failed is missing"),
        (changed(own_data="yes"), 'tasks.asr.own_data is "yes"; it must be true or false'),
        ({**LEAST, "controls": {"audio": "loud"}}, "results.json: audio='loud'.* are no controls"),
        ({**LEAST, "controls": {"no_audio": True}}, "results.json: controls.no_audio is no control"),
        ({**LEAST, "fps": "2"}, 'results.json: fps is "2"; it must be a number'),
    ],
)
def test_what_is_broken_is_named_by_file_and_field(content, said, tmp_path):
    with pytest.raises(ValueError, match=said) as raised:
        read_results(written(tmp_path, content))
    assert str(tmp_path / "results.json") in str(raised.value)


def test_a_task_needs_its_headline(tmp_path):
    entry = {"metric": "wer", "n": 200}
    with pytest.raises(ValueError, match="tasks.asr.value is missing; it must be a number or null"):
        read_results(written(tmp_path, {**LEAST, "tasks": {"asr": entry}}))


def test_what_is_no_json_and_what_is_not_there_are_named(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="results.json is not JSON"):
        read_results(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such results"):
        read_results(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        (Controls("off"), r"a control run, no audio \(controls: audio 'off', video 'on'\)"),
        (Controls(video="off"), "a control run, no video"),
        (Controls("off", "off"), "a control run, text only"),
        (Controls("shuffled"), "a control run, shuffled audio"),
        (Controls("shuffled", "off"), "a control run, shuffled audio, no video"),
    ],
)
def test_control_runs_are_no_scores_of_a_model(controls, said, tmp_path):
    settings = RunSettings("mine", controls=controls)
    write_results(tmp_path, RunResults(settings, FULL.tasks))
    assert read_results(tmp_path).settings.controls == controls
    with pytest.raises(ValueError, match=said):
        read_model_results(tmp_path)


def test_baselines_and_empty_runs_are_no_scores_of_a_model(tmp_path):
    write_results(tmp_path, RunResults(RunSettings("whisper-large", system="whisper"), FULL.tasks))
    with pytest.raises(ValueError, match="on the system 'whisper'"):
        read_model_results(tmp_path)
    write_results(tmp_path, RunResults(RunSettings("mine"), {}))
    with pytest.raises(ValueError, match="has no `tasks` that were scored"):
        read_model_results(tmp_path)
