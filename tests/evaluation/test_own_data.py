# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples of one's own for any task: what is written is read again, and what is wrong is named by file and line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.evaluation.controls import Controls
from favor.evaluation.readers.own_data import read_samples, write_samples
from favor.evaluation.runner import prepare_task
from favor.evaluation.sample import EvalSample
from favor.evaluation.tasks import TASKS
from favor.processing.media_names_favor import MEDIA_KINDS
from tests.evaluation.published_data import FILES, write_annotations
from tests.evaluation.test_tasks import PERFECT, evaluate

OWN_PROMPTS = {"asr", "ac", "ic", "avsr", "isqa", "avssd", "favd", "valor"}
GIVEN = {"id": "1", "question": "Which sound?", "references": ["bell"], "media": {"video": "media/1.mp4"}}

texts = st.text(min_size=1, max_size=20).filter(str.strip)
clean_texts = texts.map(lambda text: " ".join(text.split())).filter(bool)
turns = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "assistant"]), texts
)
names = st.from_regex(r"(media/)?[a-z]{1,8}\.(mp4|png|wav)", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3)
)
samples_of_any_kind = st.builds(
    EvalSample,
    id=texts,
    messages=st.builds(
        lambda history, question: [*history, {"role": "user", "content": question}],
        st.lists(turns, max_size=2),
        texts,
    ),
    media=st.dictionaries(st.sampled_from(MEDIA_KINDS), names, min_size=1),
    references=st.lists(clean_texts, min_size=1, max_size=3),
    choices=st.none() | st.lists(clean_texts, min_size=1, max_size=3),
    extra=st.dictionaries(texts, json_values, max_size=3),
    use_own_audio=st.booleans(),
)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("own")


@settings(deadline=None)
@given(samples=st.lists(samples_of_any_kind, min_size=1, max_size=4, unique_by=lambda sample: sample.id))
def test_what_is_written_is_read_again(samples, shared_folder):
    placed = [
        EvalSample(
            **{**vars(sample), "media": {kind: str(shared_folder / name) for kind, name in sample.media.items()}}
        )
        for sample in samples
    ]
    path = write_samples(shared_folder / "any.jsonl", placed)
    assert str(shared_folder) not in path.read_text()
    assert read_samples(path, None) == placed


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_the_same_from_samples_of_ones_own(name, tmp_path):
    task = TASKS[name]
    write_annotations(name, tmp_path, 30)
    published = task.data.read(tmp_path / FILES[name], None)
    own = write_samples(tmp_path / f"{name}.jsonl", published)
    assert task.annotation_path(tmp_path) == own  # before the published file
    read = task.read_samples(own, None)
    assert read == published
    assert prepare_task(task, tmp_path, None, Controls()).missing_samples == len(published)
    if "cider_d" not in task.answers.metrics:  # perfect only against a single reference
        for metric, value in evaluate(task, read, [sample.references[0] for sample in read]).items():
            assert value == pytest.approx(PERFECT.get(metric, 1.0)), metric


MINIMAL = {
    "isqa": {"extra": {"source": "textvqa"}},
    "avm": {"references": ["Yes"]},
    "vcg_consistency": None,
} | {
    name: {"question": "Which? Choose one from: bell; hum; beep", "choices": ["bell", "hum", "beep"]}
    for name in ("video_qa", "ego4d_qa", "presentation_qa")
}


@pytest.mark.parametrize("name", [name for name in TASKS if MINIMAL.get(name, {}) is not None])
def test_the_least_that_a_task_needs_scores_perfect(name, tmp_path):
    task, count = TASKS[name], 4
    words = ["bell", "hum", "noise", "beep"]
    records = []
    for index in range(count):
        record = {
            **GIVEN,
            "id": str(index),
            "references": [f"a {words[index]} rings in the dark"],
            **MINIMAL.get(name, {}),
        }
        if "choices" in record:
            record["references"] = [record["choices"][index % 3]]
        if name in OWN_PROMPTS:
            del record["question"]
        records.append(record)
    (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + "\n")
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "1.mp4").touch()
    samples = prepare_task(task, tmp_path, None, Controls()).samples
    assert len(samples) == count
    assert prepare_task(task, tmp_path, None, Controls()).own_data == f"{tmp_path.name}/{name}.jsonl"
    if name in OWN_PROMPTS:
        assert {sample.question for sample in samples} == {task.prompt}
    for metric, value in evaluate(task, samples, [sample.references[0] for sample in samples]).items():
        assert value == pytest.approx(PERFECT.get(metric, 1.0)), metric


def test_media_lie_beside_the_file_or_under_the_media_root(tmp_path):
    path = tmp_path / "annotations" / "avssd.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(GIVEN) + "\n")
    for root in (tmp_path / "annotations", tmp_path / "elsewhere"):
        (root / "media").mkdir(parents=True)
        (root / "media" / "1.mp4").touch()
        assert read_samples(path, root if root != path.parent else None)[0].media == {
            "video": str(root / "media" / "1.mp4")
        }


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", "line 2: Expecting"),
        ("[]", r"line 2: \[\] is no JSON object"),
        ('{"id": "1", "id": "2"}', "the key 'id' stands there twice"),
        ({"answer": "bell"}, "the key 'answer' is unknown; choose from id, references, media, question"),
        ({"answer": "bell"}, 'extra, as "references": \\["..."\\]'),
        ({"video": "1.mp4"}, 'extra, as "media": {"video": "..."}'),
        ({"images": ["1.png"]}, "extra, and put all else into 'extra'"),
        ({"media": None}, "'media' is None; it must be an object"),
        ({"media": {}}, "'media' names nothing"),
        ({"media": {"vidoe": "a.mp4"}}, "'media' names vidoe"),
        ({"media": {"video": 3}}, "'media.video' is 3"),
        ({"media": {"video": "../a.mp4"}}, "must lie below the media root"),
        ({"references": "bell"}, "'references' is 'bell'; it must be a list"),
        ({"references": []}, "'references' is empty"),
        ({"references": ["bell", " "]}, "'references' is ' '; it must be a text that is not empty"),
        ({"id": 1}, "'id' is 1"),
        ({"question": ""}, "'question' is ''"),
        ({"messages": []}, "'question' and 'messages' are both there"),
        ({"question": None, "messages": []}, "both there"),
        ({"choices": "abc"}, "'choices' is 'abc'"),
        ({"use_own_audio": 0}, "'use_own_audio' is 0; it must be true or false"),
        ({"extra": []}, r"'extra' is \[\]"),
        ({"extra": {"pair": "2"}}, r"extra\['pair'\] of sample '1' must be the id of another sample"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(line, message, tmp_path):
    path = tmp_path / "avssd.jsonl"
    text = line if isinstance(line, str) else json.dumps({**GIVEN, **line})
    path.write_text(json.dumps({**GIVEN, "id": "0"}) + "\n" + text + "\n")
    with pytest.raises(ValueError, match=f"avssd.jsonl.*{message}"):
        read_samples(path, None)


@pytest.mark.parametrize("key", ["id", "references", "media", "question"])
def test_nothing_that_is_needed_may_be_missing(key, tmp_path):
    path = tmp_path / "vqa.jsonl"
    path.write_text(json.dumps({name: value for name, value in GIVEN.items() if name != key}) + "\n")
    with pytest.raises(ValueError, match=f"line 1: '{key}'.*is missing"):
        TASKS["vqa"].read_samples(path, None)


@pytest.mark.parametrize(
    "turn", [{"role": "user"}, {"role": "bot", "content": "?"}, {"role": "user", "content": 1}, "?"]
)
def test_broken_turns_are_named(turn, tmp_path):
    path = tmp_path / "avsd.jsonl"
    record = {**GIVEN, "messages": [turn, {"role": "user", "content": "?"}]}
    del record["question"]
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="line 1: '(messages|content)'"):
        read_samples(path, None)
    path.write_text(json.dumps({**record, "messages": [{"role": "assistant", "content": "It is red."}]}))
    with pytest.raises(ValueError, match="must end with the turn of the user"):
        read_samples(path, None)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("avm", {"references": ["maybe"]}, r"needs \['Yes'\] or \['No'\]"),
        ("isqa", {}, r"extra\['source'\] is None"),
        ("ocr", {"references": ["a", "b"]}, "cannot be counted"),
        ("avssd", {"extra": {"class": 3}}, r"extra\['class'\] is 3"),
        ("video_qa", {}, "needs 'choices'"),
        ("video_qa", {"choices": ["bell", "hum"]}, "does not name the option 'bell'"),
        ("video_qa", {"question": "hum or beep?", "choices": ["hum", "beep"]}, "the reference 'bell' is none"),
        ("vcg_consistency", {}, "needs 'pair'"),
    ],
)
def test_what_a_tasks_metrics_need_is_asked_for(name, changes, message, tmp_path: Path):
    path = tmp_path / f"{name}.jsonl"
    path.write_text(json.dumps({**GIVEN, **changes}) + "\n")
    with pytest.raises(ValueError, match=f"{name}.jsonl, line 1: .*{message}"):
        TASKS[name].read_samples(path, None)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "asr.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="asr.jsonl holds no sample"):
        TASKS["asr"].read_samples(tmp_path / "asr.jsonl", None)
