# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The audio-visual connector: synchronisation (eq. 1), windows, causal Q-Former (eq. 2), projection, diversity loss.

Axes: B items, T synchronised frames, p vectors per frame, S audio vectors, W windows, k frames per window, N queries,
d query width, L LLM width.
"""

import torch
from torch import nn
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from .causal_qformer_favor import FavorBlockCausalModel, FavorCausalQFormer
from .connector_configuration_favor import FavorCausalQFormerConfig
from .connector_streams_favor import FavorConnectorOutput, check_streams, length_mask, zero_padded
from .diversity_favor import batch_diversity, diversity_loss, window_diversity
from .towers_favor import in_passes
from .word_mixture_favor import FavorWordMixture

WINDOWS_A_PASS = 16  # through the causal Q-Former, without gradients: 80 s of video


class FavorConnector(FavorBlockCausalModel):
    """All that FAVOR trains beside the LLM's LoRA: audio projection, causal Q-Former and projection to the LLM."""

    config: FavorCausalQFormerConfig
    config_class = FavorCausalQFormerConfig
    base_model_prefix = "connector"
    main_input_name = "visual"
    supports_gradient_checkpointing = True
    _no_split_modules = ["FavorConnector", "FavorCausalQFormerLayer"]
    reads_visual = reads_audio = True  # a masked stream (`modalities`) still counts for the number of windows

    def __init__(self, config: FavorCausalQFormerConfig):
        super().__init__(config)
        self.audio_projection = nn.Linear(config.audio_hidden_size, config.projected_size)
        self.visual_projection = (
            None if config.stream_size is None else nn.Linear(config.visual_hidden_size, config.stream_size)
        )
        self.causal_qformer = FavorCausalQFormer._from_config(config)
        self.language_projection = nn.Linear(config.hidden_size, config.text_hidden_size)
        self.word_mixture = (
            None if config.mixture_size is None else FavorWordMixture(config.mixture_size, config.text_hidden_size)
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, FavorWordMixture):
            module.start(self.config.initializer_range)

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
            audio: (B, S, audio_hidden_size) audio encoder states (50 Hz), before the projection, or None.
            num_visual_frames: (B,) int64, real frames of each item (all T by default); 0: the item has no picture.
            num_audio_vectors: (B,) int64, real audio vectors of each item (all S by default); 0: no sound.

        Returns [`FavorConnectorOutput`]. Items do not influence each other.

        Raises `ValueError` if both streams are missing or empty, or a picture has another number of vectors than the
        config says.
        """
        visual, audio, num_visual_frames, num_audio_vectors = check_streams(
            self.config, visual, audio, num_visual_frames, num_audio_vectors
        )
        if not visual.shape[1] and not audio.shape[1]:
            raise ValueError(
                f"None of the {len(visual)} items has a picture or a sound: video_frame_indices of -1 alone and an "
                "input_features_mask of zeros are nothing. Leave such media out, with their placeholders."
            )
        visual_features, audio_features = self.stream_features(visual, audio, num_visual_frames, num_audio_vectors)
        # T_a = ceil(S / a); the processor's `query_tokens_favor.py` counts in the same way.
        num_audio_frames = -(-num_audio_vectors // self.config.audio_vectors_per_frame)
        if self.config.synchronize:
            num_frames = torch.maximum(num_visual_frames, num_audio_frames)
            features = synchronize_streams(visual_features, audio_features)  # (B, T, p, D)
            windows, frame_mask, item_of_window = self.split_windows(features, num_frames)
        else:
            windows, frame_mask, item_of_window = self.split_unsynchronized_windows(
                visual_features, audio_features, num_visual_frames, num_audio_frames
            )
        states = self.read_windows(windows, frame_mask)  # (windows of all items, N, d)
        return self.gather_items(states, item_of_window, num_items=len(num_visual_frames))

    @classmethod
    def from_released(
        cls,
        state_dict: dict[str, torch.Tensor],
        num_attention_heads: int = 12,
        window_frames: int | None = 10,
        **config_kwargs,
    ) -> "FavorConnector":
        """Builds the connector from a released checkpoint's state dict; all widths are read off the tensors.

        The released causal direction is set; `config_kwargs` override any value of [`FavorCausalQFormerConfig`].
        Raises `ValueError` that lists missing, unknown or ill-shaped tensors.
        """
        from .conversion_favor import released_connector_config, released_connector_state_dict

        config = released_connector_config(
            state_dict, num_attention_heads=num_attention_heads, window_frames=window_frames, **config_kwargs
        )
        connector = cls(config)
        connector.load_state_dict(released_connector_state_dict(state_dict, connector))
        return connector.eval()

    def stream_features(
        self,
        visual: torch.Tensor,
        audio: torch.Tensor,
        num_visual_frames: torch.Tensor,
        num_audio_vectors: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both streams as frames of p vectors, (B, T_v, p, d) and (B, T_a, p, d).

        Sound is projected and cut into frames; what is missing, and what lies beyond an item's length, is zero.
        """
        dtype = self.language_projection.weight.dtype
        audio = self.audio_projection(audio.to(dtype))  # (B, S, d)
        # A masked or missing stream is exact zeros after the projection, without its bias.
        visual = visual.to(dtype)
        if self.visual_projection is not None:
            visual = self.visual_projection(visual)
        visual = visual * length_mask(num_visual_frames, visual.shape[1])[:, :, None, None]
        audio = audio * length_mask(num_audio_vectors, audio.shape[1])[:, :, None]
        if self.config.modalities == "audio":
            visual = torch.zeros_like(visual)
        elif self.config.modalities == "visual":
            audio = torch.zeros_like(audio)
        per_frame = self.config.audio_vectors_per_frame
        audio = zero_padded(audio, 0, 0, 0, -audio.shape[1] % per_frame)
        audio = (
            audio.unflatten(1, (-1, per_frame)) if audio.shape[1] else audio[:, :, None].expand(-1, -1, per_frame, -1)
        )
        return tuple(
            zero_padded(stream, 0, 0, 0, self.config.vectors_per_frame - stream.shape[2]) for stream in (visual, audio)
        )

    def split_windows(
        self, features: torch.Tensor, num_frames: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cuts (B, T, p, D) into windows of k frames and keeps the non-empty ones of all items.

        Returns the windows (windows, k, p, D), their frame mask (windows, k) and the item of each (windows,).
        """
        length = self.config.window_frames or max(features.shape[1], 1)
        features = zero_padded(features, 0, 0, 0, 0, 0, -features.shape[1] % length)
        frame_mask = length_mask(num_frames, features.shape[1])  # (B, T)
        frame_mask = frame_mask.unflatten(1, (-1, length))  # (B, W, k)
        filled = frame_mask.any(-1)  # (B, W)
        windows = features.unflatten(1, (-1, length))[filled]
        return windows, frame_mask[filled], filled.nonzero()[:, 0]

    def split_unsynchronized_windows(
        self,
        visual_features: torch.Tensor,
        audio_features: torch.Tensor,
        num_visual_frames: torch.Tensor,
        num_audio_frames: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ablation "without synchronisation": windows of each stream alone, the other being zeros.

        Returns as [`split_windows`]; an item's visual windows come before its audio windows.
        """
        alone = [
            self.split_windows(synchronize_streams(visual_features, audio_features[:, :0]), num_visual_frames),
            self.split_windows(synchronize_streams(visual_features[:, :0], audio_features), num_audio_frames),
        ]
        longest = max(windows.shape[1] for windows, _, _ in alone)
        windows = torch.cat([nn.functional.pad(w, (0, 0, 0, 0, 0, longest - w.shape[1])) for w, _, _ in alone])
        frame_mask = torch.cat([nn.functional.pad(mask, (0, longest - mask.shape[1])) for _, mask, _ in alone])
        items = torch.cat([item_of_window for _, _, item_of_window in alone])
        order = torch.argsort(items, stable=True)
        return windows[order], frame_mask[order], items[order]

    def read_windows(self, windows: torch.Tensor, frame_mask: torch.Tensor) -> torch.Tensor:
        """(windows, k, p, D) to query states (windows, N, d); windows of the same number of real frames go together.

        So padding costs nothing: a still picture is one frame, not a whole window of them. Only in the released
        direction, whose frames see the padding after them, do windows keep their full length.
        """
        num_frames = frame_mask.sum(1)  # (windows,)
        sees_padding = self.config.causal_attention == "released" and self.config.window_frames is not None
        # With ZeRO-3 all processes must call a module equally often.
        lengths = [] if sees_padding or is_deepspeed_zero3_enabled() else num_frames.unique().tolist()
        if len(lengths) <= 1:
            length = lengths[0] if lengths else windows.shape[1]
            return self.read_in_passes(windows[:, :length], frame_mask[:, :length])
        groups = [(num_frames == length).nonzero()[:, 0] for length in lengths]
        states = [
            self.read_in_passes(windows[group, :length], frame_mask[group, :length])
            for group, length in zip(groups, lengths, strict=True)
        ]
        return torch.cat(states)[torch.cat(groups).argsort()]

    def read_in_passes(self, windows: torch.Tensor, frame_mask: torch.Tensor) -> torch.Tensor:
        """As [`read_windows`], a bounded number at a time; with gradients all at once: activations are kept anyway."""

        def read(some_windows: torch.Tensor, some_mask: torch.Tensor) -> torch.Tensor:
            return self.causal_qformer(some_windows, some_mask).last_hidden_state

        if torch.is_grad_enabled():
            return read(windows, frame_mask)
        return in_passes(read, WINDOWS_A_PASS, windows, frame_mask)

    def gather_items(self, states: torch.Tensor, item_of_window: torch.Tensor, num_items: int) -> FavorConnectorOutput:
        """Window states (sorted by item) back into one row per item."""
        num_windows = torch.bincount(item_of_window, minlength=num_items)
        longest = int(num_windows.max()) if num_items else 0
        filled = length_mask(num_windows, longest)  # (B, W)
        query_states = states.new_zeros(num_items, longest, *states.shape[1:])
        query_states[filled] = states
        projected = self.language_projection(states)  # (windows, N, L)
        if self.word_mixture is not None:
            projected = self.word_mixture(projected)
        embeddings = projected.new_zeros(num_items, longest, *projected.shape[1:])
        embeddings[filled] = projected
        reduction = self.config.diversity_loss_reduction
        diversity = window_diversity(states, reduction)  # (windows,)
        return FavorConnectorOutput(
            query_states=query_states,
            embeddings=embeddings.flatten(1, 2),
            diversity_loss=batch_diversity(diversity, num_items, reduction),
            window_diversity=diversity,
            num_windows=num_windows,
            num_tokens=num_windows * self.config.num_query_tokens,
        )


def synchronize_streams(visual: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """Eq. 1: (B, T_v, p, d) and (B, T_a, p, d) to (B, max(T_v, T_a), p, 2 d), visual first as in the released code."""
    longest = max(visual.shape[1], audio.shape[1])
    streams = [zero_padded(stream, 0, 0, 0, 0, 0, longest - stream.shape[1]) for stream in (visual, audio)]
    return torch.cat(streams, dim=-1)


__all__ = ["FavorConnector", "FavorConnectorOutput", "diversity_loss", "length_mask"]
