# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pieces, thinning, uniform sampling, tracks: the options that choose what of a file is taken."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.processing import MediaLimitError, iterate_media, load_media

NAMES = ("frames", "frame_times", "audio")


@pytest.fixture(scope="module")
def long_path(tmp_path_factory, write_media, gray):
    """20.3 s at 10 Hz whose brightness and pitch both grow with time, so that each half second can be told."""
    times = np.arange(203) / 10
    samples = np.arange(round(20.3 * 16000)) / 16000
    sound = (0.5 * np.sin(2 * np.pi * np.cumsum(300 + 100 * np.floor(samples * 2) / 2) / 16000)).astype(np.float32)
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    return write_media(path, gray(times * 12), times, sound, audio_codec="pcm_s16le")


def joined(pieces, name):
    values = [getattr(piece, name) for piece in pieces]
    return None if values[0] is None else np.concatenate(values)


@settings(max_examples=30, deadline=None)
@given(
    chunk_seconds=st.floats(0.3, 25.0),
    fps=st.sampled_from([0.7, 2.0, 5.0]),
    start=st.sampled_from([None, 0.4, 7.1]),
    end=st.sampled_from([None, 9.3, 18.0]),
    options=st.sampled_from(
        [{}, {"with_audio": False}, {"with_frames": False}, {"num_frames": 7}, {"max_frames": 5, "long_video": "thin"}]
    ),
)
def test_pieces_joined_are_the_whole(long_path, chunk_seconds, fps, start, end, options):
    options = {"size": (8, 8), "start": start, "end": end, **options}
    whole = load_media(long_path, fps, **options)
    pieces = list(iterate_media(long_path, fps, chunk_seconds, **options))
    for name in NAMES:
        np.testing.assert_array_equal(joined(pieces, name), getattr(whole, name))
    assert sum(piece.duration for piece in pieces) == pytest.approx(whole.duration)
    np.testing.assert_allclose([piece.start for piece in pieces], np.arange(len(pieces)) * chunk_seconds)


@pytest.mark.parametrize("late", ["picture", "sound"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pieces_of_streams_that_do_not_overlap(tmp_path, write_media, gray, tone, late, suffix):
    times = np.arange(30) / 10 + (6 if late == "picture" else 0)
    sound = [(0.0 if late == "picture" else 6.0, tone(3.0))]
    path = write_media(tmp_path / f"apart.{suffix}", gray(range(0, 240, 8)), times, sound_pieces=sound)
    whole, pieces = load_media(path), list(iterate_media(path, chunk_seconds=1.0))
    assert len(pieces) == 9 and len(whole.frames) in (18, 19)  # the last sound packet may be padded
    for name in NAMES:
        np.testing.assert_array_equal(joined(pieces, name), getattr(whole, name))


def test_pieces_of_a_picture_and_of_a_sound(tmp_path, wav_path, clip_path):
    assert len(list(iterate_media(wav_path, chunk_seconds=2.0))) == 4
    (still,) = iterate_media(_png(), chunk_seconds=2.0)
    assert still.still and still.frames.shape == (1, 5, 9, 3)
    with pytest.raises(TypeError, match="no argument sizes"):
        iterate_media(clip_path, sizes=3)
    with pytest.raises(ValueError, match="chunk_seconds must be a positive"):
        iterate_media(clip_path, chunk_seconds=0)


def _png():
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (9, 5)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("max_frames", [1, 7, 13, 40])
def test_thinning_keeps_each_picture_with_its_own_sound(long_path, max_frames):
    whole = load_media(long_path)
    thin = load_media(long_path, max_frames=max_frames, long_video="thin")
    steps = np.rint(thin.frame_times * 2).astype(int)
    assert len(thin.frames) == max_frames and steps[0] == 0
    assert set(np.diff(steps)) <= {len(whole.frames) // max_frames, len(whole.frames) // max_frames + 1}
    np.testing.assert_array_equal(thin.frames, whole.frames[steps])
    sound = np.concatenate([whole.audio[step * 8000 : (step + 1) * 8000] for step in steps])
    np.testing.assert_array_equal(thin.audio, sound)
    assert thin.duration == max_frames / 2


def test_a_clip_that_is_short_enough_is_not_thinned(long_path):
    whole, thin = load_media(long_path), load_media(long_path, max_frames=41, long_video="thin")
    for name in NAMES:
        np.testing.assert_array_equal(getattr(thin, name), getattr(whole, name))
    with pytest.raises(MediaLimitError, match='max_frames=40.*thin it by long_video="thin"'):
        load_media(long_path, max_frames=40)


@pytest.mark.parametrize("num_frames", [1, 5, 30])
def test_uniform_pictures_leave_the_sound_whole(long_path, num_frames):
    whole, uniform = load_media(long_path, fps=10.0), load_media(long_path, num_frames=num_frames)
    np.testing.assert_allclose(uniform.frame_times, np.arange(num_frames) * 20.3 / num_frames)
    np.testing.assert_array_equal(uniform.frames, whole.frames[np.floor(uniform.frame_times * 10 + 0.02).astype(int)])
    np.testing.assert_array_equal(uniform.audio, whole.audio)


def test_tracks_are_chosen_by_number_or_default(tmp_path, tone):
    path = tmp_path / "tracks.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=16000, layout="mono") for _ in range(3)]
        streams[0].disposition, streams[1].disposition, streams[2].disposition = 0, 1, 0
        for number, stream in enumerate(streams):
            samples = (tone(1.0, loudness=0.2 * (number + 1)) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
            container.mux(stream.encode(frame))
    loudest = [round(float(load_media(path, audio_track=track).audio.max()), 1) for track in (0, 1, 2, None)]
    assert loudest == [0.2, 0.4, 0.6, 0.4]
    with pytest.raises(ValueError, match="has 3 audio tracks, but audio_track=3"):
        load_media(path, audio_track=3)


def test_decoder_threads_change_nothing(clip_path):
    one, two = load_media(clip_path), load_media(clip_path, decode_threads=2)
    np.testing.assert_array_equal(one.frames, two.frames)


def test_a_file_object_that_cannot_seek(clip_path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    clip = load_media(Pipe(clip_path.read_bytes()))
    np.testing.assert_array_equal(clip.frames, load_media(clip_path).frames)


def test_the_processor_passes_the_options_on(make_processor, long_path):
    processor = make_processor(media_options={"max_frames": 10, "long_video": "thin"})
    inputs = processor(text="<video>", videos=long_path, return_tensors="pt")
    assert inputs["video_frame_indices"].shape == (1, 10) and inputs["input_features_mask"].sum() == 500
    assert int((inputs["input_ids"] == processor.video_token_id).sum()) == 32
    more = processor(text="<video>", videos=long_path, max_frames=30, start=2.0, end=12.0)
    assert more["video_frame_indices"].shape == (1, 20)
    with pytest.raises(MediaLimitError, match="max_duration=3"):
        processor(text="<video>", videos=long_path, long_video="error", media_limits={"max_duration": 3.0})
    with pytest.raises(ValueError, match="media_options cannot hold colour"):
        make_processor(media_options={"colour": 1})


def test_saved_media_options(tmp_path, make_processor, long_path):
    processor = make_processor(
        media_options={"max_frames": 6, "long_video": "thin", "media_limits": {"max_tracks": 3}}
    )
    processor.save_pretrained(tmp_path)
    restored = type(processor).from_pretrained(tmp_path)
    assert restored.media_options == processor.media_options
    assert restored(text="<video>", videos=long_path)["video_frame_indices"].shape == (1, 6)


def test_num_frames_is_for_models_that_do_not_synchronise(make_processor, processor, long_path):
    with pytest.raises(ValueError, match="num_frames=8 was asked for, but the model takes pictures and sound"):
        processor(text="<video>", videos=long_path, num_frames=8)
    apart = make_processor(synchronize=False)
    inputs = apart(text="<video>", videos=long_path, num_frames=8)
    assert inputs["video_frame_indices"].shape == (1, 8) and inputs["input_features_mask"].sum() == 2030
    array = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    chosen = apart(text="<video>", videos=array, num_frames=4)["pixel_values_videos"]
    torch.testing.assert_close(chosen, apart(text="<video>", videos=array[::5])["pixel_values_videos"])
