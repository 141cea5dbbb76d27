# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A cache bounded in bytes: what was used longest ago goes first, and no value is computed twice at the same time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Protocol


class Sized(Protocol):
    """A value that tells its size, as tensors do."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        ...


class ByteCache:
    """
    Keeps the results of `get` by their keys, from any number of threads.

    Attributes:
        max_bytes: of all values together; a value larger than this is returned and not kept.
        bytes: of all values kept.
        hits, misses: calls of `get` that found their value, or waited for another's, and that computed it.
    """

    def __init__(self, max_bytes: int):
        if max_bytes < 0:
            raise ValueError(f"A cache holds 0 bytes or more; got {max_bytes}.")
        self.max_bytes = max_bytes
        self.bytes = self.hits = self.misses = 0
        self._values: OrderedDict[Hashable, Sized] = OrderedDict()
        self._coming: dict[Hashable, Future] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def known(self, key: Hashable) -> Any:
        """The value of `key`, None if it is not there; never waits."""
        with self._lock:
            if key not in self._values:
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return self._values[key]

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The value of `key`, computed if it is not there; what `compute` raises, everybody who waits for it gets."""
        with self._lock:
            if key in self._values:
                self.hits += 1
                self._values.move_to_end(key)
                return self._values[key]
            coming = self._coming.get(key)
            if coming is None:
                self.misses += 1
                own: Future = Future()
                self._coming[key] = own
            else:
                self.hits += 1
        if coming is not None:
            return coming.result()
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            own.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, value)
        own.set_result(value)
        return value

    def clear(self) -> None:
        """Forgets all values."""
        with self._lock:
            self._values.clear()
            self.bytes = 0

    def _keep(self, key: Hashable, value: Sized) -> None:
        if value.nbytes > self.max_bytes:
            return
        self._values[key] = value
        self.bytes += value.nbytes
        while self.bytes > self.max_bytes:
            _, oldest = self._values.popitem(last=False)
            self.bytes -= oldest.nbytes
