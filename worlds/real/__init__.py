# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The world of real things: pictures of several origins, real sounds and many voices, in clips with known answers."""
