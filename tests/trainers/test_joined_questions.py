# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`questions_per_clip`: several samples about one clip become one conversation, and are learnt as such."""

import json
from collections import Counter

import pytest
import torch

from favor.trainers.data_mixture import load_training_data
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.sample_tokens import IGNORED_LABEL


@pytest.fixture
def manifest(media_dir, tmp_path):
    """Five questions about one sound, two about another with a picture, and two without media."""
    sound, picture = (str(media_dir / name) for name in ("sound.wav", "photo.png"))
    lines = [
        {"audio": sound, "messages": asked(f"First, {n}?", f"one {n}"), "family": f"f{n}", "streams": "audio"}
        for n in range(5)
    ]
    lines += [{"audio": sound, "image": picture, "messages": asked(f"Both, {n}?", f"two {n}")} for n in range(2)]
    lines += [{"messages": asked(f"Text, {n}?", f"three {n}")} for n in range(2)]
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def asked(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def source(manifest, **options):
    return load_training_data([{"path": str(manifest), **options}], seed=3)


def test_each_question_stands_once_with_its_answer_and_its_own_clip(manifest):
    joined, single = list(source(manifest, questions_per_clip=3)), list(source(manifest))
    pairs = Counter(
        (row.get("audio"), row.get("image"), turn["content"], answer["content"])
        for row in joined
        for turn, answer in zip(row["messages"][::2], row["messages"][1::2], strict=True)
    )
    assert pairs == Counter(
        (row.get("audio"), row.get("image"), *(turn["content"] for turn in row["messages"])) for row in single
    )
    assert sorted(len(row["messages"]) // 2 for row in joined) == [1, 1, 2, 2, 3]
    again = list(source(manifest, questions_per_clip=3))
    assert [row["messages"] for row in joined] == [row["messages"] for row in again]


def test_all_answers_are_learnt_and_the_media_read_once(manifest, tiny_parts):
    model, processor = tiny_parts
    rows = source(manifest, questions_per_clip=5).filter(lambda row: row["audio"] and not row["image"])
    (row,) = encode_dataset(model, processor, rows, workers=0, progress=False)[0]
    learnt = processor.tokenizer.decode([label for label in row["labels"] if label != IGNORED_LABEL])
    assert all(f"one {n}" in learnt for n in range(5)) and "First" not in learnt
    ids = torch.tensor(row["input_ids"])
    assert (ids == model.config.video_token_id).sum() == row["query_tokens"][0]


def test_a_system_turn_stands_once_and_others_do_not_go_together(media_dir, tmp_path):
    told = [("be brief", "a"), ("be brief", "b"), ("be kind", "c"), (None, "d"), (None, "e")]
    lines = [
        {
            "audio": str(media_dir / "sound.wav"),
            "messages": [*([{"role": "system", "content": system}] if system else []), *asked(f"{name}?", name)],
            "length": 7,
        }
        for system, name in told
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    found = {}
    for row in source(file, questions_per_clip=4):
        systems = [turn["content"] for turn in row["messages"] if turn["role"] == "system"]
        assert [turn["role"] for turn in row["messages"]][: len(systems)] == ["system"] * len(systems) and len(
            systems
        ) < 2
        answers = {turn["content"] for turn in row["messages"] if turn["role"] == "assistant"}
        found["".join(sorted(answers))] = systems, row.get("length")
    assert found == {"ab": (["be brief"], None), "c": (["be kind"], 7), "de": ([], None)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"questions_per_clip": 0}, "`questions_per_clip` must be at least 1"),
        ({"questions_per_clip": 2, "streaming": True}, "questions_per_clip need the whole data"),
    ],
)
def test_what_cannot_be_joined(options, message, manifest):
    with pytest.raises(ValueError, match=message):
        source(manifest, **options)


def test_only_manifests_are_joined(tmp_path):
    table = tmp_path / "table.jsonl"
    table.write_text(json.dumps({"question": "Which?", "answer": "this"}))
    with pytest.raises(ValueError, match="only a manifest's samples are joined"):
        load_training_data([{"dataset": str(tmp_path), "questions_per_clip": 2}])
