# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Scores of favor-135m: chance, what is scored anew, parts, tables, the encoders' memory; speed of a tiny model."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks import favor_135m
from benchmarks.encoder_memory import EncoderMemory
from benchmarks.favor_135m_page import BEGIN, END, draw_picture, score_table, write_block, write_card_results
from benchmarks.favor_135m_scores import Run, ScoreFile, answers_folder, score_set
from benchmarks.favor_135m_sets import FAVOR, FULL, MUTED, SETS, TEXT_ONLY, chance, items_key
from benchmarks.favor_135m_speed import Parts, decoding, first_token, joined_speech, middle_sample
from benchmarks.favor_135m_systems import Sources, Systems, examples_file, read_examples, runs_of
from favor.commands.push import read_scores
from favor.evaluation.answerer import Answer, Answerer, chat_of
from favor.evaluation.sample import EvalSample
from favor.modeling_favor import VideoTextToTextPipeline
from tests.conftest import write_media

VIDEO_QA = "test/video_qa"
FAMILIES = ("video_qa_order_seen", "video_qa_shown_while")


class Parrot(Answerer):
    """Says the first option."""

    facts = {}

    def __init__(self):
        self.asked: list[str] = []

    def answer(self, samples, generation):
        self.asked += [sample.id for sample in samples]
        return [Answer(sample.choices[0]) for sample in samples]


@pytest.fixture
def data(tmp_path):
    """Six questions about clips, of two families; the first option is right in four."""
    folder = tmp_path / "data" / "test" / "video_qa"
    (folder / "media").mkdir(parents=True)
    write_media(folder / "media")
    lines = []
    for number in range(6):
        options = ["owl", "cat"] if number % 2 else ["owl", "cat", "dog", "cow"]
        record = {"id": f"v{number}", "question": f"Which? Choose one from: {'; '.join(options)}"}
        record |= {"references": ["cat" if number < 2 else "owl"], "choices": options}
        record |= {"media": {"video": "media/clip.mp4"}, "extra": {"family": FAMILIES[number % 2]}}
        lines.append(json.dumps(record) + "\n")
    (folder / "video_qa.jsonl").write_text("".join(lines))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def fresh_keys():
    """A test's files change, which a run's do not."""
    items_key.cache_clear()


def parrot_run(controls=FULL, revision="r1", system=FAVOR) -> Run:
    return Run(VIDEO_QA, system, controls, "model", revision)


def scored(data: Path, **run) -> ScoreFile:
    scores = ScoreFile.open(data.parent / "scores.json", "python -m benchmarks.favor_135m")
    scores.add(score_set(parrot_run(**run), Parrot(), data, data.parent / "answers"))
    return scores


def question(family: str, *references: str, choices: list[str] | None = None) -> EvalSample:
    turns = [{"role": "user", "content": "?"}]
    return EvalSample("1", turns, {}, list(references), choices, {"family": family})


def test_chance_is_that_of_a_guess_among_what_may_be_answered():
    options = question("video_qa_order_seen", "owl", choices=["owl", "cat", "dog", "cow"])
    yes, count = question("isqa_is_there", "Yes"), question("isqa_count", "three")
    beside = question("isqa_beside", "one")  # no number of things
    assert [chance([one]) for one in (options, yes, count, beside)] == [1 / 4, 1 / 2, 1 / 4, None]
    assert chance([yes, count, beside, beside]) == pytest.approx(3 / 16)


def test_a_set_is_scored_as_a_whole_and_by_parts(data):
    scores = scored(data)
    entry = ScoreFile.open(scores.path, "").find(VIDEO_QA, FAVOR)
    assert entry == scores.find(VIDEO_QA, FAVOR)
    whole = entry.parts["all"]["choice_accuracy"]
    assert whole.value == pytest.approx(4 / 6) and whole.n == 6 and whole.ci95[0] < 4 / 6 < whole.ci95[1]
    assert entry.parts["order"]["choice_accuracy"].n == entry.parts["while"]["choice_accuracy"].n == 3
    assert "heard while" not in entry.parts  # no such sample
    assert entry.chance["shown while"] == pytest.approx(1 / 2) and entry.chance["order seen"] == pytest.approx(1 / 4)


def test_what_is_scored_is_not_asked_again_unless_weights_or_items_change(data):
    scores, folder = scored(data), data.parent / "answers"
    assert scores.holds(parrot_run(), data, None)
    assert not scores.holds(parrot_run(revision="r2"), data, None)
    assert not scores.holds(parrot_run(MUTED), data, None)
    assert not scores.holds(parrot_run(), data, 3)
    again = Parrot()
    score_set(parrot_run(), again, data, folder)  # a file of scores that was lost: the answers are there
    assert not again.asked
    (data / "test/video_qa/media/clip.mp4").write_bytes((data / "test/video_qa/media/long_clip.mp4").read_bytes())
    items_key.cache_clear()
    assert not scores.holds(parrot_run(), data, None)
    score_set(parrot_run(), again, data, folder)
    assert len(again.asked) == 6


def test_two_runs_at_a_time_keep_each_others_scores(data):
    first, second = (ScoreFile.open(data.parent / "scores.json", "") for _ in range(2))
    for scores, controls in ((first, FULL), (second, MUTED)):
        scores.add(score_set(parrot_run(controls), Parrot(), data, data.parent / "answers"))
    assert len(ScoreFile.open(first.path, "").scores) == 2


def test_a_run_that_was_cut_off_keeps_its_answers(data):
    class Dies(Parrot):
        def answer(self, samples, generation):
            if self.asked:
                raise KeyboardInterrupt
            return super().answer(samples, generation)

    with pytest.raises(KeyboardInterrupt):
        score_set(parrot_run(), Dies(), data, data.parent / "answers", batch_size=4)
    rest = Parrot()
    score_set(parrot_run(), rest, data, data.parent / "answers", batch_size=4)
    assert len(rest.asked) == 2
    kept = answers_folder(data.parent / "answers", parrot_run(), items_key(SETS[VIDEO_QA].annotation(data)))
    assert len((kept / "video_qa.jsonl").read_text().splitlines()) == 6


def test_the_program_measures_what_is_missing_and_draws(data, monkeypatch, capsys):
    parrot = Parrot()
    monkeypatch.setattr(Systems, "answerer", lambda self, system, test_set: parrot)
    monkeypatch.setattr(Sources, "revision", lambda self, system, test_set: "r1")
    folder = data.parent
    command = [str(data), "--scores", str(folder / "scores.json"), "--language-model", "lm"]
    assert favor_135m.main(command) == 0
    assert len(parrot.asked) == 6  # the text alone
    page = folder / "page.md"
    page.write_text(f"# Page\n\n{BEGIN}\nold\n{END}\n\nprose\n")
    outputs = ["--page", str(page), "--card", str(folder / "card"), "--picture", str(folder / "scores.png")]
    assert favor_135m.main([*command, "--model", "model", *outputs]) == 0
    assert len(parrot.asked) == 6 + 18  # the model as it is, muted and blind
    text = page.read_text()
    assert text.startswith("# Page") and text.endswith("prose\n") and "old" not in text
    line = next(row for row in text.splitlines() if row.startswith("| Video QA |"))
    cells = [cell.strip() for cell in line.split("|")]
    assert all(cell.startswith("66.7 [") for cell in cells[2:5])
    assert cells[5].startswith("text only: 66.7") and cells[6:8] == ["37.5", "70"]
    assert (folder / "scores.png").stat().st_size > 10_000
    card = {task.task: task for task in read_scores(folder / "card").tasks}
    assert card["Video QA"].value == pytest.approx(4 / 6) and card["Video QA, shown while"].samples == 3
    assert "Not measured" in capsys.readouterr().err
    assert favor_135m.main([*command, "--sets", "test/nothing"]) == 2
    assert "no such set" in capsys.readouterr().err


def test_marks_that_do_not_belong_together_are_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("prose\n")
    write_block(page, "table")
    assert page.read_text() == f"prose\n\n{BEGIN}\ntable\n{END}\n"
    for broken in (BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"):
        page.write_text(broken)
        with pytest.raises(ValueError, match="one each, in order"):
            write_block(page, "table")


def test_nothing_scored_is_no_card_and_no_picture(tmp_path):
    scores = ScoreFile.open(tmp_path / "scores.json", "")
    with pytest.raises(ValueError, match="no scores"):
        write_card_results(tmp_path, scores)
    with pytest.raises(ValueError, match="no scores"):
        draw_picture(scores, tmp_path / "x.png")
    assert "| goal |" in score_table(scores)


def test_only_systems_with_a_source_are_measured():
    assert runs_of(SETS[VIDEO_QA], Sources(language_model="lm")) == [(TEXT_ONLY, "full")]
    assert [control for _, control in runs_of(SETS[VIDEO_QA], Sources(model="m"))] == ["full", "no audio", "no video"]
    assert runs_of(SETS["test/name_picture"], Sources(parts="p")) == []  # no examples


def test_examples_are_rows_of_a_manifest(tmp_path):
    turns = [{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": "owl"}]
    manifest = tmp_path / "train.jsonl"
    row = {"messages": turns, "image": "media/1.jpg", "audio": None, "family": "name_picture"}
    others = {**row, "family": "ic", "messages": [turns[0], {"role": "assistant", "content": "an owl"}]}
    manifest.write_text(json.dumps(others) + "\n" + json.dumps(row) + "\n")
    (example,) = read_examples(manifest, "name_picture")
    assert example.references == ["owl"] and example.question == "What is this?"
    assert example.media == {"image": str(tmp_path / "media/1.jpg")}
    with pytest.raises(ValueError, match="no row of the family 'name_sound'"):
        read_examples(manifest, "name_sound")
    manifest.write_text(json.dumps({"messages": turns, "family": "name_picture"}) + "\n")
    with pytest.raises(ValueError, match="line 1 has no media"):
        read_examples(manifest, "name_picture")
    assert examples_file(tmp_path, "name_picture") == manifest
    assert examples_file(tmp_path / "other", "ic") == tmp_path / "other/ic/train.jsonl"


def test_sets_lie_as_they_were_rendered_together_or_one_by_one(data):
    inner = SETS[VIDEO_QA].annotation(data)
    assert inner == data / "test/video_qa/video_qa.jsonl" and inner.is_file()
    together = data / "test/video_qa.jsonl"
    together.write_text(inner.read_text())
    assert SETS[VIDEO_QA].annotation(data) == together


@pytest.fixture
def pipe(tiny_parts):
    model, processor = tiny_parts
    return VideoTextToTextPipeline(model=model, processor=processor)


def clip_sample(media_dir, name="clip.mp4", **more) -> EvalSample:
    turns = [{"role": "user", "content": "What is heard?"}]
    return EvalSample("1", turns, {"video": str(media_dir / name)}, ["beep"], **more)


def test_encoders_read_each_picture_and_chunk_once_and_give_the_same(pipe, media_dir):
    model = pipe.model.model
    plain = model.picture_patches, model.chunk_states
    samples = [clip_sample(media_dir), clip_sample(media_dir, "long_clip.mp4")]
    inputs = [pipe.preprocess([chat_of(sample)], load_audio_from_video=True) for sample in samples]
    expected = [(plain[0](one["pixel_values_videos"][0]), plain[1](one["input_features"][0])) for one in inputs]
    try:
        memory = EncoderMemory(model)
        for _ in range(2):
            for one, (patches, states) in zip(inputs, expected, strict=True):
                torch.testing.assert_close(model.picture_patches(one["pixel_values_videos"][0]), patches)
                torch.testing.assert_close(model.chunk_states(one["input_features"][0]), states)
        rows = sum(len(patches) + len(states) for patches, states in expected)
        assert memory.read == 2 * rows and memory.encoded == len(memory.states) <= rows
        small = EncoderMemory(model, limit=memory.held // 2)
        model.picture_patches(inputs[1]["pixel_values_videos"][0])
        assert small.held <= small.limit
    finally:
        del model.picture_patches, model.chunk_states


def test_speed_is_measured_in_pairs(pipe, media_dir):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    parts = Parts(pipe, LlamaForCausalLM(LlamaConfig(vocab_size=400, **sizes)).eval(), None)
    reading, passes = first_token(parts, "a clip", clip_sample(media_dir), repetitions=2)
    assert "6 pictures, 1 chunks of sound" in reading.what
    assert reading.other.cpu.median > passes.other.cpu.median  # it reads the file, too
    row = decoding(parts, clip_sample(media_dir), tokens=4, repetitions=2)
    assert row.ratio.median == pytest.approx(row.other.cpu.median / row.own.cpu.median, rel=1.0)
    assert "a token of 4 after" in row.what


def test_a_minute_is_joined_of_whole_utterances(media_dir):
    media = {"audio": str(media_dir / "sound.wav")}  # 2.5 s
    samples = [EvalSample(str(number), [], media, [f"w{number}"]) for number in range(5)]
    sound, words, count = joined_speech(samples, 8.0)
    assert (len(sound) / 16000, words, count) == (7.5, "w0 w1 w2", 3)
    with pytest.raises(ValueError, match="No utterance fits"):
        joined_speech(samples, 1.0)


def test_the_middle_sample_is_taken(data):
    assert middle_sample(data, VIDEO_QA).id == "v3"
