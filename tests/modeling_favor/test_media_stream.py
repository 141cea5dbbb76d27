# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A stream of pieces gives, at every moment, what the same prefix gives at once."""

import pytest
import torch

from favor.modeling_favor import FavorMediaStream

from .tiny_models import MEL_FRAMES, Item, media_inputs, tiny_model

VECTORS = MEL_FRAMES // 2  # of one audio chunk: 3 synchronised frames of 4 vectors
VECTORS_PER_FRAME = 4


def prefix(frames: int, sound: bool, pictures: bool = True) -> dict[str, torch.Tensor]:
    """The model's inputs for the first `frames` synchronised frames of one long video, at once."""
    vectors = frames * VECTORS_PER_FRAME
    chunks = [MEL_FRAMES] * (vectors // VECTORS)
    if vectors % VECTORS:
        chunks.append(2 * (vectors % VECTORS))
    inputs = media_inputs([Item(pictures=40 if pictures else 0, mel_frames=[MEL_FRAMES] * 20, seed=3)])
    if pictures:
        inputs["pixel_values_videos"] = inputs["pixel_values_videos"][:, :frames]
        inputs["video_frame_indices"] = inputs["video_frame_indices"][:, :frames]
    features, mask = inputs.pop("input_features"), inputs.pop("input_features_mask")
    if sound:
        features, mask = features[:, : len(chunks)].clone(), mask[:, : len(chunks)].clone()
        for number, real in enumerate(chunks):
            features[:, number, :, real:] = 0
            mask[:, number, real:] = 0
        inputs |= {"input_features": features, "input_features_mask": mask}
    return inputs


def piece(start: int, end: int, sound: bool, pictures: bool = True) -> dict[str, torch.Tensor]:
    """What comes between two moments: new pictures, and the sound from the start of the chunk that was open."""
    inputs = prefix(end, sound, pictures)
    if pictures:
        inputs["pixel_values_videos"] = inputs["pixel_values_videos"][:, start:end]
        inputs["video_frame_indices"] = torch.arange(end - start)[None]
    if sound:
        first = start * VECTORS_PER_FRAME // VECTORS
        inputs["input_features"] = inputs["input_features"][:, first:]
        inputs["input_features_mask"] = inputs["input_features_mask"][:, first:]
    return inputs


@pytest.mark.parametrize("window_frames", [2, 3, 4])
@pytest.mark.parametrize("moments", [[2, 4, 6, 8, 9], [1, 2, 3, 4, 5, 6, 7], [5, 12, 13]])
@pytest.mark.parametrize(("sound", "pictures"), [(True, True), (False, True), (True, False)])
def test_every_prefix_equals_the_same_prefix_at_once(window_frames, moments, sound, pictures):
    model = tiny_model({"window_frames": window_frames}).model
    stream = FavorMediaStream(model)
    start = 0
    for moment in moments:
        stream.add(**piece(start, moment, sound, pictures))
        with torch.no_grad():
            expected = model.get_video_features(**prefix(moment, sound, pictures)).pooler_output[0]
        assert stream.num_tokens == len(expected)
        torch.testing.assert_close(stream.encoded().pooler_output[0], expected, atol=1e-5, rtol=1e-4)
        start = moment


def test_final_windows_keep_no_encoder_states():
    stream = FavorMediaStream(tiny_model({"window_frames": 3}).model)
    for start in range(0, 39, 3):
        stream.add(**piece(start, start + 3, sound=True))
        assert len(stream.visual) == len(stream.audio) == 0
        assert stream.open_chunk is None
    assert stream.num_tokens == 13 * stream.config.num_query_tokens


def test_windows_wait_for_the_sound_of_their_chunk():
    stream = FavorMediaStream(tiny_model({"window_frames": 2}).model)
    stream.add(**piece(0, 2, sound=True))
    assert not stream.windows, "the first audio chunk lasts 3 frames, and all its vectors depend on all of its sound"
    stream.add(**piece(2, 4, sound=True))
    assert len(stream.windows) == 1


def test_nothing_seen_is_an_error():
    with pytest.raises(ValueError, match="Nothing was seen yet"):
        FavorMediaStream(tiny_model().model).encoded()


@pytest.mark.parametrize("connector", [{"window_frames": None}, {"synchronize": False}])
def test_without_synchronised_windows_nothing_is_final(connector):
    with pytest.raises(ValueError, match="synchronised windows"):
        FavorMediaStream(tiny_model(connector).model)
