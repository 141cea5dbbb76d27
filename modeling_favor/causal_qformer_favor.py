# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The causal Q-Former (paper, section 3.2): N queries read one window of synchronised audio-visual frames.

Axes: b windows (of all items), t frames, p vectors per frame, s = t * p vectors of a window, n queries, D feature
width, d query width.
"""

from collections.abc import Callable

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import is_flash_attention_requested, merge_with_config_defaults
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from .connector_configuration_favor import FavorCausalQFormerConfig


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax attention written out; `attention_mask` is boolean, True where a key may be seen."""
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


class FavorCausalQFormerAttention(nn.Module):
    """Multi-head attention, then dropout, residual and LayerNorm (BERT's order); keys may come from wider states."""

    def __init__(self, config: FavorCausalQFormerConfig, query_size: int, key_size: int):
        super().__init__()
        self.config = config
        self.head_dim = query_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(key_size, query_size)
        self.value = nn.Linear(key_size, query_size)
        self.dense = nn.Linear(query_size, query_size)
        self.layer_norm = nn.LayerNorm(query_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        hidden_states: torch.Tensor,
        key_value_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **kwargs,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`attention_mask`: boolean, broadcastable to (b, heads, queries, keys), True where a key may be seen."""
        key_value_states = hidden_states if key_value_states is None else key_value_states
        query, key, value = (
            layer(states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (b, heads, length, head_dim)
            for layer, states in (
                (self.query, hidden_states),
                (self.key, key_value_states),
                (self.value, key_value_states),
            )
        )
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        context, weights = attention(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.config.attention_probs_dropout_prob if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        output = self.dropout(self.dense(context.flatten(2)))  # (b, length, width)
        return self.layer_norm(output + hidden_states), weights


class FavorCausalQFormerLayer(GradientCheckpointingLayer):
    """One block: causal attention over the features, self-attention of the queries, cross-attention, feed-forward."""

    def __init__(self, config: FavorCausalQFormerConfig):
        super().__init__()
        feature_size = config.feature_size
        self.causal_attention = (
            None
            if config.causal_attention == "none"
            else FavorCausalQFormerAttention(config, feature_size, feature_size)
        )
        self.self_attention = FavorCausalQFormerAttention(config, config.hidden_size, config.hidden_size)
        self.cross_attention = FavorCausalQFormerAttention(config, config.hidden_size, feature_size)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self,
        hidden_states: torch.Tensor,
        features: torch.Tensor,
        causal_mask: torch.Tensor | None,
        feature_mask: torch.Tensor,
        **kwargs,
    ) -> torch.Tensor:
        """(b, n, d) queries and (b, s, D) features to (b, n, d): every block starts from the *original* features."""
        if self.causal_attention is not None:
            features, _ = self.causal_attention(features, attention_mask=causal_mask, **kwargs)
        hidden_states, _ = self.self_attention(hidden_states, **kwargs)
        hidden_states, _ = self.cross_attention(hidden_states, features, feature_mask, **kwargs)
        update = self.dropout(self.output(self.activation(self.intermediate(hidden_states))))
        return self.layer_norm(update + hidden_states)


class FavorBlockCausalModel(PreTrainedModel):
    """A model with block-causal masks, which flash attention does not know: it would silently become token-causal."""

    _supports_sdpa = True
    _supports_flash_attn = False

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """SDPA where flash attention is asked of the whole model, so that the other parts can have it."""
        if requested_attention is not None and is_flash_attention_requested(
            requested_attention_implementation=requested_attention
        ):
            requested_attention = "sdpa"
        return super().get_correct_attn_implementation(requested_attention, is_init_check)


class FavorCausalQFormer(FavorBlockCausalModel):
    """N learned queries read windows of frames, whose vectors first attend to each other block-causally.

    As in the released code, checked numerically: features get LayerNorm and a learned position by their place in the
    window; the queries pass a LayerNorm; the output is the query states after the last block.
    """

    config: FavorCausalQFormerConfig
    config_class = FavorCausalQFormerConfig
    base_model_prefix = "causal_qformer"
    main_input_name = "features"
    supports_gradient_checkpointing = True
    _no_split_modules = ["FavorCausalQFormerLayer"]
    _can_record_outputs = {
        "hidden_states": FavorCausalQFormerLayer,
        "attentions": OutputRecorder(FavorCausalQFormerAttention, index=1, layer_name="causal_attention"),
        "cross_attentions": OutputRecorder(FavorCausalQFormerAttention, index=1, layer_name="cross_attention"),
    }

    def __init__(self, config: FavorCausalQFormerConfig):
        super().__init__(config)
        config.check_widths()
        self.feature_norm = nn.LayerNorm(config.feature_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.feature_size)
        self.query_tokens = nn.Parameter(torch.empty(1, config.num_query_tokens, config.hidden_size))
        self.query_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(FavorCausalQFormerLayer(config) for _ in range(config.num_hidden_layers))
        self.gradient_checkpointing = False
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, FavorCausalQFormer):
            init.normal_(module.query_tokens, std=self.config.initializer_range)

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        features: torch.Tensor,
        frame_mask: torch.Tensor,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutput:
        """Reads windows of frames: the queries' states after the last block.

        Args:
            features: (b, t, p, D) synchronised frames of each window, zero where padded.
            frame_mask: (b, t) boolean, True for real frames.

        Returns `last_hidden_state`: (b, n, d) query states.

        Raises `ValueError` if a window holds more vectors than there are positions.
        """
        windows, _, vectors_per_frame, _ = features.shape
        features = features.flatten(1, 2)  # (b, s, D)
        if features.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"A window of {features.shape[1]} vectors is longer than max_position_embeddings "
                f"{self.config.max_position_embeddings}: set window_frames, or give a shorter clip."
            )
        # Positions are those in the window, not in the clip: all windows are read alike, however many there are.
        positions = torch.arange(features.shape[1], device=features.device)
        features = self.feature_norm(features) + self.position_embedding(positions)
        features = self.dropout(features)
        feature_mask = frame_mask.repeat_interleave(vectors_per_frame, dim=1)[:, None, None]  # (b, 1, 1, s)
        causal_mask = self.causal_mask(frame_mask, vectors_per_frame)
        hidden_states = self.dropout(self.query_norm(self.query_tokens)).expand(windows, -1, -1)  # (b, n, d)
        for layer in self.layers:
            hidden_states = layer(hidden_states, features, causal_mask, feature_mask, **kwargs)
        return BaseModelOutput(last_hidden_state=hidden_states)

    def causal_mask(self, frame_mask: torch.Tensor, vectors_per_frame: int) -> torch.Tensor | None:
        """Figure 2's block-triangular mask, boolean, (1 or b, 1, s, s); vectors of one frame always see each other."""
        if self.config.causal_attention == "none":
            return None
        frame = torch.arange(frame_mask.shape[1], device=frame_mask.device)
        if self.config.causal_attention == "previous":
            mask = (frame[:, None] >= frame)[None]  # (1, t, t)
        else:
            mask = (frame[:, None] <= frame)[None]
            if self.config.window_frames is None:  # padding up to another item's length is not the window's own
                # The diagonal stays: softmax over a row that sees nothing is not a number.
                mask = mask & (frame_mask[:, None] | torch.eye(len(frame), dtype=torch.bool, device=frame.device))
        mask = mask.repeat_interleave(vectors_per_frame, dim=1).repeat_interleave(vectors_per_frame, dim=2)
        return mask[:, None]


__all__ = ["FavorBlockCausalModel", "FavorCausalQFormer"]
