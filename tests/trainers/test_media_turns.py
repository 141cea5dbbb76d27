# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rows as TRL's vision examples have them train as those of a manifest do: the same tensors, bit by bit."""

import pytest
import torch
from datasets import Dataset
from PIL import Image

from favor import FavorDataCollator, FavorSFTConfig, FavorSFTTrainer
from favor.trainers.bad_samples import BadSampleError
from favor.trainers.media_turns import media_turns
from tests.trainers.preference_steps import QUIET

ANSWER = {"role": "assistant", "content": "red"}


def text(said):
    return {"type": "text", "text": said, "index": None}  # as `datasets` gives blocks back


@pytest.fixture
def forms(media_dir):
    """The manifest's sample, and the same in other forms."""
    picture = Image.open(media_dir / "photo.png")
    plain = {"messages": [{"role": "user", "content": "What is it?"}, ANSWER], "image": str(media_dir / "photo.png")}
    open_block = {"type": "image", "text": None, "index": 0}
    asked = {"role": "user", "content": [open_block, text("What is it?")]}
    said = {"role": "assistant", "content": [text("red")]}
    return [
        plain,
        {"messages": plain["messages"], "images": [picture]},
        {"messages": [asked, said], "images": [picture]},
        {"messages": [asked, said], "image": picture},
        {"messages": [{**asked, "content": [{"type": "image", "path": plain["image"]}, text("What is it?")]}, said]},
    ]


def test_every_form_gives_the_same_batch(tiny_parts, forms):
    collate = FavorDataCollator(tiny_parts[1])
    expected = collate(forms[:1])
    for form in forms[1:]:
        found = collate([form])
        assert sorted(found) == sorted(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected), form


def test_the_form_of_trls_vision_example_trains(model_and_processor, forms, tmp_path):
    model, processor = model_and_processor
    arguments = FavorSFTConfig(output_dir=str(tmp_path), per_device_train_batch_size=2, **QUIET | {"max_steps": 2})
    rows = Dataset.from_list(forms[2:3] * 4)
    trainer = FavorSFTTrainer(model=model, args=arguments, processing_class=processor, train_dataset=rows)
    trainer.train()
    assert trainer.state.global_step == 2 and "diversity_loss" in trainer.state.log_history[0]


def test_several_media_stand_where_their_blocks_are(tiny_parts, media_dir):
    """One in each of two turns, filled in the order of the columns."""
    first, second = str(media_dir / "photo.png"), str(media_dir / "clip.mp4")
    turns = [
        {"role": "user", "content": [{"type": "image"}, text("What is it?")]},
        ANSWER,
        {"role": "user", "content": [{"type": "video"}, text("And this?")]},
        ANSWER,
    ]
    chat = media_turns(turns, {"image": first, "videos": [second]})
    placed = [turn["content"][0] for turn in chat[::2]]
    assert placed == [{"type": "image", "path": first}, {"type": "video", "path": second}]
    batch = FavorDataCollator(tiny_parts[1])([{"messages": turns, "image": first, "videos": [second]}])
    assert len(batch["pixel_values_videos"]) == 2


def test_blocks_and_media_that_differ_in_number_are_refused(media_dir):
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, text("Which?")]}, ANSWER]
    with pytest.raises(BadSampleError, match="blocks for 2 image, but the columns hold 1 image"):
        media_turns(turns, {"images": ["a.png"]})
