# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Transforms: random pairs with joined or single questions, matching questions, masked modalities."""

import copy
import random

import pytest

from favor.trainers.augmentations import MaskModality, MatchAudio, PairRandomly, build_transforms


def sample(question, answer, **media):
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "video": None, "image": None, "audio": None, "use_own_audio": True, **media}


SEEN = sample("What is shown?", "a dog", video="seen.mp4")
HEARD = sample("What is heard?", "a bell", audio="heard.wav")
PHOTO = sample("Describe the image.", "A tree.", image="photo.jpg")


def drawing(*found):
    """A `draw` that gives these samples, one after the other, and keeps the names it was asked for."""
    asked = []

    def draw(name):
        asked.append(name)
        return found[(len(asked) - 1) % len(found)]

    draw.asked = asked
    return draw


def apply(transform, row, *found, seed=0):
    before = copy.deepcopy((row, found))
    result = transform(row, random.Random(seed), drawing(*found))
    assert (row, found) == before
    return result


def media(row):
    return {kind: row[kind] for kind in ("video", "image", "audio", "use_own_audio")}


def test_questions_are_joined_picture_first():
    for row, other in ((SEEN, HEARD), (HEARD, SEEN)):
        paired = apply(PairRandomly("other", joined=1.0), row, other)
        assert media(paired) == {"video": "seen.mp4", "image": None, "audio": "heard.wav", "use_own_audio": False}
        assert [turn["content"] for turn in paired["messages"]] == [
            "In the video, what is shown, and, in the audio, what is heard?",
            "a dog. A bell",
        ]
    paired = apply(PairRandomly("other", joined=1.0), PHOTO, HEARD)
    assert paired["messages"][0]["content"].startswith("In the image, describe the image, and, in the audio, ")


def test_or_one_question_is_asked_alone():
    asked = [apply(PairRandomly("other", joined=0.0), SEEN, HEARD, seed=n)["messages"] for n in range(400)]
    assert {str(messages) for messages in asked} == {str(SEEN["messages"]), str(HEARD["messages"])}
    assert 150 < sum(messages == SEEN["messages"] for messages in asked) < 250


def test_a_partner_without_the_stream_is_passed_over():
    text = sample("Hello?", "Hello.")
    draw = drawing(text, PHOTO, SEEN)
    paired = PairRandomly("pool", joined=0.0)(PHOTO, random.Random(1), draw)
    assert paired["audio"] == "seen.mp4"  # a video's sound track
    assert draw.asked == ["pool"] * 3
    with pytest.raises(ValueError, match="None of 100 samples of pool has the stream"):
        apply(PairRandomly("pool"), SEEN, text)


def test_what_has_both_streams_or_none_is_not_paired():
    both = sample("What?", "It.", image="photo.jpg", audio="heard.wav")
    text = sample("Hello?", "Hello.")
    for row in (both, text):
        assert apply(PairRandomly("other"), row, HEARD) is row
    shares = [apply(PairRandomly("other", share=0.25), SEEN, HEARD, seed=n) is not SEEN for n in range(400)]
    assert 70 < sum(shares) < 130


def test_matching_questions_are_answered_by_what_was_done():
    own = sample("What?", "It.", video="own.mp4", audio=None)
    answers = []
    for seed in range(400):
        asked = apply(MatchAudio(), own, own, HEARD, seed=seed)
        question, answer = (turn["content"] for turn in asked["messages"])
        assert question in MatchAudio().questions
        swapped = asked["audio"] == "heard.wav"
        assert answer == ("No." if swapped else "Yes.")
        assert asked["video"] == "own.mp4"
        assert asked["use_own_audio"] is not swapped
        answers.append(answer)
    assert 150 < answers.count("No.") < 250


def test_matching_needs_a_picture_with_a_sound():
    for row in (HEARD, PHOTO, {**SEEN, "use_own_audio": False}):
        assert apply(MatchAudio(), row, HEARD) is row
    with pytest.raises(ValueError, match="None of 100 samples of the same source"):
        apply(MatchAudio(swapped=1.0), SEEN, SEEN)  # no other sound


def test_one_modality_is_left():
    audio, visual = MaskModality("audio"), MaskModality("visual")
    assert media(apply(audio, SEEN)) == {"video": None, "image": None, "audio": "seen.mp4", "use_own_audio": True}
    assert media(apply(visual, SEEN)) == {"video": "seen.mp4", "image": None, "audio": None, "use_own_audio": False}
    assert [audio.keeps_something(row) for row in (SEEN, HEARD, PHOTO)] == [True, True, False]
    assert [visual.keeps_something(row) for row in (SEEN, HEARD, PHOTO)] == [True, False, True]
    for mask, row in ((audio, PHOTO), (visual, HEARD)):
        with pytest.raises(ValueError, match="no (audio|visual) stream to keep"):
            apply(mask, row)


def test_transforms_are_built_from_a_recipe():
    specs = [{"pair_randomly": {"partner": "speech", "share": 0.5}}, "match_audio", {"match_audio": None}]
    assert build_transforms(specs, "source a") == [PairRandomly("speech", share=0.5), MatchAudio(), MatchAudio()]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("pair_randomly", "pair_randomly needs partner"),
        ({"pair_randomly": {"partner": "a", "shares": 1}}, "pair_randomly has no shares; its options are partner"),
        ("mute", "'mute' is no transform; there are pair_randomly"),
        ({"match_audio": {}, "mask_modality": {"keep": "audio"}}, "one an entry"),
        ({"mask_modality": {"keep": "video"}}, "keep must be 'audio' or 'visual'"),
        ({"match_audio": {"swapped": 2}}, "swapped of a transform must lie between 0 and 1"),
        ({"match_audio": {"questions": "Yes?"}}, "questions must be a list"),
    ],
)
def test_mistakes_in_a_recipe_are_named(spec, said):
    with pytest.raises(ValueError, match=said):
        build_transforms([spec], "source a")
