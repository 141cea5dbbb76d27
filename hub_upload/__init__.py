# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What goes to the Hub: model folders with their code, ready to be uploaded."""

from .export import export_model

__all__ = ["export_model"]
