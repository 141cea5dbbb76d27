# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tensors on disk by key, in shards of safetensors: what a killed run leaves is never half a shard."""

import os
import time
import uuid
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

SHARD_BYTES = 256 << 20
SHARD_SECONDS = 300.0  # the most work that a killed run loses
PARTIAL = ".partial"


class FeatureCache:
    """
    A folder of `features-*.safetensors`, written once each and read lazily (memory-mapped), also by loader workers.

    A shard is written under another name, forced to the disk, and renamed: it exists whole or not at all. There is no
    index beside the shards: their own headers say what they hold. A file that is no whole shard is passed over, and
    its tensors are computed again. Several processes may write to one folder.

    Args:
        directory: where the shards are; made if missing. None: everything stays in memory.
        shard_bytes: tensors are held in memory up to this size, or for five minutes, before they are written.
    """

    def __init__(self, directory: str | Path | None, shard_bytes: int = SHARD_BYTES):
        self.directory = None if directory is None else Path(directory)
        self.shard_bytes = shard_bytes
        self.waiting: dict[str, torch.Tensor] = {}
        self.waiting_bytes = 0
        self.written_at = time.monotonic()
        self.shards: dict[str, str] = {}  # key: file name
        self.unreadable: list[str] = []
        self._files: dict[str, safe_open] = {}
        if self.directory is None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.directory.glob("features-*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    self.shards |= dict.fromkeys(file.keys(), path.name)
            except (SafetensorError, OSError):
                self.unreadable.append(path.name)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_files": {}}  # each process opens the shards for itself

    def __contains__(self, key: str) -> bool:
        return key in self.shards or key in self.waiting

    def __len__(self) -> int:
        return len(self.shards) + len(self.waiting)

    def get(self, key: str) -> torch.Tensor:
        """The tensor as it was stored. Raises `KeyError` for a key that is not here."""
        return self.waiting[key] if key in self.waiting else self._open(key).get_tensor(key)

    def shape(self, key: str) -> tuple[int, ...]:
        """A tensor's shape, without reading it."""
        return tuple(self.waiting[key].shape if key in self.waiting else self._open(key).get_slice(key).get_shape())

    def put(self, tensors: dict[str, torch.Tensor]) -> None:
        """Keeps tensors that belong together; they are on disk after the next [`flush`]."""
        for key, tensor in tensors.items():
            if key not in self:
                self.waiting[key] = tensor.detach().cpu().contiguous().clone()
                self.waiting_bytes += tensor.nbytes
        if self.waiting_bytes >= self.shard_bytes or time.monotonic() - self.written_at >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what is held in memory as one shard."""
        if not self.waiting or self.directory is None:
            return
        name = f"features-{uuid.uuid4().hex}.safetensors"
        partial = self.directory / (name + PARTIAL)
        save_file(self.waiting, partial)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        partial.rename(self.directory / name)
        self.shards |= dict.fromkeys(self.waiting, name)
        self.waiting, self.waiting_bytes, self.written_at = {}, 0, time.monotonic()

    def _open(self, key: str) -> safe_open:
        name = self.shards[key]
        if name not in self._files and self.directory is not None:
            self._files[name] = safe_open(self.directory / name, framework="pt")
        return self._files[name]
