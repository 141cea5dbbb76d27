# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rendered worlds, whose every answer is known from what was drawn: data to train on and to be tested on."""
