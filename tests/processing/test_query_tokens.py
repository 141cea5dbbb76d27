# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How the processor counts for each connector, keeps the numbers, and refuses ones that no model has."""

import json

import pytest
import torch

from favor.processing import FavorProcessor

PROJECTOR = {"connector": "projector", "visual_vectors_per_frame": 9}


def placeholders(processor, **inputs):
    ids = processor(text="<video> What happens?", return_tensors="pt", **inputs)["input_ids"]
    return int((ids == processor.video_token_id).sum())


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        ({}, 250 + 10 + 9),  # 5 s: 50 audio vectors and 2 pictures per second, 9 patches
        ({"audio_pool_size": 7}, 36 + 10 + 9),
        ({"visual_pooling": "space"}, 250 + 10),
        ({"visual_pooling": "time"}, 250 + 9),
        ({"modalities": "visual"}, 10 + 9),
        ({"modalities": "audio"}, 250),
    ],
)
def test_a_projectors_tokens(values, tokens, make_processor, clip_path):
    processor = make_processor(**PROJECTOR | values)
    assert placeholders(processor, videos=clip_path) == tokens


def test_a_stream_without_pictures_or_sound_has_no_tokens(make_processor, silent_path, tone):
    processor = make_processor(**PROJECTOR, audio_pool_size=2)
    assert placeholders(processor, videos=silent_path) == 6 + 9
    assert processor.query_token_count(0, 75) == 38
    assert processor.query_token_count(0, 0) == 0


def test_summaries_tell_what_reaches_the_model(make_processor, clip_path):
    for modalities, frames, seconds in (("audio_visual", 10, 5.0), ("visual", 10, 0.0), ("audio", 0, 5.0)):
        for connector in (PROJECTOR, {}):
            processor = make_processor(**connector, modalities=modalities)
            inputs = processor(text=["hm", "<video> hi"], videos=clip_path)
            nothing, summary = processor.media_summary(inputs)
            assert str(nothing) == "text only"
            assert (summary.visual_frames, summary.audio_seconds) == (frames, seconds)
            assert summary.query_tokens == processor.query_token_count(10, 250)


def test_the_numbers_are_saved_and_older_files_mean_the_causal_qformer(make_processor, clip_path, tmp_path):
    processor = make_processor(**PROJECTOR, audio_pool_size=4, visual_pooling="time", modalities="visual")
    processor.save_pretrained(tmp_path)
    restored = FavorProcessor.from_pretrained(tmp_path)
    assert restored.to_dict() == {k: v for k, v in processor.to_dict().items() if k != "auto_map"}
    assert placeholders(restored, videos=clip_path) == placeholders(processor, videos=clip_path) == 9
    file = tmp_path / "processor_config.json"
    values = json.loads(file.read_text())
    for name in ("connector", "modalities", "visual_vectors_per_frame", "visual_pooling", "audio_pool_size"):
        del values[name]
    file.write_text(json.dumps(values))
    assert placeholders(FavorProcessor.from_pretrained(tmp_path), videos=clip_path) == 32


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"connector": "favor_projector"}, "connector='favor_projector' is none of causal_qformer, projector"),
        (PROJECTOR | {"modalities": "both"}, "modalities='both' is none of"),
        (PROJECTOR | {"visual_pooling": "mean"}, "visual_pooling='mean' is none of"),
        (PROJECTOR | {"audio_pool_size": 0}, "audio_pool_size=0 must be positive"),
        ({"connector": "projector"}, "visual_vectors_per_frame is None: give the number"),
        (PROJECTOR | {"visual_vectors_per_frame": 0}, "visual_vectors_per_frame=0 must be positive, or None"),
        ({"num_query_tokens": 0}, "num_query_tokens=0 must be positive"),
        ({"window_frames": 0}, "window_frames=0 must be positive, or None"),
    ],
)
def test_numbers_that_no_model_has_are_refused(values, said, make_processor):
    with pytest.raises(ValueError, match=said):
        make_processor(**values)


def test_a_still_picture_lasts_as_long_as_its_sound(make_processor, tone, gray):
    processor = make_processor(**PROJECTOR, visual_pooling="space")
    inputs = processor(text="<image><audio>", images=gray([7])[0], audio=tone(1.6), return_tensors="pt")
    assert int((torch.as_tensor(inputs["input_ids"]) == processor.video_token_id).sum()) == 80 + 4
