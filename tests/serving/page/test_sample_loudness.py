# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The page draws the loudness of a model that hears samples as that of one that hears log-mel."""

import numpy as np
import torch
from transformers import Wav2Vec2FeatureExtractor

from favor.processing.log_mel_favor import chunk_frames, sound_chunks
from favor.serving.page.perception import _loudness


def test_a_sound_that_swells_is_drawn_swelling_a_hundred_values_a_second():
    extractor = Wav2Vec2FeatureExtractor()
    extractor.chunk_length = 2
    sound = (np.linspace(0.0, 1.0, 40_000) * np.sin(np.arange(40_000))).astype(np.float32)  # 2.5 s: two chunks
    chunks, mask = sound_chunks(sound, extractor)
    assert chunks.shape == (2, 1, 32_000)
    assert mask.sum(-1).tolist() == chunk_frames(len(sound), extractor) == [32_000, 8_000]
    assert not chunks[1, 0, 8_000:].any()
    expected = extractor(sound[32_000:], sampling_rate=16_000, return_tensors="pt").input_values[0]
    torch.testing.assert_close(chunks[1, 0, :8_000], expected)
    loudness, rate = _loudness({"input_features": chunks[None], "input_features_mask": mask[None]}, extractor)
    assert (len(loudness), rate) == (250, 100)
    assert (np.diff(loudness[5:200]) > 0).mean() > 0.9
