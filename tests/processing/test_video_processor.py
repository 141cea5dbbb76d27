# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pixel values: equal to torch's bicubic resize and CLIP's normalisation, from any kind of picture."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from favor.processing import FavorVideoProcessor

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(-1, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(-1, 1, 1)


@pytest.fixture
def video():
    return np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)


def test_equals_the_reference(video):
    resized = F.interpolate(
        torch.from_numpy(video).permute(0, 3, 1, 2), size=(224, 224), mode="bicubic", antialias=True
    )
    expected = (resized.float() * (1 / 255) - MEAN) / STD
    pixels = FavorVideoProcessor()([video])["pixel_values_videos"][0]
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels, expected, rtol=0, atol=0)


def test_resize_is_within_a_level_of_pillow(video):
    processor = FavorVideoProcessor(size={"height": 32, "width": 40}, do_rescale=False, do_normalize=False)
    pixels = processor(video)["pixel_values_videos"][0]
    pillow = np.stack([Image.fromarray(frame).resize((40, 32), Image.Resampling.BICUBIC) for frame in video])
    assert np.abs(pixels.permute(0, 2, 3, 1).numpy() - pillow).max() <= 1


def test_every_kind_of_video_gives_the_same(video):
    processor = FavorVideoProcessor(size={"height": 16, "width": 16})
    expected = processor(video)["pixel_values_videos"][0]
    channels_first = torch.from_numpy(video).permute(0, 3, 1, 2)
    for same in (channels_first, list(video), [Image.fromarray(frame) for frame in video], torch.from_numpy(video)):
        torch.testing.assert_close(processor(same)["pixel_values_videos"][0], expected, rtol=0, atol=0)


def test_batch_is_padded_with_zeros(video):
    processor = FavorVideoProcessor(size={"height": 16, "width": 16})
    pixels = processor([video, video[:1]], return_tensors="pt")["pixel_values_videos"]
    assert pixels.shape == (2, 3, 3, 16, 16)
    assert not pixels[1, 1:].any() and pixels[0].any()
    assert isinstance(processor([video], return_tensors="np")["pixel_values_videos"], np.ndarray)


def test_gray_and_transparent_pictures_become_rgb():
    processor = FavorVideoProcessor(size={"height": 8, "width": 8})
    gray = np.full((8, 8), 77, np.uint8)
    expected = processor([np.stack([gray] * 3, -1)[None]])["pixel_values_videos"][0]
    opaque = np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    for same in ([gray], [Image.fromarray(gray)], [opaque]):
        torch.testing.assert_close(processor([same])["pixel_values_videos"][0], expected, rtol=0, atol=0)
    invisible = np.dstack([gray, gray, gray, np.zeros_like(gray)])
    white = processor([np.full((1, 8, 8, 3), 255, np.uint8)])["pixel_values_videos"][0]
    torch.testing.assert_close(processor([[invisible]])["pixel_values_videos"][0], white, rtol=0, atol=0)


def test_settings_survive_saving(tmp_path):
    processor = FavorVideoProcessor(size={"height": 12, "width": 20}, image_mean=[0.1, 0.2, 0.3])
    processor.save_pretrained(tmp_path)
    restored = FavorVideoProcessor.from_pretrained(tmp_path)
    assert restored.to_dict() == processor.to_dict()
    assert restored.frame_size == {"height": 12, "width": 20}


@pytest.mark.parametrize(
    "videos, message",
    [
        ("clip.mp4", "Files are decoded by"),
        (np.zeros((4, 8, 8, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((4, 8, 8, 3), np.float32), "must be uint8"),
        ([[np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)]], "one size"),
    ],
)
def test_what_is_no_video(videos, message):
    with pytest.raises(ValueError, match=message):
        FavorVideoProcessor()(videos)
