# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorProcessor's tensors: names, shapes, counts and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from favor.processing import FavorProcessor

MEDIA_NAMES = {"pixel_values_videos", "video_frame_indices", "input_features", "input_features_mask"}


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (7, 30, 40, 3), dtype=np.uint8)


def query_tokens(processor, inputs, sample=0):
    return int((torch.as_tensor(inputs["input_ids"][sample]) == processor.video_token_id).sum())


def test_video_with_its_own_sound(processor, clip_path):
    inputs = processor(text="<video> What happens?", videos=clip_path, return_tensors="pt")
    shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items() if name in MEDIA_NAMES}
    assert shapes.pop("pixel_values_videos") == (1, inputs["video_frame_indices"].max() + 1, 3, 24, 24)
    assert shapes == {
        "video_frame_indices": (1, 10),
        "input_features": (1, 1, 16, 3000),
        "input_features_mask": (1, 1, 3000),
    }
    assert inputs["pixel_values_videos"].dtype == inputs["input_features"].dtype == torch.float32
    assert inputs["video_frame_indices"].dtype == inputs["input_features_mask"].dtype == torch.int64
    assert inputs["input_features_mask"].sum() == 500
    assert query_tokens(processor, inputs) == 32
    white = inputs["pixel_values_videos"][0, inputs["video_frame_indices"][0]].mean(dim=(1, 2, 3)) > 1
    loud = inputs["input_features"][0, 0, :, :500].reshape(16, 10, 50).amax(dim=0).mean(dim=-1) > 0.5
    assert white.nonzero().flatten().tolist() == loud.nonzero().flatten().tolist() == [4]


def test_muting_leaves_no_sound(processor, clip_path, silent_path):
    muted = processor(text="<video>", videos=clip_path, load_audio_from_video=False)
    assert "input_features" not in muted and "video_frame_indices" in muted
    batch = processor(text=["<video>"] * 2, videos=[silent_path, clip_path])
    assert batch["input_features_mask"].sum(dim=(1, 2)).tolist() == [0, 500]


def test_text_alone_has_no_media(processor):
    inputs = processor(text=["Hello", "you"])
    assert set(inputs) == {"input_ids", "attention_mask"}
    assert all(isinstance(ids, list) for ids in inputs["input_ids"])


def test_separate_sound_may_have_another_length(processor, silent_path, tone):
    inputs = processor(text="<video><audio>", videos=silent_path, audio=tone(7.0), return_tensors="pt")
    assert inputs["video_frame_indices"].shape == (1, 6)
    assert inputs["input_features_mask"].sum() == 700
    assert query_tokens(processor, inputs) == 64


def test_image_alone_is_one_frame_and_lasts_as_long_as_its_sound(processor, pictures, tone):
    image = Image.fromarray(pictures[0])
    alone = processor(text="<image>", images=image)
    assert alone["video_frame_indices"].tolist() == [[0]] and alone["pixel_values_videos"].shape[1] == 1
    heard = processor(text="<image><audio>", images=image, audio=tone(1.6))
    assert heard["video_frame_indices"].tolist() == [[0, 0, 0, 0]] and heard["pixel_values_videos"].shape[1] == 1


def test_repeated_pictures_are_kept_once(processor, pictures):
    still = pictures[[0, 0, 1, 1, 1, 0]]
    inputs = processor(text="<video>", videos=still)
    assert inputs["video_frame_indices"].tolist() == [[0, 0, 1, 1, 1, 2]]
    torch.testing.assert_close(
        inputs["pixel_values_videos"][0, inputs["video_frame_indices"][0]],
        processor.video_processor(still)["pixel_values_videos"][0],
    )


def test_half_a_minute_and_more_is_chunked_not_cut(processor, tone):
    sound = tone(35.0)
    inputs = processor(text="<audio>", audio=sound, return_tensors="pt")
    assert inputs["input_features"].shape == (1, 2, 16, 3000)
    assert inputs["input_features_mask"].sum(dim=-1).tolist() == [[3000, 500]]
    assert query_tokens(processor, inputs) == 7 * 32
    tail = processor(text="<audio>", audio=sound[480000:])
    torch.testing.assert_close(inputs["input_features"][:, 1:], tail["input_features"])


def test_text_options_do_not_reach_the_sound(processor, tone):
    plain = processor(text="<audio> hm", audio=tone(2.0))
    options = {"padding": "max_length", "truncation": True, "max_length": 64, "return_attention_mask": True}
    padded = processor(text="<audio> hm", audio=tone(2.0), **options)
    torch.testing.assert_close(padded["input_features"], plain["input_features"])
    assert len(padded["input_ids"][0]) == 64


def test_batch_equals_single_samples(processor, clip_path, silent_path, wav_path, pictures, tone):
    texts = ["<video> a", "no media", "<image><audio> b <audio>", "c <video><audio>"]
    media = [
        {"videos": clip_path},
        {},
        {"images": pictures[0], "audio": [tone(1.2), wav_path]},
        {"videos": silent_path, "audio": tone(33.0)},
    ]
    batch = processor(
        text=texts,
        videos=[clip_path, silent_path],
        images=[pictures[0]],
        audio=[tone(1.2), wav_path, tone(33.0)],
        padding=True,
        return_tensors="pt",
    )
    row = 0
    for number, (text, own) in enumerate(zip(texts, media, strict=True)):
        alone = processor(text=text, return_tensors="pt", **own)
        length = alone["input_ids"].shape[1]
        assert batch["attention_mask"][number].sum() == length
        assert (
            batch["input_ids"][number][batch["attention_mask"][number].bool()].tolist()
            == alone["input_ids"][0].tolist()
        )
        items = len(alone["input_features_mask"]) if "input_features_mask" in alone else 0
        for name in MEDIA_NAMES & set(alone):
            for mine, theirs in zip(alone[name], batch[name][row : row + items], strict=True):
                inside = tuple(slice(0, size) for size in mine.shape)
                torch.testing.assert_close(theirs[inside], mine)
                outside = theirs.clone()
                outside[inside] = -1 if name == "video_frame_indices" else 0
                assert set(outside.unique().tolist()) <= ({-1} if name == "video_frame_indices" else {0.0})
        row += items


def test_pictures_in_memory_at_another_rate(processor, pictures):
    inputs = processor(text="<video>", videos=pictures, video_metadata={"fps": 4.0, "total_num_frames": 7})
    assert inputs["video_frame_indices"].shape == (1, 4)
    same = processor(text="<video>", videos={"array": pictures[::2], "fps": 2.0})
    torch.testing.assert_close(inputs["pixel_values_videos"], same["pixel_values_videos"])


def test_more_pictures_a_second(make_processor, processor, clip_path):
    projector = make_processor(connector="projector", visual_pooling="space")
    for five in (make_processor(frame_rate=5.0), projector):
        inputs = five(text="<video>", videos=clip_path, fps=5.0)
        assert inputs["video_frame_indices"].shape == (1, 25)
        assert query_tokens(five, inputs) == (250 + 25 if five is projector else 3 * 32)


@pytest.mark.parametrize("fps", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("seconds", [None, 0.9])
def test_steps_of_another_length_than_the_models_are_refused(processor, clip_path, fps, seconds):
    """Also where the numbers of tokens agree: a clip within one window."""
    with pytest.raises(ValueError, match=rf"fps={fps:g} .* frame_rate 2 Hz\. Change both sides"):
        processor(text="<video>", videos=clip_path, fps=fps, end=seconds)
    assert query_tokens(processor, processor(text="<video>", videos=clip_path, fps=2.0)) == 32


def test_a_rate_that_the_sound_does_not_fit_is_refused(processor, clip_path):
    with pytest.raises(ValueError, match="50 Hz are not a whole multiple of frame_rate 3 Hz"):
        processor(text="<video>", videos=clip_path, fps=3)


def test_instructions_for_the_visual_qformer(processor, make_processor, pictures):
    prompt = "USER: <Img><image></Img> Which colour?\nASSISTANT:"
    inputs = processor(text=[prompt, "<image>"], images=[pictures[0], pictures[1]], padding=True)
    assert inputs["qformer_attention_mask"].tolist() == [[1] * 13, [0] * 13]
    assert processor.decode(inputs["qformer_input_ids"][0]) == "Which colour?"
    own = processor(text=prompt, images=pictures[0], instructions="Look.")
    assert processor.decode(own["qformer_input_ids"][0]) == "Look."
    with pytest.raises(ValueError, match="2 instructions were given for 1 items"):
        processor(text=prompt, images=pictures[0], instructions=["a", "b"])
    assert "qformer_input_ids" not in make_processor(qformer=False)(text=prompt, images=pictures[0])


@settings(max_examples=150, deadline=None)
@given(
    visual=st.integers(0, 60),
    samples=st.integers(0, 40 * 16000),
    window=st.one_of(st.none(), st.integers(1, 20)),
    synchronize=st.booleans(),
)
def test_length_arithmetic(make_processor, visual, samples, window, synchronize):
    processor = _settings(make_processor, window, synchronize)
    chunks = [min(480000, samples - start) for start in range(0, samples, 480000)]
    mel = [math.ceil(chunk / 160) for chunk in chunks]
    vectors = sum((frames - 1) // 2 + 1 for frames in mel)
    heard = math.ceil(samples / 8000)
    assert math.ceil(vectors / 25) == heard  # an encoder vector begins every 20 ms of sound

    def windows(frames):
        return min(frames, 1) if window is None else -(-frames // window)

    expected = windows(max(visual, heard)) if synchronize else windows(visual) + windows(heard)
    assert processor.query_token_count(visual, vectors) == 32 * expected


def _settings(make_processor, window, synchronize, cache={}):  # noqa: B006
    key = (window, synchronize)
    if key not in cache:
        cache[key] = make_processor(qformer=False, window_frames=window, synchronize=synchronize)
    return cache[key]


@settings(max_examples=15, deadline=None)
@given(visual=st.integers(1, 25), samples=st.integers(1, 20 * 16000))
def test_placeholders_agree_with_the_tensors(processor, visual, samples):
    video = np.arange(visual, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(8, 1).repeat(8, 2).repeat(3, 3)
    inputs = processor(text="<video><audio>", videos=video, audio=np.full(samples, 0.1, np.float32))
    mel = inputs["input_features_mask"].sum(dim=-1)[0].tolist()
    frames = int((inputs["video_frame_indices"] >= 0).sum())
    assert frames == visual
    vectors = sum((count - 1) // 2 + 1 for count in mel if count)
    assert query_tokens(processor, inputs) == 32 * math.ceil(max(frames, math.ceil(vectors / 25)) / 10)


def test_images_kwargs_are_those_of_pictures(processor, pictures):
    asked = {"do_rescale": False, "do_normalize": False}
    usual, nested, flat = (
        processor(text="<image>", images=pictures[0], return_tensors="pt", **options)["pixel_values_videos"]
        for options in ({}, {"images_kwargs": asked}, asked)
    )
    assert torch.equal(nested, flat) and flat.max() > 100 > usual.max()
    with pytest.raises(ValueError, match="images_kwargs hold do_rescale=False and videos_kwargs do_rescale=True"):
        processor(text="<image>", images=pictures[0], images_kwargs=asked, videos_kwargs={"do_rescale": True})


def test_the_tokens_of_an_item_are_of_its_kind(processor, pictures, tone):
    texts = ["<image><audio> <audio> Why?", "<video>"]
    inputs = processor(
        text=texts,
        images=pictures[0],
        audio=[tone(1.0), tone(7.0)],
        videos=pictures[:2],
        padding=True,
        return_mm_token_type_ids=True,
        return_tensors="pt",
    )
    types, ids = inputs["mm_token_type_ids"], inputs["input_ids"]
    assert torch.equal(types > 0, ids == processor.video_token_id)
    assert [types[0][types[0] > 0].tolist(), types[1].unique().tolist()] == [[1] * 32 + [3] * 64, [0, 2]]


def test_without_synchronisation_each_stream_has_windows(make_processor, silent_path, tone):
    processor = make_processor(synchronize=False, num_query_tokens=4, window_frames=5)
    inputs = processor(text="<video><audio>", videos=silent_path, audio=tone(7.0))
    assert query_tokens(processor, inputs) == 4 * (2 + 3)


def test_summary_shows_that_the_sound_was_used(processor, clip_path, silent_path, tone):
    inputs = processor(
        text=["<video> <audio>", "nothing", "<video>"],
        videos=[clip_path, silent_path],
        audio=tone(2.0),
        padding=True,
        return_tensors="pt",
    )
    assert [str(summary) for summary in processor.media_summary(inputs)] == [
        "2 items: 10 frames, 7.00 s of sound, 64 query tokens",
        "text only",
        "1 item: 6 frames, no sound, 32 query tokens",
    ]
    muted = processor(text="<video>", videos=clip_path, load_audio_from_video=False)
    assert processor.media_summary(muted)[0].audio_seconds == 0.0


@pytest.mark.parametrize("qformer", [True, False])
def test_saving_and_loading(tmp_path, make_processor, clip_path, qformer):
    processor = make_processor(
        qformer=qformer, num_query_tokens=8, window_frames=None, frame_rate=5.0, synchronize=False, chunk_length=10
    )
    processor.save_pretrained(tmp_path)
    assert (tmp_path / "qformer_tokenizer").is_dir() == qformer
    restored = FavorProcessor.from_pretrained(tmp_path)
    expected = processor.to_dict()
    assert expected.pop("auto_map") == {"AutoProcessor": "processing_favor.FavorProcessor"}
    assert restored.to_dict() == expected
    assert (tmp_path / "processing_favor.py").is_file()
    assert restored.chat_template == processor.chat_template
    assert (restored.qformer_tokenizer is not None) == qformer
    for name, value in processor(text="<video> hi", videos=clip_path, return_tensors="pt").items():
        torch.testing.assert_close(restored(text="<video> hi", videos=clip_path, return_tensors="pt")[name], value)
    assert set(processor(text="<video> hi", videos=clip_path)) <= set(restored.model_input_names)
    changed = FavorProcessor.from_pretrained(tmp_path, window_frames=3)
    assert changed.window_frames == 3


def test_what_is_saved_does_not_depend_on_use(tmp_path, make_processor, clip_path):
    processor = make_processor()
    processor.save_pretrained(tmp_path / "before")
    processor(text=["<video> hi", "longer text"], videos=clip_path, padding=True, return_tensors="pt")
    processor.save_pretrained(tmp_path / "after")
    before, after = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (tmp_path / "before", tmp_path / "after")
    )
    assert before == after


def test_numpy_tensors(processor, clip_path):
    inputs = processor(text="<video>", videos=clip_path, return_tensors="np")
    assert all(isinstance(value, np.ndarray) for value in inputs.values())
    assert processor.media_summary(inputs)[0].visual_frames == 10


def test_decoding_is_the_tokenizers(processor):
    assert processor.batch_decode([[1, *processor.tokenizer("hi")["input_ids"], 2]], skip_special_tokens=True) == [
        "hi"
    ]


def test_misuse_is_explained(processor, make_processor, clip_path, silent_path, wav_path, tone):
    image = Image.new("RGB", (8, 8))
    for options, message in [
        ({"text": None, "videos": clip_path}, "You need to provide `text`"),
        ({"text": ""}, "Text 0 is empty"),
        ({"text": ["fine", " \n"]}, "Text 1 is empty"),
        ({"text": []}, "at least one string"),
        ({"text": "<video>"}, "names 1 <video> but 0 were given"),
        ({"text": "what?", "videos": clip_path}, "names 0 <video> but 1 were given"),
        ({"text": "<image>", "images": [image, image]}, "names 1 <image> but 2 were given"),
        ({"text": "<audio>", "audio": tone(1.0), "images": image}, "names 0 <image> but 1 were given"),
        ({"text": "<video>", "videos": wav_path}, "has no picture|sound was given as a video"),
        ({"text": "<image>", "images": clip_path}, "video was given as an image"),
        ({"text": "<audio>", "audio": silent_path}, "has no sound stream"),
        ({"text": "<video>", "videos": "https://example.org/a.mp4"}, "nothing is downloaded"),
        (
            {"text": "<video> hi", "videos": clip_path, "truncation": True, "max_length": 9},
            "needs 32 query tokens .* 9 ",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            processor(**options)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        processor(text="<video>", videos="nowhere.mp4")
    with pytest.raises(ValueError, match="lacks the special token <audio>"):
        make_processor(special_tokens=("<video>", "<image>"))
    with pytest.raises(ValueError, match="window_frames=0 must be positive"):
        make_processor(window_frames=0)
    with pytest.raises(TypeError, match="give a FavorVideoProcessor"):
        FavorProcessor(processor.feature_extractor, processor.feature_extractor, processor.tokenizer)


def test_a_size_that_is_no_height_and_width_is_refused_with_the_towers(processor, clip_path, gray):
    message = r"size must hold height and width, but it is {'shortest_edge': 64}.*{'height': 24, 'width': 24}"
    for media in (clip_path, gray([3, 4])):
        with pytest.raises(ValueError, match=message):
            processor(text="<video>", videos=media, size={"shortest_edge": 64})
