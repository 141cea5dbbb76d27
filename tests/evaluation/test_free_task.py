# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions of one's own: read from any file, scored by their kind, and reported answer by answer."""

import json
import re

import pytest

from favor.evaluation.controls import Controls
from favor.evaluation.free_task import QA
from favor.evaluation.metrics import METRICS
from favor.evaluation.report import write_report
from favor.evaluation.report.marks import mark_of
from favor.evaluation.results import RunResults, write_results
from favor.evaluation.runner import prepare_task
from favor.evaluation.sample import EvalSample
from favor.evaluation.sample_log import SampleRecord, merge_samples
from favor.evaluation.scoring import score_task
from favor.evaluation.settings import RunSettings
from favor.evaluation.task import available_tasks
from favor.evaluation.tasks import TASKS

LINES = [
    {"id": "1", "question": "Is it red?", "references": ["yes"]},
    {"id": "2", "question": "Is it blue?", "references": ["No."]},
    {"id": "3", "question": "Which sound?", "references": ["a bell", "bell"]},
    {"id": "4", "question": "Red or blue?", "references": ["Red"], "choices": ["red", "blue"]},
]
ANSWERS = {"1": "YES, it is", "2": "yes", "3": "The BELL.", "4": "A"}


def held_out(folder, name="held_out.jsonl", lines=LINES):
    (folder / "clip.wav").touch()
    path = folder / name
    path.write_text("".join(json.dumps({**line, "media": {"audio": "clip.wav"}}) + "\n" for line in lines))
    return path


def test_a_file_of_any_name_or_qa_jsonl_in_a_folder(tmp_path):
    path = held_out(tmp_path)
    assert [task.name for task in available_tasks("all", path)[0]] == ["qa"]
    assert [task.name for task in available_tasks("avm", path)[0]] == ["avm"]
    with pytest.raises(ValueError, match="one file for 2 tasks"):
        available_tasks("qa,avm", path)
    (tmp_path / "qa.jsonl").write_text(path.read_text())
    tasks, not_run = available_tasks("all", tmp_path)
    assert [task.name for task in tasks] == ["qa"] and set(not_run) == set(TASKS)
    assert prepare_task(QA, path, None, Controls()).own_data == f"{tmp_path.name}/held_out.jsonl"


@pytest.mark.parametrize("said", ["yes", "YES", "Yes.", "no"])
def test_case_does_not_matter_for_yes_and_no(tmp_path, said):
    path = held_out(tmp_path, "avm.jsonl", [{"id": "1", "question": "Do they match?", "references": [said]}])
    (sample,) = TASKS["avm"].read_samples(path, None)
    wanted = said.strip(".").upper()
    statistics = METRICS["yes_no"].sample_statistics([sample] * 2, [wanted, "no" if wanted == "YES" else "yes"])
    assert [row["score"] for row in statistics] == [1.0, 0.0]


@pytest.mark.parametrize("path", ["../clips/x.mp4", "a/../../x.wav", "..\\x.mp4"])
def test_a_path_upwards_is_refused_with_the_remedy(tmp_path, path):
    line = {**LINES[0], "media": {"video": path}}
    (tmp_path / "qa.jsonl").write_text(json.dumps(line))
    with pytest.raises(ValueError, match="--media-root DIR"):
        QA.read_samples(tmp_path / "qa.jsonl", None)


def test_the_report_marks_every_answer_and_does_not_say_aveb(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    work = prepare_task(QA, held_out(tmp_path), None, Controls())
    merge_samples(out, "qa", [SampleRecord(key, raw) for key, raw in ANSWERS.items()])
    result = score_task(QA, work, out)
    assert (result.metric, result.headline.value) == ("qa_accuracy", 0.75)
    assert result.metrics["qa_contained"].value is not None
    write_results(out, RunResults(RunSettings("mine"), {"qa": result}))
    page = write_report(out, [out]).read_text()
    assert "AVEB" not in page and "AVEB" not in (out / "report.md").read_text()
    marks = re.findall(r'<td class="(right|wrong|partly)">', page)
    assert sorted(marks) == ["right", "right", "right", "wrong"]
    assert page.count('class="all-right"') == 3 and "All answers: 3 right, 1 wrong" in page
    assert 'type="checkbox"' in page and "<script" not in page
    assert page.index("<th>2</th>") < page.index("<th>1</th>")  # what is not right comes first


@pytest.mark.parametrize(
    "metric, statistics, shown",
    [
        ("aveb_ocr", {"score": 1 / 3, "n": 1.0}, "partly right (0.33)"),
        ("yes_no", {"score": 0.0, "n": 1.0}, "wrong"),
        ("judged_accuracy", {"judged": 1.0, "correct": 1.0}, "right"),
        ("judged_accuracy", {"judged": 0.0, "correct": 0.0}, None),
        ("judged_score", {"judged": 1.0, "score": 4.0}, "partly right (4 of 5)"),
        (
            "wer",
            {"substitutions": 1.0, "deletions": 1.0, "insertions": 0.0, "words": 7.0},
            "partly right (2 errors in 7 words)",
        ),
        ("wer", {"substitutions": 0.0, "deletions": 0.0, "insertions": 0.0, "words": 7.0}, "right"),
        ("bleu_4", {"matches_1": 3.0}, None),
    ],
)
def test_marks_of_each_kind_of_metric(metric, statistics, shown):
    mark = mark_of(metric, {metric: statistics})
    assert (mark and mark.shown) == shown


def test_without_a_judge_the_best_metric_is_the_headline(tmp_path):
    for name, metric in (("avsd", "cider_d"), ("avssd", "class_match")):
        lines = [
            {"id": f"{number}", "question": "What?", "references": [text]}
            for number, text in enumerate(("a dog barks", "two bells ring"))
        ]
        work = prepare_task(TASKS[name], held_out(tmp_path, f"{name}.jsonl", lines), None, Controls())
        merge_samples(tmp_path, name, [SampleRecord(line["id"], line["references"][0]) for line in lines])
        result = score_task(TASKS[name], work, tmp_path)
        assert (result.metric, result.instead_of) == (metric, "judged_accuracy")
        assert result.headline.value is not None and result.headline.value > 0


def test_options_may_be_written_in_any_case():
    task = TASKS["video_qa"]
    one = EvalSample("1", [{"role": "user", "content": "RED or Blue?"}], {}, ["red"], ["Red", "blue"])
    assert task.complete(one).references == ["Red"]
