# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorDataCollator: labels are the answers' tokens, media are whole, bad samples are named or counted."""

import copy
import string

import pytest
import torch
from datasets import Dataset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers
from torch.utils.data import DataLoader

from favor.trainers import FavorDataCollator, add_length_column, load_manifest
from favor.trainers.favor_data_collator import IGNORED_LABEL
from favor.trainers.sample_tokens import limit_length, tokenize_sample

WORDS = st.text(string.ascii_letters + " éß,?", min_size=1, max_size=30).filter(str.strip)
DIALOGUES = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4)


def dialogue(pairs):
    roles = ("user", "assistant")
    return [{"role": role, "content": text} for pair in pairs for role, text in zip(roles, pair, strict=True)]


@pytest.fixture(scope="module")
def rows(training_dir):
    return load_manifest(training_dir / "train.jsonl")


@pytest.fixture(scope="module")
def one_of_each(rows):
    """A video, a still and a sound."""
    return [next(row for row in rows if row[kind]) for kind in ("video", "image", "audio")]


def test_labels_are_the_answers_tokens_and_media_are_whole(tiny_parts, one_of_each):
    _, processor = tiny_parts
    end = processor.tokenizer.eos_token
    whole = FavorDataCollator(processor).prepare(one_of_each[2])
    placeholders = whole["input_ids"].count(processor.video_token_id)
    assert placeholders

    @settings(max_examples=15, deadline=None)
    @given(DIALOGUES, st.integers(0, 60))
    def check(pairs, cut):
        sample = {**one_of_each[2], "messages": dialogue(pairs)}
        row = FavorDataCollator(processor).prepare(sample)
        ids, labels = row["input_ids"], row["labels"]
        learnt = [token for token in labels if token != IGNORED_LABEL]
        taught = processor.tokenizer.decode(learnt).split(end)  # a word's token begins with a space
        assert [text.strip() for text in taught] == [*(answer.strip() for _, answer in pairs), ""]
        assert all(label in (token, IGNORED_LABEL) for token, label in zip(ids, labels, strict=True))
        first = next(place for place, label in enumerate(labels) if label != IGNORED_LABEL)
        limit = max(first + 1, len(ids) - cut)
        short = FavorDataCollator(processor, max_length=limit).prepare(sample)
        assert len(short["input_ids"]) <= limit
        assert short["input_ids"] == ids[: len(short["input_ids"])]
        assert short["labels"] == labels[: len(short["labels"])]
        assert short["labels"][-1] != IGNORED_LABEL
        assert [label for label in labels[:limit] if label != IGNORED_LABEL] == [
            label for label in short["labels"] if label != IGNORED_LABEL
        ]
        assert short["input_ids"].count(processor.video_token_id) == placeholders
        with pytest.raises(ValueError, match=rf"max_length is {first}\. Raise"):
            FavorDataCollator(processor, max_length=first).prepare(sample)

    check()


SPACE_BEFORE_ANSWERS = "(' ' + text.value | trim if text.value | trim else '')"


@pytest.mark.parametrize("space_of", ["answer", "prompt", "tokenizer"])
def test_an_answer_is_learnt_from_where_the_prompt_of_generation_ends(tiny_parts, space_of):
    """Also where a tokenizer puts the space there, and splits it off a first word that it does not know."""
    processor = copy.deepcopy(tiny_parts[1])
    ends_with_space = space_of == "prompt"
    if space_of != "answer":
        assert SPACE_BEFORE_ANSWERS in processor.chat_template
        template = processor.chat_template.replace(SPACE_BEFORE_ANSWERS, "text.value | trim")
        processor.chat_template = template.replace("ASSISTANT:", "ASSISTANT: " if ends_with_space else "ASSISTANT:")
    if space_of == "tokenizer":  # as models had it that were trained before the template wrote the space
        rule = normalizers.Replace(Regex(r"ASSISTANT:(?=\w)"), "ASSISTANT: ")
        processor.tokenizer.backend_tokenizer.normalizer = rule

    @settings(max_examples=60, deadline=None)
    @given(DIALOGUES)
    @example([("Is it?", "Yes"), ("And that?", "Zwölf")])
    def check(pairs):
        messages = dialogue(pairs)
        ids, labels = tokenize_sample(processor, {"messages": messages}, [])
        row = FavorDataCollator(processor).prepare({"messages": messages})
        assert (ids, labels) == (row["input_ids"], row["labels"])
        learnt = [label != IGNORED_LABEL for label in labels]
        begins = [place for place, now in enumerate(learnt) if now and not learnt[place - 1]]
        prompts = [
            processor.tokenizer.apply_chat_template(
                messages[: 2 * turn + 1], chat_template=processor.chat_template, add_generation_prompt=True
            )["input_ids"]
            for turn in range(len(pairs))
        ]
        space = processor.tokenizer.convert_tokens_to_ids("Ġ")
        if ends_with_space:  # it is the prompt's, or part of the answer's first word
            assert all(ids[begin] != space for begin in begins)
        else:
            assert [ids[:begin] for begin in begins] == prompts

    check()


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 25))
def test_a_limit_keeps_every_answer_token_before_it(answers, limit):
    ids = list(range(len(answers)))
    labels = [token if answer else IGNORED_LABEL for token, answer in zip(ids, answers, strict=True)]
    if len(ids) > limit and not any(answers[:limit]):
        with pytest.raises(ValueError, match="max_length"):
            limit_length(ids, labels, limit)
        return
    kept, kept_labels = limit_length(ids, labels, limit)
    assert len(kept) <= max(limit, len(kept_labels))
    assert sum(label != IGNORED_LABEL for label in kept_labels) == sum(answers[:limit])


def test_a_batch_holds_what_the_processor_makes_of_it(tiny_parts, one_of_each):
    """Media rows, padding included, against one call of the processor for the whole batch."""
    _, processor = tiny_parts
    text_only = {"messages": dialogue([("What is red?", "A colour.")])}
    samples = [one_of_each[1], text_only, one_of_each[0], one_of_each[2]]
    batch = FavorDataCollator(processor)(samples)
    chats = []
    for sample in samples:
        blocks = [
            {"type": kind, "path": sample[kind]}
            for kind in ("video", "image", "audio")
            if sample.get(kind) is not None
        ]
        question, *later = sample["messages"]
        chats.append([{"role": "user", "content": [*blocks, {"type": "text", "text": question["content"]}]}, *later])
    expected = processor.apply_chat_template(
        chats, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs={"padding": True}
    )
    assert set(batch) == {*expected, "labels"}
    for name, value in expected.items():
        if name not in ("input_ids", "attention_mask"):
            assert torch.equal(batch[name], value), name
    for row, mask, left, left_mask in zip(
        batch["input_ids"], batch["attention_mask"], expected["input_ids"], expected["attention_mask"], strict=True
    ):
        assert torch.equal(row[mask == 1], left[left_mask == 1])


def test_sound_that_alone_holds_the_answer_is_in_the_batch(tiny_parts, rows):
    """And a misnamed audio column is an error, not training on text."""
    _, processor = tiny_parts
    collator = FavorDataCollator(processor)
    video = next(row for row in rows if row["video"] and row["streams"] == "audio")
    assert collator([video])["input_features_mask"].sum() > 0
    sound = next(row for row in rows if row["audio"])
    assert collator([sound])["input_features_mask"].sum() > 0
    for name in ("audios", "audio_path", "sound", "recording"):
        renamed = {"messages": sound["messages"], name: sound["audio"]}
        with pytest.raises(ValueError, match=rf"'{name}' looks like media.*audio: {name}"):
            collator([renamed])
        muted = {**video, "use_own_audio": False, name: sound["audio"]}
        with pytest.raises(ValueError, match=rf"'{name}' looks like media"):
            FavorDataCollator(processor, on_bad_sample="skip")([muted, sound])


def test_media_may_be_bytes(tiny_parts, one_of_each):
    _, processor = tiny_parts
    collator = FavorDataCollator(processor)
    for row, kind in zip(one_of_each, ("video", "image", "audio"), strict=True):
        with open(row[kind], "rb") as file:
            data = file.read()
        expected = collator([row])
        for value in (data, {"path": "gone.bin", "bytes": data}, {"path": row[kind], "bytes": None}):
            found = collator([{**row, kind: value}])
            assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_bad_sample_is_named(tiny_parts, one_of_each, tmp_path):
    _, processor = tiny_parts
    collator = FavorDataCollator(processor)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"train\.jsonl, line \d+, .*broken\.mp4: "):
        collator([{**one_of_each[0], "video": str(tmp_path / "broken.mp4")}])
    with pytest.raises(ValueError, match=r"train\.jsonl, line \d+, .*gone\.mp4: "):
        collator([{**one_of_each[0], "video": str(tmp_path / "gone.mp4")}])
    with pytest.raises(ValueError, match="no assistant turn with text"):
        collator([{**one_of_each[0], "messages": dialogue([("What?", " ")])}])
    for options in ({"on_bad_sample": "ignore"}, {"max_length": 0}):
        with pytest.raises(ValueError, match="must be"):
            FavorDataCollator(processor, **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_samples_are_counted_in_the_main_process(tiny_parts, one_of_each, tmp_path, workers):
    _, processor = tiny_parts
    good, broken = one_of_each[2], str(tmp_path / "broken.wav")
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    long = {**good, "messages": dialogue([("What? " * 200, "It.")])}
    bad = [{**good, "audio": broken}, {**good, "audio": str(tmp_path / "gone.wav")}, long]
    collator = FavorDataCollator(processor, max_length=300, on_bad_sample="skip", spares=[bad[1], good])
    samples = [good, bad[0], bad[1], bad[2], good, good]
    batches = list(DataLoader(samples, batch_size=2, collate_fn=collator, num_workers=workers))
    assert [len(batch["input_ids"]) for batch in batches] == [1, 1, 2]  # the second one is a spare
    assert torch.equal(batches[1]["labels"], collator([good])["labels"])
    assert collator.skipped_samples == 3
    reasons = [entry["reason"] for entry in collator.bad_samples]
    assert sorted(reasons) == ["missing file", "too long", "unreadable media"]
    assert broken in {entry["file"] for entry in collator.bad_samples}
    assert "1 missing file" in collator.log.summary() and "3 samples skipped" in collator.log.summary()


def test_a_batch_without_a_usable_sample_is_an_error(tiny_parts, tmp_path):
    _, processor = tiny_parts
    bad = {"messages": dialogue([("What?", "It.")]), "audio": str(tmp_path / "gone.wav")}
    with pytest.raises(ValueError, match=r"None of the 2 samples of a batch can be used: .*gone\.wav"):
        FavorDataCollator(processor, on_bad_sample="skip")([bad, bad])
    with pytest.raises(ValueError, match="in place of bad ones"):
        FavorDataCollator(processor, on_bad_sample="skip", spares=[bad])([bad, bad])


def test_lengths_are_told_without_decoding(tiny_parts, rows, one_of_each, monkeypatch):
    _, processor = tiny_parts
    samples = [*one_of_each, {**one_of_each[0], "use_own_audio": False}, {**one_of_each[1], "audio": rows[0]["video"]}]
    dataset = rows.from_list([{**sample, "length": 0} for sample in samples])
    monkeypatch.setattr("favor.trainers.sample_length.load_media", lambda *a, **k: pytest.fail("a file was decoded"))
    lengths = add_length_column(dataset, processor, progress=False)["length"]
    prepared = [FavorDataCollator(processor).prepare(sample) for sample in samples]
    assert lengths == [len(row["input_ids"]) for row in prepared]


def test_a_file_that_cannot_be_opened_counts_its_text(tiny_parts, tmp_path, one_of_each):
    _, processor = tiny_parts
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    text = {**one_of_each[0], "video": None}
    broken = [{**text, "video": str(tmp_path / name)} for name in ("broken.mp4", "gone.mp4")]
    lengths = add_length_column(Dataset.from_list([*broken, text]), processor, progress=False)["length"]
    assert 0 < lengths[2] <= lengths[0] == lengths[1] <= lengths[2] + 4  # the tags around nothing
