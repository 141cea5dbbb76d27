# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What servers ask of every processor: tokens of items that they know by size alone, and the auto classes."""

import numpy as np
import pytest
import torch
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from favor.processing import FavorVideoProcessor
from favor.registration import register

RATE = 16000  # Hz


def counted(processor, text: str, **media) -> int:
    inputs = processor(text=text, **media)
    return int((torch.as_tensor(inputs["input_ids"][0]) == processor.video_token_id).sum())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"synchronize": False, "window_frames": 2},
        {"window_frames": None},
        {"connector": "projector", "visual_vectors_per_frame": 9, "audio_pool_size": 3},
    ],
    ids=str,
)
def test_tokens_by_size_are_those_of_a_call(make_processor, changes):
    processor = make_processor(**changes)
    pictures, samples = [1, 7, 23], [1, 160, 161, 481, RATE, 31 * RATE + 7]
    found = processor._get_num_multimodal_tokens(
        image_sizes=[(40, 30), (8, 9)], video_sizes=[(count, 24, 32) for count in pictures], audio_lengths=samples
    )
    picture = np.zeros((24, 32, 3), np.uint8)
    assert found.num_image_tokens == [counted(processor, "<image>", images=picture)] * 2
    assert found.num_image_patches == [1, 1]
    assert found.num_video_tokens == [
        counted(processor, "<video>", videos=np.stack([picture] * count)) for count in pictures
    ]
    assert found.num_audio_tokens == [
        counted(processor, "<audio>", audio=np.ones(count, np.float32)) for count in samples
    ]


def test_what_is_not_asked_for_is_not_counted(make_processor):
    found = make_processor()._get_num_multimodal_tokens(video_sizes=[(3, 24, 32)])
    assert found.num_image_tokens is found.num_audio_tokens is None


def test_the_auto_class_of_video_processors_knows_ours(tiny_model_dir):
    register()
    assert type(AutoVideoProcessor.from_pretrained(tiny_model_dir)) is FavorVideoProcessor
