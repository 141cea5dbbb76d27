# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Readers of published annotation formats: annotation file and media root in, samples out."""
