# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The connector without Q-Former (arXiv 2407.15046): a two-layer MLP a stream, sound and pictures side by side.

Axes: B items, T frames, p vectors per frame, S audio vectors, n vectors of a pool, L LLM width.
"""

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_utils import PreTrainedModel

from .connector_configuration_favor import FavorProjectorConfig
from .connector_streams_favor import FavorConnectorOutput, check_streams, length_mask


class FavorProjector(PreTrainedModel):
    """Audio vectors and averages of the pictures' vectors, each projected to the language model's width.

    An item's tokens: its sound in time order, its frames in time order (averages over space), its patches in row order
    (averages over time). The paper names audio before visual; which visual average comes first is our choice.
    """

    config: FavorProjectorConfig
    config_class = FavorProjectorConfig
    base_model_prefix = "connector"
    main_input_name = "visual"
    # It has no attention: every implementation suits it.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _no_split_modules = ["FavorProjector"]

    def __init__(self, config: FavorProjectorConfig):
        super().__init__(config)
        self.reads_audio = config.modalities != "visual"
        self.reads_visual = config.modalities != "audio"
        # Both are there whatever is read, so that a baseline loads the weights of the whole system.
        self.audio_projection = projection(config.audio_hidden_size, config)
        self.visual_projection = projection(config.visual_hidden_size, config)
        self.post_init()

    def forward(
        self,
        visual: torch.Tensor | None = None,
        audio: torch.Tensor | None = None,
        num_visual_frames: torch.Tensor | None = None,
        num_audio_vectors: torch.Tensor | None = None,
    ) -> FavorConnectorOutput:
        """Turns both streams into embeddings for the language model.

        Args:
            visual: (B, T, visual_vectors_per_frame, visual_hidden_size) vectors of each picture, or None.
            audio: (B, S, audio_hidden_size) audio encoder states, or None.
            num_visual_frames: (B,) int64, real frames of each item (all T by default); 0: the item has no picture.
            num_audio_vectors: (B,) int64, real audio vectors of each item (all S by default); 0: no sound.

        Returns [`FavorConnectorOutput`] with `embeddings` and `num_tokens`. Items do not influence each other.

        Raises `ValueError` if both streams are missing or a picture has another number of vectors than the config
        says.
        """
        visual, audio, num_visual_frames, num_audio_vectors = check_streams(
            self.config, visual, audio, num_visual_frames, num_audio_vectors
        )
        # A branch without input still runs, on nothing: distributed training expects a gradient of every parameter.
        if not self.reads_audio:
            audio, num_audio_vectors = audio[:, :0], torch.zeros_like(num_audio_vectors)
        if not self.reads_visual:
            visual, num_visual_frames = visual[:, :0], torch.zeros_like(num_visual_frames)
        dtype = self.audio_projection[0].weight.dtype
        sound, sound_mask = pool_neighbours(audio.to(dtype), num_audio_vectors, self.config.audio_pool_size)
        pictures, picture_mask = self.pool_pictures(visual.to(dtype), num_visual_frames)
        tokens = torch.cat([self.audio_projection(sound), self.visual_projection(pictures)], dim=1)  # (B, all, L)
        filled = torch.cat([sound_mask, picture_mask], dim=1)  # (B, all)
        num_tokens = filled.sum(1)
        longest = int(num_tokens.max()) if len(num_tokens) else 0
        embeddings = tokens.new_zeros(len(tokens), longest, tokens.shape[-1])
        embeddings[length_mask(num_tokens, longest)] = tokens[filled]
        return FavorConnectorOutput(embeddings=embeddings, num_tokens=num_tokens)

    def pool_pictures(self, visual: torch.Tensor, num_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, p, d) to (B, T + p, d): averages over space, then over each item's own frames; and which are real."""
        shown = length_mask(num_frames, visual.shape[1])  # (B, T)
        visual = visual.masked_fill(~shown[..., None, None], 0)
        averages, masks = [], []
        if self.config.visual_pooling != "time":
            averages.append(visual.mean(2))  # (B, T, d)
            masks.append(shown)
        if self.config.visual_pooling != "space":
            averages.append(visual.sum(1) / num_frames.clamp(min=1)[:, None, None])  # (B, p, d)
            masks.append((num_frames > 0)[:, None].expand(-1, visual.shape[2]))
        return torch.cat(averages, dim=1), torch.cat(masks, dim=1)


def projection(size: int, config: FavorProjectorConfig) -> nn.Sequential:
    """The paper's `mlp2x-gelu`."""
    return nn.Sequential(
        nn.Linear(size, config.text_hidden_size),
        ACT2FN[config.hidden_act],
        nn.Linear(config.text_hidden_size, config.text_hidden_size),
    )


def pool_neighbours(vectors: torch.Tensor, lengths: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, S, d) to the averages of each `size` real neighbours, (B, ceil(S / size), d), and which of them are real.

    The last pool of an item may have fewer: an average of these.
    """
    real = length_mask(lengths, vectors.shape[1])  # (B, S)
    vectors = nn.functional.pad(vectors.masked_fill(~real[..., None], 0), (0, 0, 0, -vectors.shape[1] % size))
    pools = vectors.shape[1] // size
    members = (lengths[:, None] - size * torch.arange(pools, device=lengths.device)).clamp(0, size)  # (B, pools)
    sums = vectors.reshape(len(vectors), pools, size, vectors.shape[2]).sum(2)  # (B, pools, d)
    return sums / members.clamp(min=1)[..., None], members > 0


__all__ = ["FavorProjector"]
