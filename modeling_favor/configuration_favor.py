# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Configuration of FAVOR: which encoders, which connector, which language model, and how they are synchronised."""

from dataclasses import field
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

WHISPER_LARGE_V2 = {
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_layers": 32,
    "decoder_attention_heads": 20,
    "decoder_ffn_dim": 5120,
    "num_mel_bins": 80,
}
VICUNA_13B = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
    "max_position_embeddings": 4096,
}


@strict
class FavorCausalQFormerConfig(PreTrainedConfig):
    r"""
    Configuration of the connector: synchronisation, windows, causal Q-Former and projection to the language model.

    The defaults are the paper's 13B system (sections 3.1, 3.2 and 4.2). Widths of the parts around the connector are
    filled in by
    [`FavorConfig`].

    Sizes of the Q-Former:
        hidden_size (`int`, defaults to 768): width of the queries.
        num_hidden_layers (`int`, defaults to 2), num_attention_heads (`int`, defaults to 12),
        intermediate_size (`int`, defaults to 3072): of the causal Q-Former's blocks.
        num_query_tokens (`int`, defaults to 32): N, outputs a window.
        max_position_embeddings (`int`, defaults to 4096): most vectors in one window.

    Reading the streams:
        window_frames (`int` or `None`, defaults to 10): k, synchronised frames a window (5 s at 2 Hz); `None`: one
            window however long the
            input (ablation "without sliding window", table 5).
        causal_attention (`str`, defaults to `"previous"`): `"previous"`: a frame sees itself and earlier frames of its
            window (paper,
            section 3.2). `"released"`: itself and later frames, window padding included, as the released code computes
            it. `"none"`: no causal
            self-attention module at all (ablation).
        synchronize (`bool`, defaults to `True`): eq. 1. `False`: each stream goes through the Q-Former by itself and
            the outputs are
            concatenated, visual first (ablation).
        modalities (`str`, defaults to `"audio_visual"`): `"audio"` or `"visual"` masks the other stream with zeros
            (audio-only and
            visual-only systems, tables 2 and 3).
        visual_vectors_per_frame (`int`, defaults to 32), audio_vectors_per_frame (`int`, defaults to 25): vectors of
            each stream in one
            synchronised frame; the fewer are zero-padded to the more.

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
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    num_query_tokens: int = 32
    max_position_embeddings: int = 4096
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
        for name in ("hidden_size", "feature_size"):
            if getattr(self, name) % self.num_attention_heads:
                raise ValueError(
                    f"{name} {getattr(self, name)} is no multiple of num_attention_heads {self.num_attention_heads}."
                )
        if self.window_frames is not None and self.window_frames < 1:
            raise ValueError(f"window_frames must be at least 1, or None for one window; got {self.window_frames}.")

    @property
    def feature_size(self) -> int:
        """Width of a synchronised vector: visual and (projected) audio side by side."""
        return 2 * self.visual_hidden_size

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
        visual_pooling (`str`, defaults to `"space_and_time"`): the frames' vectors averaged over space (one token a
            frame) and over time (one token a patch), as the system has it; `"space"` or `"time"`: only one of them.
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


CONNECTORS = {config.model_type: config for config in (FavorCausalQFormerConfig, FavorProjectorConfig)}


@strict
class FavorConfig(PreTrainedConfig):
    r"""
    Configuration of [`FavorModel`] and [`FavorForConditionalGeneration`]; the defaults are the paper's 13B system.

    Parts:
        vision_config: any vision tower of transformers; InstructBLIP's ViT-g by default.
        qformer_config: the instruction-aware visual Q-Former that reads the tower; `None`: the tower's patch states
            are used as they are.
        audio_config: a `WhisperConfig`, of which the encoder is used.
        connector_config: [`FavorCausalQFormerConfig`], or with `"model_type": "favor_projector"`
            [`FavorProjectorConfig`].
        text_config: any causal language model of transformers; Vicuna-13B's Llama by default.
        lm_head_bias (`bool`, defaults to `False`): the language model's output head has a bias, as Phi's has.

    Clock:
        frame_rate (`float`, defaults to 2.0): pictures a second.
        audio_encoder_rate (`float`, defaults to 50.0): audio encoder outputs a second.

    Tokens:
        num_visual_query_tokens (`int`, defaults to 32): vectors a picture, by the visual Q-Former (or by the tower,
            without one).
        video_token_id (`int`, defaults to 32000): the placeholder in `input_ids`, whatever the item is. It may lie
            beyond the language
            model's vocabulary: its embedding is always replaced.

    Training:
        diversity_loss_weight (`float`, defaults to 0.01): lambda of eq. 5; 0 switches the diversity loss off
            (ablation).

    Raises `ValueError` if `audio_encoder_rate` is not a whole multiple of `frame_rate`, or the connector is of another
    type.
    """

    model_type = "favor"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="instructblip_vision_model"),
        "qformer_config": SubConfigSpec(config_class=AutoConfig, model_type="instructblip_qformer", optional=True),
        "audio_config": SubConfigSpec(config_class=AutoConfig, model_type="whisper", init_kwargs=WHISPER_LARGE_V2),
        "connector_config": SubConfigSpec(config_class=FavorCausalQFormerConfig),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama", init_kwargs=VICUNA_13B),
    }

    vision_config: dict | PreTrainedConfig | None = None
    qformer_config: dict | PreTrainedConfig | None = field(default_factory=dict)
    audio_config: dict | PreTrainedConfig | None = None
    connector_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    frame_rate: float | int = 2.0
    audio_encoder_rate: float | int = 50.0
    num_visual_query_tokens: int = 32
    video_token_id: int = 32000
    diversity_loss_weight: float | int = 0.01
    initializer_range: float = 0.02
    lm_head_bias: bool = False
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        if isinstance(self.connector_config, dict):  # AutoConfig knows none of our types
            self.connector_config = connector_config(self.connector_config)
        super().__post_init__(**kwargs)
        if self.qformer_config is not None:
            self.qformer_config.encoder_hidden_size = self.vision_config.hidden_size
        self.fill_connector_config()

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As inherited; a file may not name attention code to be downloaded (`kernels-community/...`), callers may."""
        return super().from_dict(_without_downloads(config_dict), **kwargs)

    def fill_connector_config(self) -> None:
        """Hands the connector what follows from the parts around it: widths, and vectors a frame."""
        connector = self.connector_config
        visual = self.vision_config if self.qformer_config is None else self.qformer_config
        connector.visual_hidden_size = visual.hidden_size
        connector.audio_hidden_size = self.audio_config.hidden_size
        connector.text_hidden_size = self.text_config.hidden_size
        connector.visual_vectors_per_frame = self.num_visual_query_tokens
        if connector.model_type == "favor_causal_qformer":
            connector.audio_vectors_per_frame = self.audio_vectors_per_frame

    def processor_values(self) -> dict[str, Any]:
        """The keyword arguments of `FavorProcessor` that must agree with this config, to count placeholders alike."""
        connector = self.connector_config
        names = {
            "favor_causal_qformer": ("num_query_tokens", "window_frames", "synchronize"),
            "favor_projector": ("visual_vectors_per_frame", "visual_pooling", "audio_pool_size"),
        }[connector.model_type]
        return {
            "connector": connector.model_type.removeprefix("favor_"),
            "modalities": connector.modalities,
            "frame_rate": self.frame_rate,
            **{name: getattr(connector, name) for name in names},
        }

    @property
    def audio_vectors_per_frame(self) -> int:
        """Audio encoder outputs in one synchronised frame: 50 Hz / 2 Hz = 25."""
        vectors = self.audio_encoder_rate / self.frame_rate
        if vectors != int(vectors) or vectors < 1:
            raise ValueError(
                f"audio_encoder_rate {self.audio_encoder_rate} Hz is not a whole multiple of "
                f"frame_rate {self.frame_rate} Hz."
            )
        return int(vectors)


def _without_downloads(values: Any) -> Any:
    """Of all parts: the names of attention implementations that are repositories of the Hub are left out."""
    if not isinstance(values, dict):
        return values
    return {
        key: _without_downloads(value)
        for key, value in values.items()
        if not (key.endswith("attn_implementation") and "/" in str(value))
    }


def connector_config(values: dict[str, Any]) -> PreTrainedConfig:
    """The connector's config of the type that `values["model_type"]` names, by default the causal Q-Former's.

    Raises `ValueError` for another type.
    """
    model_type = values.get("model_type", FavorCausalQFormerConfig.model_type)
    if model_type not in CONNECTORS:
        raise ValueError(f"connector_config is of type {model_type!r}; a connector is one of {', '.join(CONNECTORS)}.")
    return CONNECTORS[model_type](**values)


__all__ = ["FavorCausalQFormerConfig", "FavorConfig", "FavorProjectorConfig"]
