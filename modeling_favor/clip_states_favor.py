# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One item in two steps: what no question changes of it, which can be kept, and the embeddings for one question.

Servers keep the first: a new question about a known clip then costs the visual Q-Former and the connector alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .media_encoding_favor import MediaEncodingMixin
from .pretrained_favor import FavorPreTrainedModel


@dataclass(frozen=True)
class ClipStates:
    """One item as far as no question changes it, in host memory.

    Attributes:
        pictures: (F, patches, width) or, of a model whose Q-Former reads no instruction, (F, p, d); None without.
        time_steps: (T,) the row of `pictures` that shows in each synchronised frame.
        audio: (S, A) audio tower states; None without sound.
    """

    pictures: torch.Tensor | None
    time_steps: torch.Tensor | None
    audio: torch.Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(states.nbytes for states in (self.pictures, self.time_steps, self.audio) if states is not None)


class ClipStatesMixin(MediaEncodingMixin):
    """`get_video_features` for one item, cut where its question comes in."""

    @torch.no_grad()
    def clip_states(self, inputs: Mapping[str, torch.Tensor]) -> ClipStates:
        """One item through the encoders.

        Args:
            inputs: the processor's media tensors of this item alone, a row each; an instruction is not looked at.
        """
        pictures = time_steps = audio = None
        device = self.connector.device
        if "pixel_values_videos" in inputs:
            time_steps = inputs["video_frame_indices"][0].cpu()
            pixels = inputs["pixel_values_videos"][0]  # (F, 3, H, W)
            if self.reads_instruction:
                pictures = self.picture_patches(pixels, kept_on="cpu")
            else:  # no row where the connector reads no pictures
                pictures = self.encode_frames(pixels[None].to(device))[0][0].cpu()
        if "input_features" in inputs:
            sound = (inputs[name].to(device) for name in ("input_features", "input_features_mask"))
            audio = self.encode_audio(*sound)[0][0].cpu()
        return ClipStates(pictures, time_steps, audio)

    @torch.no_grad()
    def clip_embeddings(self, states: ClipStates, qformer_input_ids: torch.Tensor | None = None) -> torch.Tensor:
        """What replaces the item's placeholders, on the connector's device.

        Args:
            states: of [`~ClipStatesMixin.clip_states`].
            qformer_input_ids: (Q,) the instruction for a visual Q-Former that reads one.

        Returns (tokens, text width).
        """
        visual = None
        if states.pictures is not None:
            vectors = states.pictures
            if self.reads_instruction:
                vectors = self.picture_vectors(vectors, None if qformer_input_ids is None else qformer_input_ids[None])
            vectors = vectors.to(self.connector.device)  # (F, p, d)
            # No row where the connector reads no pictures.
            visual = vectors[None, states.time_steps.to(vectors.device)] if len(vectors) else vectors[None]
        audio = None if states.audio is None else states.audio[None].to(self.connector.device)
        fused = self.connector(visual=visual, audio=audio)
        return fused.embeddings[0, : int(fused.num_tokens[0])]


class FavorMediaEncoder(ClipStatesMixin, FavorPreTrainedModel):
    """FAVOR up to its connector: what is put around a language model that others run, as vLLM does.

    Its weights have the names that they have in [`FavorModel`].
    """

    def __init__(self, config):
        super().__init__(config)
        self.add_encoders(config)
        self.post_init()


__all__ = ["ClipStates", "ClipStatesMixin", "FavorMediaEncoder"]
