# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Misnamed media columns are errors, so that training on audio-visual data is never training on text."""

import pytest
from datasets import Dataset

from favor.trainers import load_manifest
from favor.trainers.sample_columns import check_media_columns, check_sample_columns

MESSAGES = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A dog."}]


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("videos", "a.mp4", "video"),
        ("video_path", "a.mp4", "video"),
        ("audio_file", "b", "audio"),
        ("audios", "b.wav", "audio"),
        ("Audio", "b.wav", "audio"),
        ("images", {"bytes": b"", "path": None}, "image"),
        ("recording", "b.flac", "audio"),
        ("scan", {"path": "c.png", "bytes": None}, "video"),
        ("frames", [b"\x89PNG"], "video"),
    ],
)
def test_columns_that_look_like_media_are_refused(name, value, meant):
    for rest in ({}, {"video": "a.mp4"}):
        with pytest.raises(ValueError, match=rf"'{name}' looks like media.*columns: \{{{meant}: {name}\}}"):
            check_sample_columns({"messages": MESSAGES, **rest, name: value})
    check_sample_columns({"messages": MESSAGES, name: None})


def test_descriptions_are_no_media():
    for extra in ({"family": "colours"}, {"audio_caption": "A dog barks."}, {"image_id": 3}, {"speaker": "x"}):
        check_sample_columns({"messages": MESSAGES, "video": "a.mp4", **extra})


@pytest.mark.parametrize("placeholder", ["<video>", "<image>", "<audio>"])
def test_placeholders_in_the_text_are_refused(placeholder):
    turns = [{"role": "user", "content": f"{placeholder} What is it?"}, MESSAGES[1]]
    with pytest.raises(ValueError, match=f"row 3: the text holds {placeholder}"):
        check_sample_columns({"messages": turns, "origin": "row 3"})


def test_a_dataset_is_checked_by_its_first_rows(training_dir):
    manifest = load_manifest(training_dir / "train.jsonl")
    counts = check_media_columns(manifest, rows=10)
    assert sum(counts.values()) == 10 and counts["text_only"] == 0
    assert check_media_columns(Dataset.from_dict({"messages": [MESSAGES]}))["text_only"] == 1
    assert check_media_columns(manifest.to_iterable_dataset(), rows=10) == counts
    with pytest.raises(ValueError, match="sample 0: column 'sounds' looks like media"):
        check_media_columns(Dataset.from_dict({"messages": [MESSAGES], "sounds": ["b.wav"]}))
    with pytest.raises(ValueError, match="sample 0 has no `messages`, only video"):
        check_media_columns(Dataset.from_dict({"video": ["a.mp4"]}))
