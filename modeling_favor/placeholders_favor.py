# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Placeholders in the text: their embeddings are replaced by those of the encoded items, whose counts must fit."""

from collections.abc import Sequence
from itertools import accumulate

import torch


def insert_media(
    inputs_embeds: torch.Tensor, placeholders: torch.Tensor, media: Sequence[torch.Tensor] | None
) -> torch.Tensor:
    """Replaces the placeholders' embeddings, row by row, by the items' embeddings in order."""
    media = media or []  # decoding steps have neither media nor placeholders
    if not torch.compiler.is_exporting():  # a graph of `torch.export` cannot look at the tokens
        check_placeholders(placeholders, media)
    if not media:
        return inputs_embeds
    embeddings = torch.cat(list(media)).to(inputs_embeds.device, inputs_embeds.dtype)
    return inputs_embeds.masked_scatter(placeholders[..., None].to(inputs_embeds.device), embeddings)


def check_placeholders(placeholders: torch.Tensor, media: Sequence[torch.Tensor]) -> None:
    """Raises `ValueError` unless the items' embeddings fill the (batch, length) placeholders sample by sample."""
    ends_of_samples = placeholders.sum(1).cumsum(0).tolist()
    ends_of_items = [0, *accumulate(len(item) for item in media)]
    if ends_of_samples[-1] != ends_of_items[-1]:
        raise ValueError(
            f"Image features and image tokens do not match: {ends_of_samples[-1]} placeholder tokens in the text, "
            f"{ends_of_items[-1]} encoded audio-visual tokens. Give the processor's output unchanged; if the text was "
            "truncated, raise max_length; frame_rate, window_frames, num_query_tokens and synchronize must agree in "
            "processor and config."
        )
    # Prefill in chunks hands over one run of embeddings for all samples.
    if len(media) > 1 and not set(ends_of_samples) <= set(ends_of_items):
        raise ValueError(
            f"Items do not end where samples do: the samples have {placeholders.sum(1).tolist()} placeholder tokens, "
            f"the items {[len(item) for item in media]}. "
            "Rows of the media tensors must be in the order of the placeholders."
        )


__all__ = ["check_placeholders", "insert_media"]
