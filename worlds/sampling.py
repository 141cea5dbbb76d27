# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chance that is a function of names: the same name, the same draw, in any order and any process."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


def hashed_seed(key: str) -> int:
    """A random seed that belongs to `key` alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")


def shown_and_heard(rng: random.Random, variants: Sequence[Choice], matches: bool) -> tuple[Choice, Choice]:
    """Which of two variants is shown, and which is heard: if it `matches`, the same; either as often as the other."""
    shown, heard = rng.sample(list(variants), 2)
    return shown, shown if matches else heard


def balanced(key: str, index: int, options: Sequence[Choice]) -> Choice:
    """The option of item `index`: each option once in every block of as many items, in an order drawn from `key`."""
    block, place = divmod(index, len(options))
    return random.Random(f"{key}/{block}").sample(list(options), len(options))[place]
