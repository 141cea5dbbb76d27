# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What audio encoders read, of sound of any length: log-mel chunks as Whisper's, or chunks of samples as Wav2Vec2's.

A chunk is (channels, frames): mel bins and mel frames, or one channel and samples. Log-mel is computed as
`WhisperFeatureExtractor` does where there is sound, and its padding is filled in.
Whisper pads sound with zeros to 30 s. The spectrum of those zeros is known without a Fourier transform: the floor of
the logarithm, limited and scaled as the chunk's other values are.
"""

import math
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

LOWEST_POWER = 1e-10  # the floor of the mel energies, and
RANGE = 8.0  # the decades below a chunk's loudest value that are kept; both as in Whisper


def reads_samples(extractor: Any) -> bool:
    """Whether a feature extractor makes samples of sound (Wav2Vec2's), not log-mel (Whisper's)."""
    return extractor.model_input_names[0] == "input_values"


def frame_samples(extractor: Any) -> int:
    """Samples of sound for each frame of a chunk; 1 where these are samples themselves."""
    return 1 if reads_samples(extractor) else extractor.hop_length


def frame_frequency(extractor: Any) -> float:
    """Frames per second."""
    return extractor.sampling_rate / frame_samples(extractor)


def chunk_samples(extractor: Any) -> int:
    """Samples of a whole chunk.

    Raises:
        ValueError: if an extractor of samples has no `chunk_length`, the seconds of a chunk.
    """
    if not reads_samples(extractor):
        return extractor.n_samples
    seconds = getattr(extractor, "chunk_length", None)
    if not seconds:
        raise ValueError(
            f"{type(extractor).__name__} has no chunk_length, the seconds of sound that the encoder reads at "
            "once: set feature_extractor.chunk_length = 30."
        )
    return int(seconds * extractor.sampling_rate)


def with_chunks_of(extractor: WhisperFeatureExtractor, frames: int) -> WhisperFeatureExtractor:
    """The same log-mel extractor with chunks of another number of mel frames.

    Raises:
        ValueError: if these are no whole seconds.
    """
    seconds = frames * extractor.hop_length / extractor.sampling_rate
    if seconds != int(seconds):
        raise ValueError(
            f"Chunks of {frames} mel frames last {seconds} s, but a chunk has whole seconds: {int(seconds)} or "
            f"{int(seconds) + 1}."
        )
    derived = ("n_samples", "nb_max_frames")
    values = {name: value for name, value in extractor.to_dict().items() if name not in derived}
    return type(extractor)(**{**values, "chunk_length": int(seconds)})


def sound_chunks(audio: np.ndarray, extractor: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Sound of any length as whole chunks of the feature extractor.

    Args:
        audio (`np.ndarray` of shape (S,), float32): mono, at the extractor's sampling rate; S > 0.
        extractor: a `WhisperFeatureExtractor`, or one that makes `input_values`, such as Wav2Vec2's.

    Returns:
        Chunks (C, channels, frames) float32 and their mask (C, frames) int64, 1 where sound is.
    """
    if not reads_samples(extractor):
        return log_mel_chunks(audio, extractor)
    length = chunk_samples(extractor)
    starts = range(0, len(audio), length)
    chunks = torch.zeros(len(starts), 1, length)
    mask = torch.zeros(len(starts), length, dtype=torch.int64)
    for place, start in enumerate(starts):
        # One by one and without padding: the extractor normalises over all that it is given.
        made = extractor(audio[start : start + length], sampling_rate=extractor.sampling_rate, return_tensors="pt")
        samples = made["input_values"][0]
        chunks[place, 0, : len(samples)] = samples
        mask[place, : len(samples)] = 1
    return chunks, mask


def log_mel_chunks(audio: np.ndarray, extractor: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Sound of any length as whole chunks of the feature extractor.

    Args:
        audio (`np.ndarray` of shape (S,), float32): mono, at the extractor's sampling rate; S > 0.
        extractor: a `WhisperFeatureExtractor`; any other, or one that adds noise, is called as it is.

    Returns:
        Features (C, mel, frames) float32, equal to the extractor's to 1e-4, and their mask (C, frames) int64.
    """
    length = extractor.n_samples
    chunks = [audio[start : start + length] for start in range(0, len(audio), length)]
    if not _is_plain_whisper(extractor):
        extracted = extractor(
            chunks,
            sampling_rate=extractor.sampling_rate,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return extracted["input_features"].float(), extracted["attention_mask"].long()
    frames = length // extractor.hop_length
    filters = torch.from_numpy(extractor.mel_filters).float().T.contiguous()  # (mel, frequencies)
    features = torch.empty(len(chunks), len(filters), frames)
    mask = torch.zeros(len(chunks), frames, dtype=torch.int64)
    for place, chunk in enumerate(chunks):
        _fill_log_mel(features[place], chunk, extractor, filters)
        mask[place, : _frames(len(chunk), extractor)] = 1
    return features, mask


def chunk_frames(samples: int, extractor: Any) -> list[int]:
    """Real frames of each chunk that `samples` of sound, at the extractor's rate, are cut into."""
    length = chunk_samples(extractor)
    return [_frames(min(length, samples - start), extractor) for start in range(0, samples, length)]


def _frames(samples: int, extractor: Any) -> int:
    return math.ceil(samples / frame_samples(extractor))


def _is_plain_whisper(extractor: Any) -> bool:
    """Exactly transformers' class, padding with silence at the end, and no random dither."""
    return (
        type(extractor) is WhisperFeatureExtractor
        and extractor.dither == 0.0
        and extractor.padding_value == 0.0
        and extractor.padding_side == "right"
    )


def _fill_log_mel(features: torch.Tensor, chunk: np.ndarray, extractor: Any, filters: torch.Tensor) -> None:
    """Writes one chunk's (mel, frames) features."""
    half, hop = extractor.n_fft // 2, extractor.hop_length
    frames = features.shape[-1]
    # Frame t sees samples t * hop - half to t * hop + half; from `heard` on, frames see padding only.
    heard = min(frames, (len(chunk) + half) // hop + 1)
    samples = torch.zeros(min(extractor.n_samples, (heard - 1) * hop + half + max(hop, 1)))
    samples[: len(chunk)] = torch.from_numpy(np.ascontiguousarray(chunk, dtype=np.float32))
    spectrum = torch.stft(
        samples, extractor.n_fft, hop, window=torch.hann_window(extractor.n_fft), return_complex=True
    )[:, :heard]
    power = torch.view_as_real(spectrum).square().sum(dim=-1)  # (frequencies, heard)
    log_mel = (filters @ power).clamp(min=LOWEST_POWER).log10()
    floor = max(math.log10(LOWEST_POWER), float(log_mel.max()) - RANGE)
    features[:, :heard] = (log_mel.clamp(min=floor) + 4.0) / 4.0
    features[:, heard:] = (floor + 4.0) / 4.0
