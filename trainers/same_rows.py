# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Whether two rows of a dataset are the same one, read twice."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def same_row(ours: Any, theirs: Any) -> bool:
    """Compares rows, and what is in them: files, bytes, pictures, arrays."""
    if ours is theirs:
        return True
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, Mapping):
        return ours.keys() == theirs.keys() and all(same_row(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same_row, ours, theirs))
    if hasattr(ours, "__array__"):  # numpy, torch and PIL, whose == is no bool
        return np.array_equal(np.asarray(ours), np.asarray(theirs))
    return bool(ours == theirs)
