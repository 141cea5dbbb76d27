# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The table of connectors: what the rest of the model knows of each, by the `model_type` of its config.

A new connector is a file with its config and its class, an entry here, and its count of tokens in the processor's
`query_tokens_favor.py`.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel

from .connector_configuration_favor import FavorCausalQFormerConfig, FavorProjectorConfig
from .connector_favor import FavorConnector
from .projector_favor import FavorProjector


@dataclass(frozen=True)
class ConnectorKind:
    """One kind of connector.

    Attributes:
        config_class: its config; `model_type` is "favor_" and the name by which the processor knows it.
        connector_class: a model that takes two streams and returns [`FavorConnectorOutput`], with `reads_visual` and
            `reads_audio`, which tell whether the encoders need run.
        processor_arguments: values of the config that `FavorProcessor` takes as arguments of the same names, to count
            tokens.
        processor_details: others, which it takes in its `connector_values`.
        has_diversity_loss: whether the output has one.
    """

    config_class: type[PreTrainedConfig]
    connector_class: type[PreTrainedModel]
    processor_arguments: tuple[str, ...] = ()
    processor_details: tuple[str, ...] = ()
    has_diversity_loss: bool = False

    def processor_values(self, config: PreTrainedConfig) -> dict[str, Any]:
        """The processor's arguments for a connector of this config."""
        values: dict[str, Any] = {name: getattr(config, name) for name in self.processor_arguments}
        if self.processor_details:
            values["connector_values"] = {name: getattr(config, name) for name in self.processor_details}
        return values


CONNECTORS = {
    kind.config_class.model_type: kind
    for kind in (
        ConnectorKind(
            FavorCausalQFormerConfig,
            FavorConnector,
            processor_arguments=("num_query_tokens", "window_frames", "synchronize"),
            has_diversity_loss=True,
        ),
        ConnectorKind(
            FavorProjectorConfig,
            FavorProjector,
            processor_arguments=("visual_vectors_per_frame", "visual_pooling", "audio_pool_size"),
        ),
    )
}


def connector_kind(config: PreTrainedConfig | str) -> ConnectorKind:
    """The entry of a connector's config, or of its `model_type`; raises `ValueError` for another type."""
    model_type = config if isinstance(config, str) else config.model_type
    if model_type not in CONNECTORS:
        raise ValueError(f"connector_config is of type {model_type!r}; a connector is one of {', '.join(CONNECTORS)}.")
    return CONNECTORS[model_type]


def connector_config(values: dict[str, Any]) -> PreTrainedConfig:
    """The connector's config of the type that `values["model_type"]` names, by default the causal Q-Former's.

    Raises `ValueError` for another type.
    """
    return connector_kind(values.get("model_type", FavorCausalQFormerConfig.model_type)).config_class(**values)


def build_connector(config: PreTrainedConfig) -> PreTrainedModel:
    """The connector of one of the table's configs."""
    return connector_kind(config).connector_class._from_config(config)


__all__ = ["CONNECTORS", "ConnectorKind", "build_connector", "connector_config", "connector_kind"]
