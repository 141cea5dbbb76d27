# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Nearest neighbour: whose answer is given, that batches do not matter, what is refused; pooled states by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from favor.evaluation.neighbours import NeighbourAnswerer, pooled_states
from favor.evaluation.sample import EvalSample
from favor.modeling_favor import VideoTextToTextPipeline
from favor.worlds.video_file import write_picture, write_sound

COLOURS = {"red": (220, 30, 20), "green": (20, 200, 40), "blue": (10, 40, 220)}


@pytest.fixture(scope="module")
def pipe(tiny_parts):
    model, processor = tiny_parts
    return VideoTextToTextPipeline(model=model, processor=processor)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two of each colour, a little different."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(2):
            picture = np.full((32, 32, 3), colour) + generator.integers(-15, 16, (32, 32, 3))
            write_picture(folder / f"{name}{number}.png", picture.clip(0, 255).astype(np.uint8))
    return folder


def sample(key: str, answer: str, **media) -> EvalSample:
    turns = [{"role": "user", "content": "What is this?"}]
    return EvalSample(key, turns, {kind: str(path) for kind, path in media.items()}, [answer])


def test_the_answer_is_that_of_the_most_similar_example(pipe, pictures):
    examples = [sample(name, name, image=pictures / f"{name}0.png") for name in COLOURS]
    answerer = NeighbourAnswerer(pipe, examples, batch_size=2)
    asked = [sample(name, "?", image=pictures / f"{name}1.png") for name in reversed(COLOURS)]
    together = answerer.answer(asked, {})
    assert [answer.text for answer in together] == list(reversed(COLOURS))
    alone = [answerer.answer([one], {})[0].text for one in asked]
    assert alone == [answer.text for answer in together]
    assert answerer.answer([examples[1]], {})[0].seen == {"example": 1, "cosine": 1.0}


def test_a_sounds_vector_does_not_depend_on_longer_ones_beside_it(pipe, tmp_path):
    times = np.arange(5 * 16000) / 16000
    for name, seconds in (("short", 2), ("long", 5)):
        wave = (0.4 * np.sin(2 * np.pi * 300 * seconds * times[: seconds * 16000])).astype(np.float32)
        write_sound(tmp_path / f"{name}.wav", wave, 16000)
    samples = [sample(name, name, audio=tmp_path / f"{name}.wav") for name in ("short", "long")]
    answerer = NeighbourAnswerer(pipe, samples)
    torch.testing.assert_close(answerer.vectors(samples)[:1], answerer.vectors(samples[:1]))
    assert [answer.text for answer in answerer.answer(samples[::-1], {})] == ["long", "short"]


def test_what_cannot_be_compared_is_refused(pipe, pictures, media_dir):
    with pytest.raises(ValueError, match="needs examples"):
        NeighbourAnswerer(pipe, [])
    picture, sound = sample("p", "red", image=pictures / "red0.png"), sample("s", "x", audio=media_dir / "sound.wav")
    answerer = NeighbourAnswerer(pipe, [picture, sample("q", "blue", image=pictures / "blue0.png")])
    with pytest.raises(ValueError, match="given audio, and the examples image"):
        answerer.answer([sound], {})
    with pytest.raises(ValueError, match="given nothing"):
        answerer.answer([sample("n", "red")], {})
    with pytest.raises(ValueError, match="given audio or image"):
        answerer.answer([picture, sound], {})
    clip = sample("c", "x", video=media_dir / "clip.mp4")
    with pytest.raises(ValueError, match="given muted video or video"):
        answerer.vectors([clip, replace(clip, use_own_audio=False)])
    with pytest.raises(ValueError, match="1 of 2 samples have no audio"):  # a clip without a track
        NeighbourAnswerer(pipe, [clip, sample("s", "y", video=media_dir / "silent.mp4")])


def test_states_are_averaged_over_an_items_own_time():
    visual = torch.arange(24.0).reshape(2, 3, 2, 2)
    audio = torch.tensor([[[1.0], [3.0]], [[5.0], [100.0]]])
    states = {
        "visual": visual,
        "num_visual_frames": torch.tensor([3, 1]),
        "audio": audio,
        "num_audio_vectors": torch.tensor([2, 1]),
    }
    expected = torch.tensor([[5.0, 6.0, 2.0], [13.0, 14.0, 5.0]])
    torch.testing.assert_close(pooled_states(states), expected)
