# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVEB-mini: a rendered benchmark and training set whose every answer is known from the scene that was drawn."""
