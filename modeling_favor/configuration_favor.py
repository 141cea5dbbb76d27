# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Configuration of FAVOR: which encoders, which connector, which language model, and how they are synchronised."""

from dataclasses import field, fields
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .connector_configuration_favor import FavorCausalQFormerConfig, FavorProjectorConfig
from .connectors_favor import connector_config, connector_kind
from .towers_favor import audio_encoder, picture_width

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
class FavorConfig(PreTrainedConfig):
    r"""
    Configuration of [`FavorModel`] and [`FavorForConditionalGeneration`]; the defaults are the paper's 13B system.

    Parts:
        vision_config: any vision tower of transformers, a ViT or convolutions; InstructBLIP's ViT-g by default.
        vision_feature_layer (`int` or `None`, defaults to `None`): which of the tower's `hidden_states` are read, such
            as -2; `None`: its last state. Of a convolutional tower each place of the map is a vector.
        vision_pool_size (`int`, defaults to 1): of a convolutional tower's map, so many times so many neighbours are
            averaged to one vector.
        qformer_config: the instruction-aware visual Q-Former that reads the tower; `None`: the tower's patch states
            are used as they are.
        audio_config: a `WhisperConfig`, of which the encoder is used, or a `Wav2Vec2Config`, `HubertConfig`,
            `WavLMConfig`, ...: see `AUDIO_ENCODERS`.
        connector_config: [`FavorCausalQFormerConfig`], or with `"model_type": "favor_projector"`
            [`FavorProjectorConfig`].
        text_config: any causal language model of transformers; Vicuna-13B's Llama by default.
        lm_head_bias (`bool`, defaults to `False`): the language model's output head has a bias, as Phi's has.

    Clock:
        frame_rate (`float`, defaults to 2.0): pictures per second.
        audio_encoder_rate (`float`, defaults to 50.0): audio encoder outputs per second.

    Tokens:
        num_visual_query_tokens (`int`, defaults to 32): vectors per picture, by the visual Q-Former (or by the tower,
            without one).
        video_token_id (`int`, defaults to 32000): the placeholder in `input_ids`, whatever the item is. It may lie
            beyond the language model's vocabulary: its embedding is always replaced.

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
    vision_feature_layer: int | None = None
    vision_pool_size: int = 1
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
            self.qformer_config.encoder_hidden_size = picture_width(self.vision_config, self.vision_feature_layer)
        self.fill_connector_config()

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As inherited; a file may not name attention code to be downloaded (`kernels-community/...`), callers may."""
        return super().from_dict(_without_downloads(config_dict), **kwargs)

    def fill_connector_config(self) -> None:
        """Hands the connector what follows from the parts around it: widths, and vectors per frame."""
        connector: Any = self.connector_config
        around = {
            "visual_hidden_size": picture_width(self.vision_config, self.vision_feature_layer)
            if self.qformer_config is None
            else picture_width(self.qformer_config),
            "audio_hidden_size": audio_encoder(self.audio_config).width(self.audio_config),
            "text_hidden_size": self.text_config.hidden_size,
            "visual_vectors_per_frame": self.num_visual_query_tokens,
            "audio_vectors_per_frame": self.audio_vectors_per_frame,
        }
        for name in {item.name for item in fields(type(connector))} & set(around):
            setattr(connector, name, around[name])
        connector.check_widths()

    @property
    def image_token_id(self) -> int:
        """`video_token_id`, by the name that trainers and servers read: items of every kind have one placeholder.

        The processor's `<image>` and `<audio>` stand in prompts only; in `input_ids` every item is its run of
        `video_token_id`.
        """
        return self.video_token_id

    @image_token_id.setter
    def image_token_id(self, token_id: int) -> None:
        self.check_placeholder("image_token_id", token_id)

    @property
    def audio_token_id(self) -> int:
        """`video_token_id`: see `image_token_id`."""
        return self.video_token_id

    @audio_token_id.setter
    def audio_token_id(self, token_id: int) -> None:
        self.check_placeholder("audio_token_id", token_id)

    def check_placeholder(self, name: str, token_id: int) -> None:
        """Raises `ValueError` if a placeholder is set to another id than that of every item."""
        if token_id != self.video_token_id:
            raise ValueError(
                f"{name}={token_id} differs from video_token_id={self.video_token_id}, which stands in `input_ids` "
                f"for items of every kind: set video_token_id alone."
            )

    def check_frame_rate(self, processor: Any) -> None:
        """Raises `ValueError` if a processor counts time in steps of another length: numbers of tokens may agree."""
        if processor.shares_steps and processor.frame_rate != self.frame_rate:
            raise ValueError(
                f"The processor's frame_rate is {processor.frame_rate:g} Hz, the model's {self.frame_rate:g} Hz: "
                "pictures and sound would be taken for others in time. Set processor.frame_rate to the model's, or "
                "change both sides (model.config.frame_rate, and model.config.fill_connector_config() after it)."
            )

    def processor_values(self) -> dict[str, Any]:
        """The keyword arguments of `FavorProcessor` that must agree with this config, to count placeholders alike."""
        connector = self.connector_config
        return {
            "connector": connector.model_type.removeprefix("favor_"),
            "modalities": connector.modalities,
            "frame_rate": self.frame_rate,
            "audio_stride": self.audio_stride,
            **connector_kind(connector).processor_values(connector),
        }

    @property
    def audio_stride(self) -> int:
        """Frames (of log-mel; samples, for an encoder that reads these) for each output of the audio encoder."""
        return audio_encoder(self.audio_config).frames_per_vector(self.audio_config)

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


__all__ = ["FavorCausalQFormerConfig", "FavorConfig", "FavorProjectorConfig"]
