# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Configurations of the connectors; `connectors_favor.py` is the table of them."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class FavorCausalQFormerConfig(PreTrainedConfig):
    r"""
    Configuration of the connector: synchronisation, windows, causal Q-Former and projection to the language model.

    The defaults are the paper's 13B system (sections 3.1, 3.2 and 4.2). Widths of the parts around the connector are
    filled in by [`FavorConfig`].

    Sizes of the Q-Former:
        hidden_size (`int`, defaults to 768): width of the queries.
        num_hidden_layers (`int`, defaults to 2), num_attention_heads (`int`, defaults to 12),
        intermediate_size (`int`, defaults to 3072): of the causal Q-Former's blocks.
        stream_size (`int` or `None`, defaults to `None`): width to which each stream is projected; `None`: sound is
            projected to the pictures' width, which stay as they are (paper). For wide towers without a visual
            Q-Former: the blocks' weights and work grow with its square.
        num_query_tokens (`int`, defaults to 32): N, outputs per window.
        max_position_embeddings (`int`, defaults to 4096): most vectors in one window.
        mixture_size (`int` or `None`, defaults to `None`): outputs are mixtures of so many embeddings of the language
            model at most, which an alignment fills in (see [`FavorWordMixture`]); `None`: as projected (paper).

    Reading the streams:
        window_frames (`int` or `None`, defaults to 10): k, synchronised frames per window (5 s at 2 Hz); `None`: one
            window however long the input (ablation "without sliding window", table 5).
        causal_attention (`str`, defaults to `"previous"`): `"previous"`: a frame sees itself and earlier frames of its
            window (paper, section 3.2). `"released"`: itself and later frames, window padding included, as the
            released code computes it. `"none"`: no causal self-attention module at all (ablation).
        synchronize (`bool`, defaults to `True`): eq. 1. `False`: each stream goes through the Q-Former by itself and
            the outputs are concatenated, visual first (ablation).
        modalities (`str`, defaults to `"audio_visual"`): `"audio"` or `"visual"` masks the other stream with zeros
            (audio-only and visual-only systems, tables 2 and 3).
        visual_vectors_per_frame (`int`, defaults to 32), audio_vectors_per_frame (`int`, defaults to 25): vectors of
            each stream in one synchronised frame; the fewer are zero-padded to the more.

    Widths around it:
        visual_hidden_size (`int`, defaults to 768), audio_hidden_size (`int`, defaults to 1280),
        text_hidden_size (`int`, defaults to 5120).

    Training:
        diversity_loss_reduction (`str`, defaults to `"mean"`): `"mean"` over off-diagonal pairs and windows (released
            code) or `"sum"` (eq. 4).
        hidden_dropout_prob, attention_probs_dropout_prob (`float`, default to 0.1), initializer_range (`float`,
        defaults to 0.02).
    """

    model_type = "favor_causal_qformer"
    base_config_key = "connector_config"

    hidden_size: int = 768
    num_hidden_layers: int = 2
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    stream_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    num_query_tokens: int = 32
    max_position_embeddings: int = 4096
    mixture_size: int | None = None
    window_frames: int | None = 10
    causal_attention: Literal["previous", "released", "none"] = "previous"
    synchronize: bool = True
    modalities: Literal["audio_visual", "audio", "visual"] = "audio_visual"
    visual_vectors_per_frame: int = 32
    audio_vectors_per_frame: int = 25
    visual_hidden_size: int = 768
    audio_hidden_size: int = 1280
    text_hidden_size: int = 5120
    diversity_loss_reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        self._check_shared_out("hidden_size")
        if self.window_frames is not None and self.window_frames < 1:
            raise ValueError(f"window_frames must be at least 1, or None for one window; got {self.window_frames}.")
        if self.mixture_size is not None and self.mixture_size < 2:
            raise ValueError(
                f"mixture_size must be at least 2, or None for outputs as projected; got {self.mixture_size}."
            )

    def check_widths(self) -> None:
        """Raises `ValueError` unless both widths can be shared out among the heads.

        Asked when the widths around the connector are known: by [`FavorConfig`], and when a Q-Former is built.
        """
        self._check_shared_out("hidden_size")
        self._check_shared_out("feature_size")

    def _check_shared_out(self, name: str) -> None:
        width = getattr(self, name)
        if width % self.num_attention_heads:
            raise ValueError(
                f"{name} {width} is no multiple of num_attention_heads {self.num_attention_heads}: set "
                f"connector_config.num_attention_heads={self.fitting_heads()}."
            )

    def fitting_heads(self) -> int:
        """The number of heads nearest to the present one among which both widths can be shared out."""
        common = math.gcd(self.hidden_size, self.feature_size)
        fitting = [heads for heads in range(1, common + 1) if common % heads == 0]
        return min(fitting, key=lambda heads: (abs(heads - self.num_attention_heads), -heads))

    @property
    def feature_size(self) -> int:
        """Width of a synchronised vector: visual and (projected) audio side by side."""
        return 2 * self.projected_size

    @property
    def projected_size(self) -> int:
        """Width of each stream in it."""
        return self.visual_hidden_size if self.stream_size is None else self.stream_size

    @property
    def vectors_per_frame(self) -> int:
        """Vectors of one synchronised frame: max(32, 25) = 32."""
        return max(self.visual_vectors_per_frame, self.audio_vectors_per_frame)


@strict
class FavorProjectorConfig(PreTrainedConfig):
    r"""
    Configuration of the connector without Q-Former: each stream goes to the language model's width by a two-layer MLP.

    It is the second system's, arXiv 2407.15046: Whisper states and SigLIP frames, no fusion before the language model.
    Widths and counts of the parts around the connector are filled in by [`FavorConfig`].

    Reading the streams:
        modalities (`str`, defaults to `"audio_visual"`): `"visual"`: no tokens for sound, whose encoder does not run
            (the system's vision-only baseline). `"audio"`: none for pictures.
        visual_pooling (`str`, defaults to `"space_and_time"`): the frames' vectors averaged over space (one token per
            frame) and over time (one token per patch), as the system has it; `"space"` or `"time"`: only one of them.
        audio_pool_size (`int`, defaults to 1): neighbouring audio vectors averaged to one token. Not in the paper:
            30 s are 1,500 vectors, and phi-2 reads 2,048 tokens.
        visual_vectors_per_frame (`int`, defaults to 729): vectors of a picture, SigLIP's 27 x 27 patches.

    Sizes:
        hidden_act (`str`, defaults to `"gelu"`): between the two layers; both are as wide as the language model.
        visual_hidden_size (`int`, defaults to 1152), audio_hidden_size (`int`, defaults to 1280),
        text_hidden_size (`int`, defaults to 2560): widths around it.
        initializer_range (`float`, defaults to 0.02).
    """

    model_type = "favor_projector"
    base_config_key = "connector_config"

    modalities: Literal["audio_visual", "audio", "visual"] = "audio_visual"
    visual_pooling: Literal["space_and_time", "space", "time"] = "space_and_time"
    audio_pool_size: int = 1
    visual_vectors_per_frame: int = 729
    hidden_act: str = "gelu"
    visual_hidden_size: int = 1152
    audio_hidden_size: int = 1280
    text_hidden_size: int = 2560
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.audio_pool_size < 1:
            raise ValueError(f"audio_pool_size must be at least 1 (no pooling); got {self.audio_pool_size}.")

    def check_widths(self) -> None:
        """Two layers take any width."""


__all__ = ["FavorCausalQFormerConfig", "FavorProjectorConfig"]
