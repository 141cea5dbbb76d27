# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media files made on the spot, and a processor of which nothing is downloaded."""

from fractions import Fraction

import av
import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from favor.processing import FavorProcessor, FavorVideoProcessor

MILLISECOND = Fraction(1, 1000)


def _write_media(
    path,
    pictures=None,
    picture_times=None,
    sound=None,
    sound_pieces=None,
    rate=16000,
    video_codec="libx264",
    audio_codec="aac",
):
    """Writes pictures (N, H, W, 3) at `picture_times` (s) and mono sound, or pieces [(start in s, samples)]."""
    pieces = sound_pieces if sound_pieces is not None else [] if sound is None else [(0.0, sound)]
    with av.open(str(path), "w") as container:
        streams = []
        if pictures is not None:
            seconds = float(np.median(np.diff(picture_times)))
            video = container.add_stream(video_codec, rate=Fraction(1 / seconds).limit_denominator(100))
            video.height, video.width = pictures.shape[1:3]
            video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
            if video_codec != "mpeg1video":  # which knows a few rates only
                video.codec_context.time_base = MILLISECOND
            if video_codec == "libx264":
                video.options = {"preset": "ultrafast", "qp": "10"}
            streams.append((video, list(_video_frames(pictures, picture_times))))
        if pieces:
            audio = container.add_stream(audio_codec, rate=rate)
            audio.layout = "mono"
            streams.append((audio, list(_audio_frames(pieces, rate, audio.codec_context.format.name))))
        timed = [(float(f.pts * f.time_base), n, s, f) for s, frames in streams for n, f in enumerate(frames)]
        for _, _, stream, frame in sorted(timed, key=lambda entry: entry[:2]):
            container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


def _video_frames(pictures, times):
    for picture, time in zip(pictures, times, strict=True):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(time * 1000), MILLISECOND
        yield frame


def _audio_frames(pieces, rate, sample_format):
    for start, samples in pieces:
        samples = samples if sample_format.startswith("flt") else (samples * 32767).astype(np.int16)
        for first in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], sample_format, "mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(start * rate) + first
            yield frame


@pytest.fixture(scope="session")
def write_media():
    return _write_media


@pytest.fixture(scope="session")
def tone():
    """Makes a 440 Hz tone of so many seconds."""

    def make(seconds, rate=16000, loudness=0.5):
        return (loudness * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def gray():
    """Makes pictures of one gray each, from their brightness."""

    def make(levels, height=48, width=64):
        return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])

    return make


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory, write_media, gray, tone):
    """A 5 s clip at 30 Hz that is white, and beeps, from 2.0 s to 2.5 s."""
    times = np.arange(150) / 30
    sound = tone(5.0)
    sound[:32000] = 0
    sound[40000:] = 0
    levels = np.where((times >= 2.0) & (times < 2.5), 255, 0)
    return write_media(tmp_path_factory.mktemp("clip") / "clip.mp4", gray(levels), times, sound)


@pytest.fixture(scope="session")
def silent_path(tmp_path_factory, write_media, gray):
    """3 s of ever brighter pictures at 10 Hz, without a sound stream."""
    return write_media(tmp_path_factory.mktemp("silent") / "silent.mp4", gray(range(10, 250, 8)), np.arange(30) / 10)


@pytest.fixture(scope="session")
def wav_path(tmp_path_factory, write_media, tone):
    """7 s of tone."""
    return write_media(tmp_path_factory.mktemp("sound") / "tone.wav", sound=tone(7.0), audio_codec="pcm_s16le")


def _make_tokenizer(special_tokens=("<video>", "<image>", "<audio>")):
    """A tokenizer whose tokens are the 256 bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {letter: number + 3 for number, letter in enumerate(letters)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    tokenizer.add_special_tokens({"extra_special_tokens": list(special_tokens)})
    return tokenizer


def _make_processor(qformer=True, special_tokens=("<video>", "<image>", "<audio>"), chunk_length=30, **settings):
    return FavorProcessor(
        FavorVideoProcessor(size={"height": 24, "width": 24}),
        WhisperFeatureExtractor(feature_size=16, chunk_length=chunk_length),
        _make_tokenizer(special_tokens),
        qformer_tokenizer=_make_tokenizer() if qformer else None,
        **settings,
    )


@pytest.fixture(scope="session")
def make_processor():
    return _make_processor


@pytest.fixture(scope="session")
def processor():
    """Do not change it."""
    return _make_processor()
