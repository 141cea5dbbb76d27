# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What media are called: kinds of blocks in a chat, placeholders in a text, arguments of `FavorProcessor`."""

from typing import Literal, TypeAlias

MediaKind: TypeAlias = Literal["video", "image", "audio"]
MEDIA_KINDS: tuple[MediaKind, ...] = ("video", "image", "audio")
MEDIA_ARGUMENTS: dict[str, str] = {"video": "videos", "image": "images", "audio": "audio"}  # of a call
PLACEHOLDERS: dict[str, str] = {kind: f"<{kind}>" for kind in MEDIA_KINDS}
# Where a dict of a medium, or a block of a chat, may hold it beside its kind's own name; and the rate of what is in
# memory.
SOURCE_KEYS = ("array", "bytes", "path", "url")
RATE_KEYS: dict[str, str] = {"video": "fps", "audio": "sampling_rate"}

__all__ = ["MEDIA_ARGUMENTS", "MEDIA_KINDS", "PLACEHOLDERS", "RATE_KEYS", "SOURCE_KEYS", "MediaKind"]
