# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media in memory and lists of files: rates, layouts, tensors, numbers; what is named is read or refused."""

import io
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from favor.processing import load_media
from favor.processing.items_favor import MediaReading, load_sound, load_video_item
from favor.processing.media_options_favor import MEDIA_OPTIONS, REFUSED_OPTIONS
from favor.processing.video_processing_favor import picture_to_array, video_to_array

READING = MediaReading(frame_rate=2.0, sampling_rate=16000, size={"height": 8, "width": 8})
COLOURS = ("red", "lime", "blue")


def tone(seconds: float, rate: int) -> np.ndarray:
    return np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate).astype(np.float32) / 2


@pytest.fixture
def pictures(tmp_path) -> list[str]:
    """Files of three colours, of different sizes."""
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (10 + number, 9), colour).save(tmp_path / f"{colour}.png")
    return [str(tmp_path / f"{colour}.png") for colour in COLOURS]


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int32(8000), np.float32(8000), torch.tensor(8000), np.array(8000)])
def test_every_number_is_a_rate(rate):
    x = tone(1.0, 8000)
    expected = load_sound({"array": x, "sampling_rate": 8000}, None, READING)
    assert len(expected) == 16000
    for value in ((x, rate), (rate, x), {"array": x, "sampling_rate": rate}, (x.tolist(), rate)):
        np.testing.assert_array_equal(load_sound(value, None, READING), expected)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "8000", True, 10**9])
def test_what_is_no_rate_is_refused(rate):
    for value in ((tone(0.1, 8000), rate), {"array": tone(0.1, 8000), "sampling_rate": rate}):
        with pytest.raises(ValueError, match="A sampling rate must be"):
            load_sound(value, None, READING)


def test_tensors_with_a_gradient_and_of_half_precision_are_read():
    x = torch.from_numpy(tone(0.5, 16000))
    expected = load_sound(x, None, READING)
    np.testing.assert_array_equal(load_sound(x.clone().requires_grad_(), None, READING), expected)
    for dtype in (torch.bfloat16, torch.float16):
        np.testing.assert_allclose(load_sound(x.to(dtype).requires_grad_(), None, READING), expected, atol=2e-3)


@pytest.mark.parametrize("value", [np.array([0.1, np.nan]), torch.tensor([0.1, float("inf")]), [0.0, float("nan")]])
def test_samples_that_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match="A sound in memory holds samples that are not finite"):
        load_sound(value, None, READING)


def test_floats_at_the_scale_of_integers_are_refused():
    with pytest.raises(ValueError, match="samples of up to 16384"):
        load_sound(tone(0.1, 16000) * 32768, None, READING)


@pytest.mark.parametrize("shape", [(3, 4, 16, 12), (3, 1, 16, 12), (4, 4, 16, 12), (1, 4, 16, 12), (3, 10, 16, 12)])
def test_layouts_that_cannot_be_told_are_refused(shape):
    for value in (np.zeros(shape, np.uint8), torch.zeros(shape, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=r"read are \(T, H, W, C\) or \(T, 3, H, W\)"):
            video_to_array(value)


@pytest.mark.parametrize("shape", [(5, 16, 12, 3), (5, 3, 16, 12), (5, 16, 12, 1), (5, 16, 12, 4), (3, 3, 16, 12)])
def test_layouts_that_are_read(shape):
    assert video_to_array(np.zeros(shape, np.uint8)).shape == (shape[0], 16, 12, 3)


def test_pictures_of_floats_are_refused_whatever_their_tensor():
    for picture in (torch.zeros(3, 8, 8, requires_grad=True), torch.zeros(3, 8, 8, dtype=torch.bfloat16)):
        with pytest.raises(ValueError, match="must be uint8"):
            picture_to_array(picture)


@pytest.mark.parametrize("form", ["paths", "bytes", "mixed"])
def test_a_list_of_picture_files_in_a_block_is_a_clip(processor, pictures, form):
    values = list(pictures)
    if form == "bytes":
        values = [Path(path).read_bytes() for path in pictures]
    elif form == "mixed":
        opened = Image.open(pictures[1]).resize((24, 24))
        values = [pictures[0], opened, io.BytesIO(Path(pictures[2]).read_bytes())]

    def inputs(**block):
        chat = [{"role": "user", "content": [{"type": "video", **block}, {"type": "text", "text": "hm"}]}]
        return processor.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt")

    at_grid = inputs(video=values)
    assert at_grid["video_frame_indices"].tolist() == [[0, 1, 2]]
    seen = at_grid["pixel_values_videos"][0].mean((-1, -2)).argmax(-1)
    assert seen.tolist() == [0, 1, 2]  # red, green, blue
    if form != "mixed":  # those that were opened are read
        slower = inputs(video=values, fps=1.0)
        assert slower["video_frame_indices"].tolist() == [[0, 0, 1, 1, 2, 2]]
        direct = processor(text="<video>", videos=[{"video": values, "fps": 1.0}], return_tensors="pt")
        assert torch.equal(direct["pixel_values_videos"], slower["pixel_values_videos"])


def test_lists_of_files_as_an_argument_are_several_videos(processor, pictures):
    assert len(processor(text="<video>" * 3, videos=pictures)["pixel_values_videos"]) == 3
    with pytest.raises(ValueError, match="a dict|The text names 1"):
        processor(text="<video>", videos=pictures)


def test_numbers_are_numbers(processor, clip_path):
    expected = processor(text="<video>", videos=clip_path, start=1.0, end=2.0, max_frames=5)
    for one, two, five in ((1, 2, 5), (np.float32(1), np.int64(2), np.int16(5)), (np.array(1.0)[()], 2, 5.0)):
        again = processor(text="<video>", videos=clip_path, start=one, end=two, max_frames=five)
        assert torch.equal(again["pixel_values_videos"], expected["pixel_values_videos"])
    for one, two in ((torch.tensor(1.0), torch.tensor(2)), (Fraction(1), Decimal("2"))):
        again = processor(text="<video>", videos=clip_path, start=one, end=two, max_frames=5)
        assert torch.equal(again["pixel_values_videos"], expected["pixel_values_videos"])
    assert load_media(clip_path, max_frames=np.int16(99), media_limits={"max_pixels": np.int64(10**7)}).duration == 5.0
    for options in ({"start": "1"}, {"start": True}, {"max_frames": 7.5}, {"long_video": True}):
        with pytest.raises(ValueError, match=next(iter(options))):
            processor(text="<video>", videos=clip_path, **options)
    assert processor(text="<video>", videos=clip_path, start=0)["input_ids"]
    assert type(processor)(
        processor.video_processor,
        processor.feature_extractor,
        processor.tokenizer,
        media_options={"start": np.int64(1)},
    ).media_options == {"start": 1}


def test_a_part_of_what_is_in_memory_is_refused(processor):
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    for options in ({"start": 1}, {"end": 1.0}, {"video_track": 0}):
        with pytest.raises(ValueError, match=f"taken whole, but {next(iter(options))} was given"):
            processor(text="<video>", videos=frames, **options)
    with pytest.raises(ValueError, match="A sound in memory is taken whole, but start, end was given"):
        processor(text="<audio>", audio=tone(1.0, 16000), start=0.1, end=0.5)


def test_bounds_hold_for_what_is_in_memory():
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    thin = load_video_item(frames, READING, False, None, {"max_frames": 4, "long_video": "thin"})
    assert thin.frames[:, 0, 0, 0].tolist() == [0, 2, 5, 7]
    with pytest.raises(ValueError, match="max_frames=4"):
        load_video_item(frames, READING, False, None, {"max_frames": 4})


@pytest.mark.parametrize("name", REFUSED_OPTIONS)
def test_options_that_change_nothing_are_refused_by_name(processor, name):
    accepted = REFUSED_OPTIONS[name][0]
    for arguments in ({name: "other"}, {"videos_kwargs": {name: 3.25}}):
        with pytest.raises(ValueError, match=f"{name}=.* cannot be had"):
            processor(text="hello", **arguments)
    for value in (None, *accepted):
        if name not in ("image_seq_length", "raw_speech", "load_audio_backend"):
            processor(text="hello", **{name: value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"stat": 1},
        {"videos_kwargs": {"stat": 1}},
        {"audio_kwargs": {"max_length": 9}},
        {"images_kwargs": {"shade": 3}},
    ],
)
def test_unknown_options_are_refused_by_name(processor, clip_path, arguments):
    with pytest.raises(ValueError, match="(stat|shade) is no option|cannot hold max_length"):
        processor(text="<video>", videos=clip_path, **arguments)


@pytest.mark.parametrize("key", ["nframes", "max_pixels", "detail", *MEDIA_OPTIONS, "video_start", "sampling_rate"])
def test_a_block_is_read_whole_or_refused_by_name(processor, clip_path, key):
    chat = [{"role": "user", "content": [{"type": "video", "path": str(clip_path), key: 1}]}]
    with pytest.raises(ValueError, match=key):
        processor.apply_chat_template(chat, tokenize=True)
    chat[0]["content"][0][key] = None  # as `datasets` fills what another block has
    processor.chat_items(chat)


def test_options_of_one_item_are_a_calls(processor, clip_path):
    (source,) = processor.chat_items([{"role": "user", "content": [{"type": "video", "path": str(clip_path)}]}])
    assert len(processor.load_item(source, start=1, end=2).frame_indices) == 2
    for options, message in (({"stat": 1}, "stat is no option"), ({"fps": 5}, "fps=5 was asked for")):
        with pytest.raises(ValueError, match=message):
            processor.load_item(source, **options)


def test_num_frames_is_refused_of_a_video_and_means_nothing_without_one(processor, clip_path):
    """Code that serves any processor gives it to every call."""
    with pytest.raises(ValueError, match="num_frames=2 was asked for"):
        processor(text="<video>", videos=str(clip_path), num_frames=2)
    sound = np.ones(8000, np.float32)
    asked = processor(text="<audio>", audio=sound, num_frames=2)
    assert asked["input_ids"] == processor(text="<audio>", audio=sound)["input_ids"]


def test_pictures_in_memory_may_be_unsampled_files_may_not(processor, clip_path):
    """Users of transformers' processors say so of pictures that they chose themselves."""
    pictures = np.zeros((4, 32, 32, 3), np.uint8)
    asked = processor(text="<video>", videos=pictures, do_sample_frames=False)
    assert asked["input_ids"] == processor(text="<video>", videos=pictures)["input_ids"]
    for video in (str(clip_path), clip_path.read_bytes(), {"path": str(clip_path)}):
        with pytest.raises(ValueError, match="do_sample_frames=False cannot be had of a video file"):
            processor(text="<video>", videos=video, do_sample_frames=False)
    for told in ({"videos": {"array": pictures, "fps": 8.0}}, {"videos": pictures, "video_metadata": {"fps": 8.0}}):
        with pytest.raises(ValueError, match="contradicts the pictures' own rate"):
            processor(text="<video>", do_sample_frames=False, **told)
