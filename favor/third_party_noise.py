# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Silences what other packages say that no user of this one can or need act on."""

import logging
import os
import sys
import warnings

# What bitsandbytes says when it is imported on a CPU, in each process: that a faster kernel is not installed, which
# nothing here uses.
_LOGGED = {"bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward"}


def silence_imports() -> None:
    """For every process that imports this package, the workers of data loaders among them."""
    for name, beginning in _LOGGED.items():
        logging.getLogger(name).addFilter(_Without(beginning))


def silence_announcements() -> None:
    """For the command line: announcements of what other packages will change are for those who write code.

    Whoever asks Python for warnings (`-W`, PYTHONWARNINGS) gets them all.
    """
    if sys.warnoptions:
        return
    warnings.filterwarnings("ignore", category=FutureWarning)
    os.environ["PYTHONWARNINGS"] = "ignore::FutureWarning"  # of processes that are started


class _Without(logging.Filter):
    """Lets through what does not begin so."""

    def __init__(self, beginning: str):
        super().__init__()
        self.beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(self.beginning)
