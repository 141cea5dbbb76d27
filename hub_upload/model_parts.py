# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The parts of a FAVOR model, as its config.json tells: for the card's table and its picture."""

import json
from dataclasses import dataclass

from favor.modeling_favor.vision_towers_favor import config_of, picture_width

from .json_values import JsonObject, number, section, text


@dataclass(frozen=True)
class Part:
    """One part, as far as its config tells.

    Attributes:
        model_type: of transformers, or of this package.
        num_layers, width: None if the config names them otherwise, or has none.
    """

    model_type: str
    num_layers: float | None
    width: float | None

    @property
    def sizes(self) -> str:
        """ "4 layers of 128", "vectors of 1280", or nothing."""
        if self.num_layers and self.width:
            return f"{self.num_layers} layers of {self.width}"
        return f"vectors of {self.width}" if self.width else ""

    @property
    def described(self) -> str:
        """ "`llama`, 4 layers of 128", as far as it is known."""
        return f"`{self.model_type}`" + (f", {self.sizes}" if self.sizes else "")


@dataclass(frozen=True)
class ModelParts:
    """What a model's config says of its parts, for cards and pictures.

    Attributes:
        vision, audio, text, connector: every model has them.
        qformer: the visual Q-Former; None if the tower's patches are a frame's vectors.
        image_size: side of a frame in pixels, if the vision tower has a fixed one.
        vocab_size: tokens of the language model, if stated.
        frame_rate: frames per second.
        audio_encoder_rate: vectors per second.
        num_visual_query_tokens: vectors per frame, of the visual Q-Former.
        num_query_tokens: tokens per window; None of a connector without queries.
        window_frames: frames per window; None of one window for the whole clip.
        causal_attention: as the connector's config names it.
    """

    vision: Part
    audio: Part
    text: Part
    connector: Part
    qformer: Part | None
    image_size: float | None
    vocab_size: float | None
    frame_rate: float
    audio_encoder_rate: float
    num_visual_query_tokens: float | None
    num_query_tokens: float | None
    window_frames: float | None
    causal_attention: str | None


def model_parts(config: JsonObject) -> ModelParts:
    """The parts in the content of a config.json. Raises `ValueError` that names a rate that is missing."""
    vision, connector, qformer = (section(config, f"{name}_config") for name in ("vision", "connector", "qformer"))
    frame_rate, encoder_rate = number(config, "frame_rate"), number(config, "audio_encoder_rate")
    if frame_rate is None or encoder_rate is None:
        name = "frame_rate" if frame_rate is None else "audio_encoder_rate"
        raise ValueError(f"config.json has no {name}: save the model again with save_pretrained.")
    return ModelParts(
        vision=_vision_part(vision, number(config, "vision_feature_layer")),
        audio=_part(section(config, "audio_config")),
        text=_part(section(config, "text_config")),
        connector=_part(connector),
        qformer=_part(qformer) if qformer else None,
        image_size=number(vision, "image_size"),
        vocab_size=number(section(config, "text_config"), "vocab_size"),
        frame_rate=frame_rate,
        audio_encoder_rate=encoder_rate,
        num_visual_query_tokens=number(config, "num_visual_query_tokens"),
        num_query_tokens=number(connector, "num_query_tokens"),
        window_frames=number(connector, "window_frames"),
        causal_attention=text(connector, "causal_attention"),
    )


def _part(config: JsonObject) -> Part:
    """Encoders of speech models, and older models, have names of their own."""
    return Part(
        model_type=f"{config.get('model_type')}",
        num_layers=number(config, "encoder_layers", "num_hidden_layers", "n_layer"),
        width=number(config, "d_model", "hidden_size", "n_embd"),
    )


def _vision_part(config: JsonObject, feature_layer: float | None) -> Part:
    """Convolutions have stages of several widths: the one that counts is that of the vectors that they give."""
    part = _part(config)
    if part.width is not None or not config:
        return part
    layer = None if feature_layer is None else int(feature_layer)
    width = picture_width(config_of(part.model_type, json.dumps(config)), layer)
    return Part(part.model_type, num_layers=None, width=width)
