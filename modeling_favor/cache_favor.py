# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The two names of the key-value cache: `past_key_values` up to transformers 5.23, `cache` from 5.24 on.

Nothing else decides between them. Callers may use either name on either release, without a warning.
"""

import functools
from collections.abc import Callable
from typing import TypeVar

from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils import ModelOutput

CACHE_NAMES = ("past_key_values", "cache")
CACHE_NAME = "cache" if "cache" in BaseModelOutputWithPast.__dataclass_fields__ else "past_key_values"

Output = TypeVar("Output", bound=type[ModelOutput])


def cache_argument(past_key_values: Cache | None, cache: Cache | None) -> dict[str, Cache | None]:
    """The cache that was given by either name, as keyword argument for the installed transformers.

    Raises `ValueError` if each name holds another cache.
    """
    if CACHE_NAME == "past_key_values" and cache is not None and not isinstance(cache, Cache):
        # Up to 5.23 `cache` is the memory of continuous batching, which the attention layers look for by this name.
        return {"past_key_values": past_key_values, "cache": cache}
    if past_key_values is not None and cache is not None and past_key_values is not cache:
        raise ValueError("`past_key_values` and `cache` are one argument, and hold two caches: give one of them.")
    return {CACHE_NAME: past_key_values if cache is None else cache}


def cache_of(output: ModelOutput) -> Cache | None:
    """The cache in what a model of the installed transformers returned."""
    return getattr(output, CACHE_NAME)


def both_cache_names(output_class: Output) -> Output:
    """Decorates a class of outputs: built with either name, read by either.

    From 5.24 on every such class can do this; its old name warns when it is read.
    """
    if CACHE_NAME == "past_key_values":
        output_class.__init__ = _taking_both_names(output_class.__init__)
        output_class.cache = property(lambda output: output.past_key_values)
    return output_class


def _taking_both_names(build: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(build)
    def __init__(self, *args, cache: Cache | None = None, **kwargs) -> None:
        if cache is not None:
            kwargs |= cache_argument(kwargs.get("past_key_values"), cache)
        build(self, *args, **kwargs)

    return __init__


__all__ = ["CACHE_NAME", "CACHE_NAMES", "both_cache_names", "cache_argument", "cache_of"]
