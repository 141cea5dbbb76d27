# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Watching a video window by window: after each, the answer is that of the same prefix given at once."""

import numpy as np
import pytest
import torch

from favor.model_loading import bundled_model_path
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.worlds.video_file import write_video

QUESTION = "What colour is the shape while the bell sounds?"
RATE, SAMPLING_RATE = 8, 16000


@pytest.fixture(scope="module")
def favor_tiny() -> tuple[FavorForConditionalGeneration, FavorProcessor]:
    folder = bundled_model_path()
    return FavorForConditionalGeneration.from_pretrained(folder).eval(), FavorProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory, media_dir) -> dict[str, str]:
    """25.3 s of moving pictures with sound (favor-tiny hears chunks of 10 s and has windows of 2 s), and others."""
    folder = tmp_path_factory.mktemp("running")
    random = np.random.default_rng(0)
    colours = np.repeat(random.integers(0, 255, (51, 1, 1, 3)), RATE // 2, axis=0)[: round(25.3 * RATE)]
    frames = np.broadcast_to(colours, (len(colours), 48, 64, 3)).astype(np.uint8)
    sound = (0.3 * random.standard_normal(round(25.3 * SAMPLING_RATE))).astype(np.float32)
    sound[: 7 * SAMPLING_RATE] = 0
    write_video(folder / "long.mp4", frames, RATE, sound, SAMPLING_RATE)
    write_video(folder / "silent.mp4", frames, RATE, np.zeros(0, np.float32), SAMPLING_RATE)
    write_video(folder / "sound_stops.mp4", frames, RATE, sound[: 12 * SAMPLING_RATE], SAMPLING_RATE)
    names = ("long", "silent", "sound_stops")
    return {name: str(folder / f"{name}.mp4") for name in names} | {"sound": str(media_dir / "sound.wav")}


def answer(model: FavorForConditionalGeneration, **inputs) -> torch.Tensor:
    return model.generate(**inputs, max_new_tokens=8, min_new_tokens=8, do_sample=False)


@pytest.mark.parametrize(("name", "windows"), [("long", 13), ("silent", 13), ("sound_stops", 13)])
def test_after_every_window_the_answer_is_that_of_the_prefix_at_once(favor_tiny, files, name, windows):
    model, processor = favor_tiny
    stream, ends = model.media_stream(), []
    for window in processor.stream(files[name], instruction=QUESTION):
        stream.add(**window.inputs)
        ends.append(window.end)
        prompt = processor.stream_prompt(QUESTION, stream.num_tokens)
        at_once = processor(
            text=prompt_text(processor, QUESTION), videos=files[name], end=window.end, return_tensors="pt"
        )
        assert torch.equal(prompt["input_ids"], at_once["input_ids"])
        with torch.no_grad():
            expected = model.get_video_features(**media_of(at_once)).pooler_output[0]
        torch.testing.assert_close(stream.encoded().pooler_output[0], expected, rtol=1e-4, atol=1e-4)
        if len(ends) % 4 == 1 or len(ends) == windows:
            watched = answer(model, **prompt, mm_encoder_outputs={"video": stream.encoded()})
            assert torch.equal(watched, answer(model, **at_once))
    assert len(ends) == windows
    assert ends[-1] == pytest.approx(25.25, abs=0.13)
    assert ends[:-1] == [2.0 * number for number in range(1, windows)]


def test_a_sound_alone_and_a_muted_video_can_be_watched(favor_tiny, files):
    model, processor = favor_tiny
    stream = model.media_stream()
    for window in processor.stream(files["sound"]):
        assert "pixel_values_videos" not in window.inputs
        stream.add(**window.inputs)
    assert stream.num_tokens == 2 * model.config.connector_config.num_query_tokens  # 2.5 s: two windows
    assert all("input_features" not in w.inputs for w in processor.stream(files["long"], load_audio_from_video=False))


def test_only_the_open_audio_chunk_is_given_again(favor_tiny, files):
    processor = favor_tiny[1]
    frames = [int(window.inputs["input_features_mask"].sum()) for window in processor.stream(files["long"])]
    chunk = processor.feature_extractor.nb_max_frames
    assert frames[:5] == [chunk * part // 5 for part in (1, 2, 3, 4, 5)]
    assert frames[5] == chunk // 5


def test_a_conversation_goes_on(favor_tiny, files):
    _, processor = favor_tiny
    chat = [
        {"role": "user", "content": "What do you see?"},
        {"role": "assistant", "content": "A square."},
        {"role": "user", "content": QUESTION},
    ]
    text = processor.tokenizer.decode(processor.stream_prompt(chat, 3)["input_ids"][0])
    assert text.count("<video>") == 3
    assert text.index("<video>") < text.index("What do you see?") < text.index(QUESTION)


@pytest.mark.parametrize(
    ("conversation", "message"),
    [
        ([{"role": "system", "content": "Be brief."}], "must have a user turn"),
        ([{"role": "user", "content": [{"type": "text", "text": "?"}]}], "strings as contents"),
        ("What is in <image> here?", "names 1 media beside the running video"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(favor_tiny, conversation, message):
    with pytest.raises(ValueError, match=message):
        favor_tiny[1].stream_prompt(conversation, 3)


@pytest.mark.parametrize("values", [{"window_frames": None}, {"synchronize": False}])
def test_a_connector_without_synchronised_windows_cannot_watch(favor_tiny, files, values):
    parts = favor_tiny[1]
    processor = FavorProcessor(
        parts.video_processor, parts.feature_extractor, parts.tokenizer, parts.qformer_tokenizer, **values
    )
    with pytest.raises(ValueError, match="synchronised windows"):
        processor.stream(files["long"])


def prompt_text(processor: FavorProcessor, question: str) -> str:
    content = [{"type": "video"}, {"type": "text", "text": question}]
    return processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


def media_of(inputs: dict) -> dict:
    return {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
