# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Lets a model's frozen encoders read each picture and each chunk of sound once, however often they are asked."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import torch

from favor.modeling_favor import FavorModel

MEMORY_BYTES = 1 << 30


class EncoderMemory:
    """States of the rows that went through an encoder last, by their content; the oldest go when it is full.

    A control run shows the same pictures without sound, and a dialogue asks about the same clip four times: the
    towers, most of a short answer's cost, need not read them again. Connector and language model run as ever.

    Args:
        model: its towers are used with the memory from now on; they must be frozen.
        limit: bytes of states.
    """

    def __init__(self, model: FavorModel, limit: int = MEMORY_BYTES):
        self.limit, self.held, self.read, self.encoded = limit, 0, 0, 0
        self.states: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        patches, chunks = model.picture_patches, model.chunk_states

        def picture_patches(pixel_values: torch.Tensor, kept_on: torch.device | str | None = None) -> torch.Tensor:
            keys = [_key(b"picture", picture) for picture in pixel_values]
            states = self.of(keys, lambda rows: patches(pixel_values[rows]))
            return states if kept_on is None else states.to(kept_on)

        def chunk_states(features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            real = [-1] * len(features) if mask is None else mask.sum(-1).tolist()
            keys = [_key(f"chunk {count}".encode(), chunk) for chunk, count in zip(features, real, strict=True)]
            return self.of(keys, lambda rows: chunks(features[rows], None if mask is None else mask[rows]))

        # Of the instance alone: the class, and other models, encode as before.
        model.__dict__.update(picture_patches=picture_patches, chunk_states=chunk_states)

    def of(self, keys: list[bytes], encode: Callable[[list[int]], torch.Tensor]) -> torch.Tensor:
        """The states of all rows, those that are not held by `encode`."""
        found = {key: self.states[key] for key in keys if key in self.states}
        missing = {key: row for row, key in enumerate(keys) if key not in found}  # a row that is there twice goes once
        self.read, self.encoded = self.read + len(keys), self.encoded + len(missing)
        if missing:
            fresh = encode(list(missing.values()))
            found |= dict(zip(missing, fresh.unbind(), strict=True))
        for key in dict.fromkeys(keys):
            self._keep(key, found[key])
        return torch.stack([found[key] for key in keys])

    def _keep(self, key: bytes, state: torch.Tensor) -> None:
        if key in self.states:
            self.states.move_to_end(key)
            return
        self.states[key] = state.clone()  # not the whole batch that it is a part of
        self.held += state.nbytes
        while self.held > self.limit:
            self.held -= self.states.popitem(last=False)[1].nbytes


def _key(kind: bytes, row: torch.Tensor) -> bytes:
    content = row.detach().cpu().contiguous()
    digest = hashlib.blake2b(kind, digest_size=16)
    digest.update(f"{content.dtype} {tuple(content.shape)}".encode())
    digest.update(content.view(torch.uint8).numpy().data)
    return digest.digest()
