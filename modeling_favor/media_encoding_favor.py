# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pictures and sound through the encoders in bounded passes, for everybody: the model, caches, streams, the server."""

import torch
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import logging

from .configuration_favor import FavorConfig
from .connector_streams_favor import check_media_rows, length_mask
from .connectors_favor import build_connector
from .towers_favor import (
    PICTURES_A_PASS,
    FavorVisualQFormer,
    audio_encoder,
    audio_vectors,
    build_audio_tower,
    build_vision_tower,
    check_chunks,
    in_passes,
    picture_states,
)

logger = logging.get_logger(__name__)


def to_module(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """To a module's device; weights that are kept on disk have none, and who fetches them moves the inputs, too."""
    return tensor if device.type == "meta" else tensor.to(device)


class MediaEncodingMixin:
    """What [`FavorModel`] does before its connector. A frozen encoder runs without gradients."""

    config: FavorConfig
    connector: PreTrainedModel
    vision_tower: PreTrainedModel
    visual_qformer: FavorVisualQFormer | None
    audio_tower: PreTrainedModel

    def add_encoders(self, config: FavorConfig) -> None:
        """Builds the towers and the connector, part by part, with the names of their weights."""
        self.vision_tower = build_vision_tower(config.vision_config)
        self.visual_qformer = (
            # CODEPATH: towers read without a Q-Former (SigLIP, CLIP); InstructBLIP and BLIP-2
            None
            if config.qformer_config is None
            else FavorVisualQFormer(config.qformer_config, config.num_visual_query_tokens)
        )
        self.audio_tower = build_audio_tower(config.audio_config)
        config.fill_connector_config()  # its parts may have been changed since it was made
        self.connector = build_connector(config.connector_config)

    def encode_media(
        self,
        pixel_values_videos: torch.Tensor | None = None,
        video_frame_indices: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        input_features_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Runs the (frozen) encoders only; the result can be kept and given back as `encoder_states`.

        Args:
            pixel_values_videos: (items, F, 3, H, W) distinct pictures; an item's own are rows 0 .. max(its indices).
            video_frame_indices: (items, T) int64, the picture shown in each synchronised frame; -1, none, after an
                item's last alone: an item of nothing else has no pictures. Default: every row once, so rows that only
                pad shorter items are read as pictures.
            input_features: (items, chunks, mel, mel frames) log-mel of 30 s chunks; (items, mel, mel frames) is one
                chunk each. An encoder that reads samples has (items, chunks, 1, samples).
            input_features_mask: (items, chunks, mel frames), 1 where real, from an item's start on: an item of zeros
                has no sound. Default: all.
            qformer_input_ids, qformer_attention_mask: (items, Q) the instruction for the visual Q-Former. Default: it
                sees pictures alone, which is said once where it was made to read a question.

        Values are not looked at: NaN in pictures or sound becomes NaN in the answer's logits. The processor refuses
        files and arrays with such values.

        Returns the arguments of [`FavorConnector`]'s forward: `visual` (items, T, p, d), `num_visual_frames` (items,),
        `audio` (items, S, A), `num_audio_vectors` (items,); a stream that no item has is left out.

        Raises `ValueError` if tensors do not belong together or are not what the encoders read.
        """
        check_media_rows(
            pixel_values_videos,
            video_frame_indices,
            input_features,
            input_features_mask,
            qformer_input_ids,
            qformer_attention_mask,
        )
        states = {}
        if pixel_values_videos is not None:
            if qformer_input_ids is None and self.reads_instruction:
                logger.warning_once(
                    "qformer_input_ids is missing: the visual Q-Former, which was made to read the question, sees "
                    "pictures alone. FavorProcessor gives it where it has a qformer_tokenizer."
                )
            states["visual"], states["num_visual_frames"] = self.encode_frames(
                pixel_values_videos, video_frame_indices, qformer_input_ids, qformer_attention_mask
            )
        if input_features is not None:
            states["audio"], states["num_audio_vectors"] = self.encode_audio(input_features, input_features_mask)
        return states

    def encode_frames(
        self,
        pixel_values_videos: torch.Tensor,
        video_frame_indices: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Distinct pictures through the vision tower, once each and a bounded number at a time.

        Returns the vectors of each synchronised frame (items, T, p, d) and the items' numbers of frames (items,).
        """
        items, rows = pixel_values_videos.shape[:2]
        connector = self.config.connector_config
        shape = (items, 0, connector.visual_vectors_per_frame, connector.visual_hidden_size)
        nothing = pixel_values_videos.new_zeros(shape), pixel_values_videos.new_zeros(items, dtype=torch.long)
        if video_frame_indices is None:
            video_frame_indices = torch.arange(rows, device=pixel_values_videos.device).expand(items, -1)
        if not self.connector.reads_visual or not video_frame_indices.shape[1]:
            return nothing
        own = length_mask(video_frame_indices.amax(1) + 1, rows)  # (items, F)
        of_items, of_rows = own.nonzero(as_tuple=True)
        if not len(of_items):
            return nothing

        def encode(item: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            patches = self.picture_patches(pixel_values_videos[item, row])
            instruction = (qformer_input_ids, qformer_attention_mask)
            return self.picture_vectors(patches, *(None if ids is None else ids[item] for ids in instruction))

        # Both steps of a pass before the next: patch states, which are larger than all else, are not kept.
        states = in_passes(encode, PICTURES_A_PASS, of_items, of_rows)
        states = states.to(own.device)  # of the inputs: `device_map` may have put the encoders elsewhere
        vectors = states.new_zeros(items, rows, *states.shape[1:])
        vectors[own] = states
        # An index of -1 shows nothing: row 0 stands in for it, and is zeroed below.
        frames = vectors.take_along_dim(video_frame_indices.clamp(min=0)[..., None, None], dim=1)  # (items, T, p, d)
        shown = video_frame_indices >= 0
        return frames * shown[..., None, None], shown.sum(1)

    @property
    def reads_instruction(self) -> bool:
        """Whether what becomes of a picture depends on the instruction."""
        qformer = self.visual_qformer
        return self.connector.reads_visual and qformer is not None and qformer.reads_instruction

    def picture_patches(self, pixel_values: torch.Tensor, kept_on: torch.device | str | None = None) -> torch.Tensor:
        """Pictures through the vision tower, a bounded number at a time.

        Args:
            pixel_values: (pictures, 3, H, W); on any device.
            kept_on: device of the result, to which each pass goes as soon as it is done: patch states of a long video
                are large. By default the tower's.

        Returns (pictures, patches, width).
        """
        tower = self.vision_tower

        def encode(pictures: torch.Tensor) -> torch.Tensor:
            pictures = to_module(pictures, tower.device).to(tower.dtype)
            states = picture_states(tower, pictures, self.config.vision_feature_layer, self.config.vision_pool_size)
            return states if kept_on is None else states.to(kept_on)

        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains_visual_encoder):
            return in_passes(encode, PICTURES_A_PASS, pixel_values)

    def picture_vectors(
        self,
        patches: torch.Tensor,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What the connector reads of pictures: (pictures, p, d), a bounded number of pictures at a time.

        Args:
            patches: (pictures, patches, width) of [`~FavorModel.picture_patches`]; on any device.
            qformer_input_ids, qformer_attention_mask: (pictures, Q) the instruction of each, or (1, Q) of all; by
                default none.
        """
        qformer = self.visual_qformer
        if qformer is None:
            return patches
        device = qformer.query_tokens.device

        def encode(states: torch.Tensor, *instruction: torch.Tensor) -> torch.Tensor:
            return qformer(*(to_module(tensor, device) for tensor in (states, *instruction)))

        instruction = []
        if qformer_input_ids is not None:
            if qformer_attention_mask is None:
                qformer_attention_mask = torch.ones_like(qformer_input_ids)
            instruction = [ids.expand(len(patches), -1) for ids in (qformer_input_ids, qformer_attention_mask)]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains_visual_encoder):
            return in_passes(encode, PICTURES_A_PASS, patches, *instruction)

    def chunk_states(
        self, input_features: torch.Tensor, input_features_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Chunks through the audio tower, a bounded number at a time.

        Args:
            input_features: (chunks, mel, mel frames), or (chunks, 1, samples) for an encoder that reads samples.
            input_features_mask: (chunks, frames), 1 where real; default: all.

        Returns (chunks, vectors, A).
        """
        tower = self.audio_tower
        num_frames = None if input_features_mask is None else input_features_mask.sum(-1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains_audio_encoder):
            chunks = to_module(input_features, tower.device).to(tower.dtype)
            return audio_encoder(tower.config).states(tower, chunks, num_frames)

    def audio_vector_counts(self, input_features_mask: torch.Tensor) -> torch.Tensor:
        """(items,) audio encoder outputs that are real, for a mask of mel frames (items, chunks, mel frames)."""
        return audio_vectors(input_features_mask.sum(-1), self.config.audio_stride).sum(1)

    def encode_audio(
        self, input_features: torch.Tensor, input_features_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-mel chunks through the audio tower: (items, S, A) encoder states and (items,) counts of real ones."""
        shape = (len(input_features), 0, self.config.connector_config.audio_hidden_size)
        nothing = input_features.new_zeros(shape), input_features.new_zeros(len(input_features), dtype=torch.long)
        if not self.connector.reads_audio:
            return nothing
        check_chunks(self.config.audio_config, input_features)
        if input_features.ndim == 3:
            input_features = input_features[:, None]
            input_features_mask = None if input_features_mask is None else input_features_mask[:, None]
        if input_features_mask is None:
            input_features_mask = torch.ones_like(input_features[:, :, 0], dtype=torch.long)
        filled = input_features_mask.any(-1)  # (items, chunks)
        num_vectors = self.audio_vector_counts(input_features_mask)
        real = input_features_mask.flatten(1).bool()  # (items, chunks * mel frames)
        # Fetched at once: the device is waited for once.
        longest, holes = torch.stack([num_vectors.max(), (real[:, 1:] & ~real[:, :-1]).sum()]).tolist()
        if holes:
            raise ValueError(
                f"input_features_mask has {holes} places where real mel frames follow others that are not, but only "
                "an item's end may be padding. Give the processor's output unchanged."
            )
        if not longest:
            return nothing
        states = self.chunk_states(input_features[filled], input_features_mask[filled]).to(filled.device)
        vectors = states.new_zeros(*filled.shape, *states.shape[1:])
        vectors[filled] = states
        # Only an item's last chunk may be partly filled, so its real vectors come first: (items, S, A).
        return vectors.flatten(1, 2)[:, :longest], num_vectors

    @property
    def trains_visual_encoder(self) -> bool:
        """Whether any parameter of the vision tower or the visual Q-Former is trained (the paper freezes both)."""
        modules = [self.vision_tower] + ([] if self.visual_qformer is None else [self.visual_qformer])
        return any(parameter.requires_grad for module in modules for parameter in module.parameters())

    @property
    def trains_audio_encoder(self) -> bool:
        """Whether any parameter of the audio tower is trained (the paper freezes it)."""
        return any(parameter.requires_grad for parameter in self.audio_tower.parameters())


__all__ = ["MediaEncodingMixin"]
