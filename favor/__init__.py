# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The `favor` command line: thin commands over modeling_favor, processing, trainers, evaluation and hub_upload."""

__version__ = "0.1.0"
