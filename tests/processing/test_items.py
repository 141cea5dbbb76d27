# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Placeholders: which items a prompt names, how they expand, and how media find them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.processing.items_favor import MediaReading, is_audio_value, is_video_value, load_sound, match_media
from favor.processing.prompts_favor import clean_instruction, expand_items, expanded_places, find_items, turn_around

READING = MediaReading(frame_rate=2.0, sampling_rate=16000)
PIECES = st.lists(st.sampled_from(["<video>", "<image>", "<audio>", " ", "a", "<Img>", "</Img>", "<vid"]), max_size=12)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("no media", []),
        ("<video>", [("video", False)]),
        ("<video><audio> and <image>", [("video", True), ("image", False)]),
        ("<video> <audio>", [("video", False), ("audio", True)]),
        ("<image><audio><audio>", [("image", True), ("audio", True)]),
        ("<audio><video>", [("audio", True), ("video", False)]),
        ("<Img><image></Img><audio>", [("image", False), ("audio", True)]),
    ],
)
def test_items_of_a_text(text, expected):
    assert [(item.kind, item.separate_audio) for item in find_items(text)] == expected


def test_marked_user_text_names_nothing():
    assert find_items("\U000f0000<video>\U000f0001 <image>")[0].kind == "image"


def test_without_a_chat_the_instruction_is_the_text_between_vicunas_marks():
    text = (
        "<s>Be brief.\nUSER: First <Img><video></Img> what is it?\nASSISTANT:A cat.</s>"
        "USER: <Img><image><audio></Img> and\nthis?\nASSISTANT:"
    )
    first, second = find_items(text)
    asked = [clean_instruction(turn_around(text, item, True), ["<s>", "</s>"]) for item in (first, second)]
    assert asked == ["First what is it?", "and this?"]
    assert clean_instruction(turn_around("<video> no markers", find_items("<video>")[0], True)) == "no markers"
    whole = clean_instruction(turn_around(text, first, False), ["<s>", "</s>"])
    assert whole == "Be brief. USER: First what is it? ASSISTANT:A cat. USER: and this? ASSISTANT:"


@settings(max_examples=200, deadline=None)
@given(pieces=PIECES, counts=st.lists(st.integers(1, 9), min_size=12, max_size=12))
def test_expansion_replaces_exactly_the_items(pieces, counts):
    text = "".join(pieces)
    items = find_items(text)
    expanded, offsets = expand_items(text, items, counts[: len(items)], "<video>")
    named = re.findall("<video>|<image>|<audio>", text)
    assert len(named) == len(items) + sum(item.kind != "audio" and item.separate_audio for item in items)
    assert expanded.count("<video>") == sum(counts[: len(items)])
    assert "<image>" not in expanded and "<audio>" not in expanded
    bare = re.sub("<video>|<image>|<audio>", "", text)
    assert re.sub("<video>", "", expanded) == bare
    for offset in offsets:
        assert text[slice(*offset["span"])] == offset["text"]
        assert expanded[slice(*offset["new_span"])] == offset["replacement"]
    # The same, token by token.
    tokens = re.findall("<video>|<image>|<audio>|.", text)
    names = ("<video>", "<image>", "<audio>")
    places = expanded_places(tokens, items, counts[: len(items)], names)
    assert "".join("<video>" if tokens[place] in names else tokens[place] for place in places) == expanded
    assert places == sorted(places)


def test_tokens_that_lost_a_placeholder_are_refused():
    items = find_items("<video><audio> a")
    with pytest.raises(ValueError, match="by 2 placeholders, but 1 are left"):
        expanded_places(["<video>", "a"], items, [3], ["<video>", "<audio>"])


VIDEO = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "values, counts, expected",
    [
        (None, [0, 0], 0),
        (VIDEO, [1], 1),
        ("a.mp4", [0, 1], 1),
        (["a.mp4", VIDEO], [1, 1], 2),
        ([["a.mp4"], ["b.mp4", "c.mp4"]], [1, 2], 3),
        ([None, "b.mp4"], [0, 1], 1),
        ([[], ["b.mp4"]], [0, 1], 1),
        (list(VIDEO), [1], 1),
        ([list(VIDEO), list(VIDEO)], [1, 1], 2),
        (np.stack([VIDEO, VIDEO]), [1, 1], 2),
    ],
)
def test_media_find_their_placeholders(values, counts, expected):
    assert len(match_media(values, counts, is_video_value, "<video>", "videos")) == expected


@pytest.mark.parametrize(
    "values, counts, message",
    [
        (None, [1], "names 1 <video> but 0 were given"),
        (["a.mp4"], [1, 1], "names 2 <video> but 1 were given"),
        (["a.mp4"], [0], "names 0 <video> but 1 were given"),
        ([["a.mp4"], []], [0, 1], r"Text 0 names 0 <video> but `videos\[0\]` holds 1"),
        ([["a.mp4"]], [1, 0], "1 in all, but there are 2 texts"),
        (7, [1], "cannot be a int"),
        ([7], [1], "holds a int"),
    ],
)
def test_media_that_do_not_fit(values, counts, message):
    with pytest.raises(ValueError, match=message):
        match_media(values, counts, is_video_value, "<video>", "videos")


def test_sounds_of_every_kind_are_the_same(tone, wav_path):
    expected = tone(7.0)
    integers = (expected * 32767).astype(np.int16)
    stereo = np.stack([expected, expected])
    for value in (wav_path, expected, (expected, 16000), (stereo, 16000), (stereo.T, 16000), list(expected)):
        np.testing.assert_allclose(load_sound(value, None, READING), expected, atol=1e-4)
    for value in ({"array": integers, "sampling_rate": 16000}, {"bytes": wav_path.read_bytes(), "path": None}):
        np.testing.assert_allclose(load_sound(value, None, READING), expected, atol=1e-4)
    for value, rate in ((tone(7.0, 8000), 8000), ((tone(7.0, 8000), 8000), None)):
        resampled = load_sound(value, rate, READING)
        assert resampled.shape == expected.shape
        np.testing.assert_allclose(resampled[500:-500], expected[500:-500], atol=0.02)


def test_sounds_that_cannot_be_used(tone):
    for value, message in [
        (np.zeros(0, np.float32), "no samples"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.zeros((2, 3, 4)), "its shape is"),
        ((tone(1.0), 0), "must be positive"),
        ({"rate": 3}, "holds rate, which is not read"),
        ({"sampling_rate": 3}, "must hold one of"),
        ("https://example.org/a.wav", "nothing is downloaded"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_sound(value, None, READING)
    assert is_audio_value((tone(1.0), 16000)) and not is_audio_value([tone(1.0)])
