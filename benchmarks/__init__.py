# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Measurements of speed and memory, each a module to run: `python -m benchmarks.memory`."""
