# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audio towers: encoders that give vectors at a fixed rate, of log-mel chunks or of the samples themselves."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .encoder_attention_favor import fit_attention
from .encoder_passes_favor import CHUNKS_A_PASS, in_passes


@dataclass(frozen=True)
class AudioEncoder:
    """What is known of one kind of audio encoder.

    A chunk of sound is (channels, frames): mel bins and mel frames, or one channel and samples.

    Attributes:
        encoder_class: a model that maps log-mel chunks (chunks, mel, frames) to a `last_hidden_state` (chunks,
            vectors, width); None: the one that transformers' auto class finds.
        stride: mel frames for each vector.
        frames_per_position: mel frames of a chunk for each of the config's `max_source_positions`.
        width_name: value of the config that is the width.
        constant_weights: modules whose weights are computed, not trained; loading forgets that.
        reads_samples: chunks are samples, not log-mel.
    """

    encoder_class: type[PreTrainedModel] | None = None
    stride: int = 2
    frames_per_position: int = 2
    width_name: str = "hidden_size"
    constant_weights: tuple[str, ...] = ()
    reads_samples = False

    def width(self, config: PreTrainedConfig) -> int:
        """Width of a vector."""
        return getattr(config, self.width_name)

    def frames_per_vector(self, config: PreTrainedConfig) -> int:
        """Frames of a chunk for each vector."""
        return self.stride

    def channels(self, config: PreTrainedConfig) -> int:
        """Mel bins."""
        return config.num_mel_bins

    def chunk_frames(self, config: PreTrainedConfig) -> int | None:
        """Frames of a chunk; None if chunks may have any length."""
        return self.frames_per_position * config.max_source_positions

    def build(self, config: PreTrainedConfig) -> PreTrainedModel:
        """The tower."""
        encoder_class = self.encoder_class or MODEL_MAPPING[type(config)]
        return encoder_class._from_config(fit_attention(config, encoder_class))

    def states(self, tower: PreTrainedModel, chunks: torch.Tensor, num_frames: torch.Tensor | None) -> torch.Tensor:
        """Vectors of chunks: (chunks, channels, frames) to (chunks, vectors, width), a bounded number at a time.

        Args:
            num_frames: (chunks,) how many frames of each are real; None: all.
        """
        return in_passes(lambda some: tower(some).last_hidden_state, CHUNKS_A_PASS, chunks)


@dataclass(frozen=True)
class WaveformEncoder(AudioEncoder):
    """Wav2Vec2 and its kin: convolutions over samples, then a transformer without a table of positions.

    Some of them know no mask, and normalise over the whole chunk. So each chunk's real samples are read by themselves:
    what a sound becomes does not depend on padding, nor on its neighbours in a batch.
    """

    reads_samples = True

    def frames_per_vector(self, config: PreTrainedConfig) -> int:
        """Samples for each vector: 320 of all published ones, 50 Hz at 16 kHz."""
        return math.prod(config.conv_stride)

    def channels(self, config: PreTrainedConfig) -> int:
        """One."""
        return 1

    def chunk_frames(self, config: PreTrainedConfig) -> int | None:
        """Any number."""
        return None

    def build(self, config: PreTrainedConfig) -> PreTrainedModel:
        """The tower. Raises `ValueError` for an adapter, which would thin the vectors out."""
        if getattr(config, "add_adapter", False):
            raise ValueError(
                f"audio_config ({config.model_type}) has add_adapter=True, which changes the vectors' rate: set it to "
                "False."
            )
        # Both belong to pre-training: masked vectors and left out layers would only add noise to a trained one.
        config.apply_spec_augment, config.layerdrop = False, 0.0
        return super().build(config)

    def samples_needed(self, config: PreTrainedConfig, samples: int) -> int:
        """Samples for a vector for each begun stride: the last one's convolutions see beyond it."""
        seen = 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            seen = (seen - 1) * stride + kernel
        stride = self.frames_per_vector(config)
        return (math.ceil(samples / stride) - 1) * stride + max(seen, stride)

    def states(self, tower: PreTrainedModel, chunks: torch.Tensor, num_frames: torch.Tensor | None) -> torch.Tensor:
        """As above; vectors beyond a chunk's real samples are zero."""
        if is_deepspeed_zero3_enabled():
            raise ValueError(
                f"{type(tower).__name__} reads chunks of different lengths one by one, which DeepSpeed's ZeRO-3 would "
                "wait for without end: use ZeRO-2."
            )
        frames = chunks.shape[-1]
        lengths = [frames] * len(chunks) if num_frames is None else num_frames.tolist()
        stride = self.frames_per_vector(tower.config)
        vectors = chunks.new_zeros(len(chunks), math.ceil(frames / stride), self.width(tower.config))
        for length in sorted({length for length in lengths if length}):
            rows = torch.tensor([row for row, own in enumerate(lengths) if own == length], device=chunks.device)
            samples = chunks[rows, 0, :length]
            samples = nn.functional.pad(samples, (0, self.samples_needed(tower.config, length) - length))
            read = in_passes(lambda some: tower(some).last_hidden_state, CHUNKS_A_PASS, samples)
            vectors[rows, : read.shape[1]] = read
        return vectors


# By the `model_type` of their configs. An auto class would build Whisper's decoder, too.
AUDIO_ENCODERS: dict[str, AudioEncoder] = {
    "whisper": AudioEncoder(WhisperEncoder, constant_weights=("embed_positions",)),
    "wav2vec2": WaveformEncoder(),
    "hubert": WaveformEncoder(),
    "wavlm": WaveformEncoder(),
    "unispeech-sat": WaveformEncoder(),
    "data2vec-audio": WaveformEncoder(),
}


def audio_encoder(config: PreTrainedConfig) -> AudioEncoder:
    """The entry of an audio encoder's config; raises `ValueError` for another type."""
    if config.model_type not in AUDIO_ENCODERS:
        raise ValueError(
            f"audio_config is of type {config.model_type!r}; an audio encoder is one of {', '.join(AUDIO_ENCODERS)}."
        )
    return AUDIO_ENCODERS[config.model_type]


def audio_vectors(frames: torch.Tensor, stride: int) -> torch.Tensor:
    """Real vectors of chunks with so many real frames, one for every `stride` of them; 0 of none."""
    return (frames - 1).div(stride, rounding_mode="floor") + 1


def check_chunks(config: PreTrainedConfig, input_features: torch.Tensor) -> None:
    """Raises `ValueError` unless an audio encoder of this config reads chunks (..., channels, frames)."""
    encoder, (channels, frames) = audio_encoder(config), input_features.shape[-2:]
    wanted, longest = encoder.channels(config), encoder.chunk_frames(config)
    if channels == wanted and longest in (None, frames):
        return
    rows, columns = ("channels", "samples") if encoder.reads_samples else ("mel bins", "mel frames")
    raise ValueError(
        f"input_features has {channels} {rows} and {frames} {columns} a chunk, but the audio tower reads {wanted} and "
        f"{longest or 'any number'}: give the output of this model's own processor unchanged."
    )


def build_audio_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """An audio encoder, see [`AudioEncoder`]."""
    return audio_encoder(config).build(config)


__all__ = ["AUDIO_ENCODERS", "audio_encoder", "audio_vectors", "build_audio_tower", "check_chunks"]
