# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Log-mel features equal those of WhisperFeatureExtractor, whatever its settings and the sound's length."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import SequenceFeatureExtractor, WhisperFeatureExtractor

from favor.processing.log_mel_favor import log_mel_chunks

SETTINGS = [
    {},
    {"feature_size": 128},
    {"feature_size": 16, "chunk_length": 4},
    {"feature_size": 40, "hop_length": 100, "chunk_length": 7},
    {"feature_size": 30, "n_fft": 512, "hop_length": 333, "chunk_length": 3},
    {"feature_size": 20, "sampling_rate": 8000, "n_fft": 256, "hop_length": 77, "chunk_length": 5},
    {"feature_size": 16, "chunk_length": 2, "padding_value": 0.1},
    {"feature_size": 16, "chunk_length": 2, "padding_side": "left"},
]
EXTRACTORS = [WhisperFeatureExtractor(**options) for options in SETTINGS]


def expected(audio, extractor):
    length = extractor.n_samples
    extracted = extractor(
        [audio[start : start + length] for start in range(0, len(audio), length)],
        sampling_rate=extractor.sampling_rate,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
    return extracted["input_features"], extracted["attention_mask"]


@settings(max_examples=80, deadline=None)
@given(
    extractor=st.sampled_from(EXTRACTORS),
    chunks=st.floats(0.0, 2.3),
    decades=st.floats(-6, 0),
    kind=st.sampled_from(["noise", "tone", "silence", "click"]),
    seed=st.integers(0, 99),
)
def test_equal_to_the_extractors(extractor, chunks, decades, kind, seed):
    count = max(1, round(chunks * extractor.n_samples))
    audio = {
        "noise": lambda: np.random.default_rng(seed).standard_normal(count),
        "tone": lambda: np.sin(np.arange(count) * (0.01 + seed / 40)),
        "silence": lambda: np.zeros(count),
        "click": lambda: np.eye(1, count, seed % count)[0],
    }[kind]()
    audio = (audio * 10**decades).astype(np.float32)
    features, mask = log_mel_chunks(audio, extractor)
    wanted, wanted_mask = expected(audio, extractor)
    torch.testing.assert_close(features, wanted, atol=1e-4, rtol=0)
    assert torch.equal(mask, wanted_mask.long())


@pytest.mark.parametrize("short", [0, 1, 159, 160, 199, 200, 201, 399, 400])
def test_frames_at_the_end_of_the_sound_and_of_the_chunk(short):
    extractor = EXTRACTORS[2]
    sound = np.random.default_rng(0).standard_normal(extractor.n_samples).astype(np.float32)
    for audio in (sound[: extractor.n_samples - short], sound[: short + 1]):
        features, mask = log_mel_chunks(audio, extractor)
        wanted, wanted_mask = expected(audio, extractor)
        torch.testing.assert_close(features, wanted, atol=1e-4, rtol=0)
        assert torch.equal(mask, wanted_mask.long())


def test_noise_of_the_extractor_is_its_own():
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=2, dither=0.1)
    audio = np.zeros(16000, np.float32)
    torch.manual_seed(0)
    features, _ = log_mel_chunks(audio, extractor)
    torch.manual_seed(0)
    torch.testing.assert_close(features, expected(audio, extractor)[0])


def test_another_extractor_is_called_as_it_is():
    class Loudness(SequenceFeatureExtractor):
        n_samples, hop_length = 100, 10

        def __call__(self, chunks, **options):
            assert options["padding"] == "max_length" and options["sampling_rate"] == 16000
            features = torch.stack([torch.full((1, 10), float(np.abs(chunk).mean())) for chunk in chunks])
            return {"input_features": features, "attention_mask": torch.ones(len(chunks), 10)}

    features, mask = log_mel_chunks(np.ones(150, np.float32), Loudness(1, 16000, 0.0))
    assert features.shape == (2, 1, 10) and mask.dtype == torch.int64 and bool((features == 1).all())
