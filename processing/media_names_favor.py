# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What media are called: kinds of blocks in a chat, placeholders in a text, arguments of `FavorProcessor`."""

MEDIA_ARGUMENTS = {"video": "videos", "image": "images", "audio": "audio"}  # of a processor's call, by kind
MEDIA_KINDS = tuple(MEDIA_ARGUMENTS)
PLACEHOLDERS = {kind: f"<{kind}>" for kind in MEDIA_KINDS}

__all__ = ["MEDIA_ARGUMENTS", "MEDIA_KINDS", "PLACEHOLDERS"]
