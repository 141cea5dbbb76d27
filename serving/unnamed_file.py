# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A file that is handed from one process to another by its descriptor."""

import os
import tempfile
from typing import BinaryIO


def unnamed_file() -> BinaryIO:
    """A file in memory, or where the system has none such in the folder of temporary files, that has no name."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("media"), "w+b")
    return tempfile.TemporaryFile()  # type: ignore[return-value]
