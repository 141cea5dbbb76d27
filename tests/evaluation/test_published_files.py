# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""SAVEBench's files as published: read whole, every trap of theirs handled, and errors that name the record."""

import json

import pytest

from favor.evaluation.readers.annotation import MediaFinder
from favor.evaluation.sample import missing_media
from favor.evaluation.task import find_tasks
from favor.evaluation.tasks import TASKS
from tests.evaluation.published_data import SAVEBENCH

SAMPLES = {  # samples in six records
    "ic": 6,
    "ocr": 6,
    "vqa": 6,
    "video_qa": 6,
    "avsr": 6,
    "avsd": 57,
    "avssd": 6,
    "avm": 6,
    "ego4d_qa": 6,
    "presentation_qa": 6,
}


def read(name, path=None, media_root=None):
    return TASKS[name].data.read(path or SAVEBENCH / TASKS[name].data.annotation, media_root)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_files_load_whole(name):
    samples = read(name)
    assert len(samples) == SAMPLES[name] == len({sample.id for sample in samples})
    for sample in samples:
        assert sample.messages[-1]["role"] == "user" and sample.question
        assert sample.media and sample.references and all(sample.references)
    assert read(name) == samples


def test_every_sample_file_belongs_to_a_task():
    assert {path.name for path in SAVEBENCH.glob("*.json")} == {TASKS[name].data.annotation for name in SAMPLES}


def test_prompts_are_the_papers_not_the_files():
    assert {sample.question for sample in read("ic")} == {"Describe this image in one short sentence."}
    assert {sample.question for sample in read("avsr")} == {
        "Transcribe the speech into text, paying attention to both audio and video."
    }
    assert {sample.question for sample in read("avssd")} == {"What is the source of the sound?"}
    assert read("ocr")[0].question == "what is the brand of this camera?"


def test_options_are_in_the_prompt_in_an_order_of_their_own():
    samples = read("video_qa") + read("ego4d_qa") + read("presentation_qa")
    published = json.loads((SAVEBENCH / "nextqa_test.json").read_text())
    for sample in samples:
        assert sample.question.endswith(f" Choose one from: {'; '.join(sample.choices)}")
        assert sample.references[0] in sample.choices
    assert [sorted(sample.choices) for sample in samples[:6]] == [sorted(r["answer_candidates"]) for r in published]
    assert any(s.choices != r["answer_candidates"] for s, r in zip(samples, published, strict=False))
    assert samples[0].question.startswith("what did the baby do after throwing the green cup away while on the floor")
    assert "end? Choose" in samples[0].question  # published without a question mark


def test_blanks_at_the_ends_of_published_answers_go():
    answers = [reference for sample in read("ocr") for reference in sample.references]
    assert "bowmore" in answers and all(answer == answer.strip() for answer in answers)
    assert len(read("ocr")[0].references) == 10


def test_two_questions_about_the_same_image_have_different_ids():
    assert [sample.id for sample in read("ocr")][3:5] == ["831bcec304a17054", "831bcec304a17054#2"]


def test_dialogue_turns_follow_the_turns_before():
    third = read("avsd")[2]
    assert third.id == "Y4U6T-03"
    assert [message["role"] for message in third.messages] == ["user", "assistant"] * 2 + ["user"]
    assert third.messages[1]["content"] == "The person is a man."
    assert third.references == ["Yes he puts the pillow on the shelf."]
    assert set(third.media) == {"video", "audio"}


def test_classes_are_recovered_from_the_sentences():
    assert [sample.extra["class"] for sample in read("avssd")] == [
        "people belly laughing",
        "playing double bass",
        "train whistling",
        "chainsawing trees",
        "pigeon, dove cooing",
        "playing table tennis",
    ]


def test_matching_hides_what_is_heard_and_marks_a_contradiction(tmp_path):
    records = json.loads((SAVEBENCH / "audiovisualmatching_combined.json").read_text())
    assert not any(sample.extra["heard"] in sample.question or "note" in sample.extra for sample in read("avm"))
    records[0]["answer"] = "No"  # as in one record of the full file: same clip, yet "No"
    records[1]["image"] = ["COCO_val2014_1.jpg", "m-3_1.wav"]
    path = tmp_path / "avm.json"
    path.write_text(json.dumps(records))
    first, second = read("avm", path)[:2]
    assert "same clip" in first.extra["note"] and first.extra["source"] == "vggss"
    assert set(second.media) == {"image", "audio"} and second.extra["source"] == "spokencoco"


def test_media_are_found_under_authors_prefixes(tmp_path):
    (tmp_path / "vgg").mkdir()
    for name in ("-0BIyqJj9ZU_000030.mp4", "-0BIyqJj9ZU_000030.flac"):
        (tmp_path / "vgg" / name).touch()
    samples = read("avssd", media_root=tmp_path / "vgg")
    assert samples[0].media == {
        "video": str(tmp_path / "vgg" / "-0BIyqJj9ZU_000030.mp4"),
        "audio": str(tmp_path / "vgg" / "-0BIyqJj9ZU_000030.flac"),
    }
    missing = missing_media(samples)
    assert len(missing) == 5 and samples[0].id not in missing
    assert all(path.startswith(str(tmp_path / "vgg" / "Benchmark")) for paths in missing.values() for path in paths)


def test_a_longer_path_is_preferred_and_the_annotations_folder_serves_too(tmp_path):
    root = tmp_path / "media"
    for folder in (root / "a", root, tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "x.mp4").touch()
    finder = MediaFinder(tmp_path / "annotations.json", root)
    assert finder.video("far/a/x.mp4") == str(root / "a" / "x.mp4")
    assert finder.video("b/x.mp4") == str(root / "x.mp4")
    (root / "x.mp4").unlink()
    finder = MediaFinder(tmp_path / "annotations.json", root)  # folders are read once
    assert finder.video("b/x.mp4") == str(tmp_path / "x.mp4")
    assert finder.audio("b/x.wav") == str(tmp_path / "x.mp4")  # a video serves by its sound
    assert finder.audio("clip_3.33_3.68.wav") == str(root / "clip_3.33_3.68.wav")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b.mp4", ""])
def test_media_outside_the_root_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="below the media root"):
        MediaFinder(tmp_path / "a.json", tmp_path).video(name)


@pytest.mark.parametrize(
    "task, change, message",
    [
        ("ic", lambda r: r[2].pop("answer"), r"record 2, has no 'answer'; it has image, question"),
        ("ocr", lambda r: r[1].update(answer=[]), r"record 1: 'answer' is \[\]"),
        ("video_qa", lambda r: r[3].update(answer="else"), r"record 3: the answer 'else' is not among the options"),
        ("avssd", lambda r: r[5].update(answer="A bell."), r"'A bell.' is none of SAVEBench's four sentences"),
        ("avm", lambda r: r[4].update(answer="Maybe"), r"record 4: the answer is 'Maybe'; it must be 'Yes' or 'No'"),
        ("avsr", lambda r: r[0].update(image=["a.mp4"]), r"record 0, names 1 media"),
        ("avsd", lambda r: r[1]["conversation"].append(["why?"]), r"record 1, has the turn \['why\?'\]"),
    ],
)
def test_broken_records_are_named(tmp_path, task, change, message):
    records = json.loads((SAVEBENCH / TASKS[task].data.annotation).read_text())
    change(records)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=message):
        read(task, path)


@pytest.mark.parametrize(
    "content, message", [("{", "is not JSON"), ('{"a": 1}', "does not hold"), ("[1]", "does not hold")]
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "nextqa_test.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"nextqa_test.json {message}"):
        read("video_qa", path)


def test_byte_order_marks_are_no_content(tmp_path):
    path = tmp_path / "how2_test.json"
    path.write_bytes(b"\xef\xbb\xbf" + (SAVEBENCH / "how2_test.json").read_bytes())
    assert len(read("avsr", path)) == 6


def test_tasks_are_found_by_name():
    assert [task.name for task in find_tasks("avm, asr,avm")] == ["avm", "asr"]
    assert len(find_tasks("all")) == len(TASKS)
    for wrong in ("asrr", "", "asr,nothing"):
        with pytest.raises(ValueError, match="choose from all, asr, ac"):
            find_tasks(wrong)
