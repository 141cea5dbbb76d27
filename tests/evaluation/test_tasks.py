# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Every task on its published format: oracle answers score perfect, shuffled ones at chance; prompts and judges."""

import json
import random
from dataclasses import replace

import pytest

from favor.evaluation.metrics import METRICS
from favor.evaluation.readers.annotation import read_table
from favor.evaluation.task import JudgePrompt
from favor.evaluation.tasks import TASKS
from favor.processing.media_names_favor import MEDIA_KINDS
from tests.evaluation.published_data import FILES, sentence, write_annotations

COUNT = 60
PAPER_TASKS = "asr ac ic ocr vqa video_qa avsr avsd isqa avssd avm favd valor"
JAVA = {"meteor", "spice", "spider"}
PERFECT = {"cider_d": 10.0, "wer": 0.0, "unparsable": 0.0, "position_bias": 0.0, "judged_score": 5.0}
# Metric -> (lowest, highest) value that answers to other questions may reach. Shuffled yes/no is right half the time;
# an answer to another question is none of the options shown, so that options are drawn below.
CHANCE = {"wer": (0.8, 1.5), "yes_no": (0.3, 0.7), "unparsable": (0.0, 1.0), "position_bias": (0.0, 1.0)}


def read(name, folder, count=COUNT):
    write_annotations(name, folder, count)
    path = TASKS[name].annotation_path(folder)
    assert path == folder / FILES[name]
    return TASKS[name].read(path, None)


def evaluate(task, samples, answers):
    hypotheses = [task.parse(answer, sample) for sample, answer in zip(samples, answers, strict=True)]
    values = {}
    for name in task.metrics:
        metric = METRICS[name]
        if name in JAVA:
            continue
        if getattr(metric, "judged", False):
            best = 5.0 if task.judge.reply == "score" else 1.0
            verdicts = [
                best * (hypothesis in sample.references)
                for sample, hypothesis in zip(samples, hypotheses, strict=True)
            ]
            values[name] = metric.aggregate(metric.verdict_statistics(verdicts))
        else:
            values[name] = metric.aggregate(metric.sample_statistics(samples, hypotheses))
    return values


@pytest.mark.parametrize("name", TASKS)
def test_oracle_answers_are_perfect(name, tmp_path):
    task = TASKS[name]
    # CIDEr-D is only perfect against a single reference: of several it is the mean similarity.
    samples = [
        replace(s, references=s.references[:1]) if "cider_d" in task.metrics else s for s in read(name, tmp_path)
    ]
    for metric, value in evaluate(task, samples, [sample.references[0] for sample in samples]).items():
        assert value == pytest.approx(PERFECT.get(metric, 1.0)), metric


@pytest.mark.parametrize("name", TASKS)
def test_answers_to_other_questions_are_at_chance(name, tmp_path):
    task = TASKS[name]
    samples = read(name, tmp_path)
    answers = [sample.references[0] for sample in samples]
    random.Random(0).shuffle(answers)
    for metric, value in evaluate(task, samples, answers).items():
        low, high = CHANCE.get(metric, (0.0, 0.35))
        assert low <= value <= high, metric


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if "choice_accuracy" in task.metrics])
def test_options_drawn_blindly_are_right_one_time_in_five(name, tmp_path):
    task = TASKS[name]
    samples = read(name, tmp_path, 600)
    rng = random.Random(1)
    values = evaluate(task, samples, [rng.choice(sample.choices) for sample in samples])
    assert values["choice_accuracy"] == values["aveb_choice"] == pytest.approx(0.2, abs=0.06)
    assert values["unparsable"] == 0.0 and values["position_bias"] < 0.1
    third = evaluate(task, samples, [sample.choices[2] for sample in samples])
    assert third["choice_accuracy"] == pytest.approx(0.2, abs=0.06)  # although published third every time, or evenly
    assert third["position_bias"] == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("name", TASKS)
def test_samples_are_whole(name, tmp_path):
    samples = read(name, tmp_path)
    assert len({sample.id for sample in samples}) == len(samples) >= COUNT
    for sample in samples:
        assert sample.media and set(sample.media) <= set(MEDIA_KINDS)
        assert all(isinstance(message["content"], str) and message["content"] for message in sample.messages)


def test_the_papers_tasks_come_first_and_in_its_order():
    assert list(TASKS)[:13] == PAPER_TASKS.split()
    assert [name for name in TASKS if name.startswith("vcg_")] == [
        f"vcg_{aspect}" for aspect in ("correctness", "detail", "context", "temporal", "consistency")
    ]


@pytest.mark.parametrize("name", TASKS)
def test_metrics_exist_and_published_rows_are_of_them(name):
    task = TASKS[name]
    assert set(task.metrics) <= set(METRICS)
    assert {metric for row in task.paper_rows.values() for metric in row} <= set(task.metrics)
    assert task.generation["do_sample"] is False and task.generation["max_new_tokens"] > 0
    assert (task.judge is not None) == any(getattr(METRICS[metric], "judged", False) for metric in task.metrics)


def test_published_rows_hold_the_papers_numbers():
    assert TASKS["avm"].paper_rows["FAVOR 13B"] == {"yes_no": 77.1}
    assert TASKS["ic"].paper_rows["InstructBLIP 13B"] == {"cider_d": 84.5, "meteor": 26.0}
    assert len(TASKS["avssd"].paper_rows) == 12 and "Whisper large-v2" not in TASKS["avssd"].paper_rows


def test_prompts(tmp_path):
    prompts = {
        "asr": "Transcribe the speech into text.",
        "ac": "Please describe the audio.",
        "isqa": "Answer the question in the audio about the image.",
        "avssd": "What is the source of the sound?",
    }
    for name, prompt in prompts.items():
        assert {sample.question for sample in read(name, tmp_path)} == {prompt}


def test_captions_of_a_clip_are_one_sample(tmp_path):
    assert {len(sample.references) for sample in read("ac", tmp_path)} == {5}
    assert {len(sample.references) for sample in read("favd", tmp_path)} == {2}
    assert len(read("ic", tmp_path)) == COUNT  # training images are left out


def test_nextqa_videos_are_in_vidors_folders(tmp_path):
    sample = read("video_qa", tmp_path)[0]
    assert sample.media["video"].endswith("NExT-QA/1101/4000.mp4") and sample.extra["type"] == "CW"
    assert sample.references == ["reason 0 option 0"]


def test_undisclosed_turns_are_left_out(tmp_path):
    path = write_annotations("avsd", tmp_path, 2)
    content = json.loads(path.read_text())
    content["dialogs"][0]["dialog"][2]["answer"] = "__UNDISCLOSED__"
    path.write_text(json.dumps(content))
    assert [sample.id for sample in TASKS["avsd"].read(path, None)] == ["V0-01", "V0-02", "V1-01", "V1-02", "V1-03"]


def test_tables_keep_line_separators_within_fields(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n"one\u2028two\nthree",4\n', encoding="utf-8")
    assert read_table(path, ("a", "b")) == [{"a": "one\u2028two\nthree", "b": "4"}]
    path.write_text("a,b\n1,2,3\n", encoding="utf-8")
    with pytest.raises(ValueError, match="row 2"):
        read_table(path, ("a", "b"))
    with pytest.raises(ValueError, match="lacks the column 'c'"):
        read_table(path, ("a", "c"))


def test_raw_answers_are_freed_of_what_is_no_answer():
    sample = object()
    assert TASKS["vqa"].parse(' ASSISTANT: Answer: "red"</s> USER: next', sample) == "red"
    assert TASKS["asr"].parse("Transcription:\u2028 we  go</s></s>", sample) == "we go"
    assert TASKS["avsd"].parse("\n", sample) == ""


def test_consistency_is_judged_once_a_pair(tmp_path):
    task, samples = TASKS["vcg_consistency"], read("vcg_consistency", tmp_path, 2)
    answers = [f"answer {number}" for number in range(4)]
    prompts = task.judge.prompts(samples, answers)
    assert prompts[1] is prompts[3] is None
    for text in (
        "Question 1: What of 0?",
        "Question 2: And What of 0?",
        "1: answer 0",
        "2: answer 1",
        "{''score': 4.8}",
    ):
        assert text in prompts[0]
    assert task.judge.prompts(samples[:1] + samples[2:], ["a", "b", "c"])[0] is None  # its second was left out


def test_judges_are_asked_the_papers_questions(tmp_path):
    sample = read("avsd", tmp_path)[1]
    assert TASKS["avsd"].judge.prompts([sample], ["{it} hums"]) == [
        'Given the question "what of 1?", is the answer "{it} hums" equivalent to the answer '
        f'"{sample.references[0]}"? '
        'Answer "Yes" if they are equivalent, and "No" if they are different.'
    ]


@pytest.mark.parametrize(
    "reply, verdict",
    [
        ("Yes", 1.0),
        ("no.", 0.0),
        ('"Yes", they are.', 1.0),
        ("**No** - yes, but", 0.0),
        ("They are the same: yes", 1.0),
    ]
    + [("", None), ("Maybe", None), ("Either yes or no", None), ("Yesterday", None), ("I know", None)],
)
def test_yes_and_no_of_a_judge(reply, verdict):
    assert JudgePrompt("", "yes_no").read(reply) == verdict


@pytest.mark.parametrize(
    "reply, score",
    [
        ("{'score': 4.8}", 4.8),
        ("{''score': 4}", 4.0),
        ('{"score": "3"}', 3.0),
        ("Score: 0", 0.0),
        ("5", 5.0),
        ("4/5", 4.0),
    ]
    + [
        ("", None),
        ("{'score': 6}", None),
        ("{'score': -1}", None),
        ("4 of the 5 points", None),
        ("{'score': }", None),
    ],
)
def test_scores_of_a_judge(reply, score):
    assert JudgePrompt("", "score").read(reply) == score


def test_librispeech_is_found_beside_its_transcripts_or_under_the_media_root(tmp_path):
    path = write_annotations("asr", tmp_path, 2)
    for root in (tmp_path / "archive" / "LibriSpeech" / "test-clean", path):
        (root / "0" / "10").mkdir(parents=True, exist_ok=True)
        (root / "0" / "10" / "0-10-0000.flac").touch()
        media_root = tmp_path / "archive" if root != path else None
        sample = TASKS["asr"].read(path, media_root)[0]
        assert sample.media["audio"] == str(root / "0" / "10" / "0-10-0000.flac")
        assert sample.references == [sentence(0).upper()]
    assert TASKS["asr"].read(path / "0" / "10" / "0-10.trans.txt", None) == [sample]
