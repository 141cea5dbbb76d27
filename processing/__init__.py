# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Media files to model inputs: decoding on one clock, picture preparation, prompts and placeholders.

A name is imported when it is first used: who needs only what media are called imports neither torch nor FFmpeg.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read; `_FILE_OF` is what runs
    from .media_favor import MediaClip, iterate_media, load_media, media_kind
    from .media_limits_favor import DamagedMediaError, MediaError, MediaLimitError, MediaLimits
    from .processing_favor import FavorProcessor, MediaSummary
    from .video_processing_favor import FavorVideoProcessor

_FILE_OF = {
    **dict.fromkeys(("MediaClip", "iterate_media", "load_media", "media_kind"), "media_favor"),
    **dict.fromkeys(("DamagedMediaError", "MediaError", "MediaLimitError", "MediaLimits"), "media_limits_favor"),
    **dict.fromkeys(("FavorProcessor", "MediaSummary"), "processing_favor"),
    "FavorVideoProcessor": "video_processing_favor",
}

__all__ = [
    "DamagedMediaError",
    "FavorProcessor",
    "FavorVideoProcessor",
    "MediaClip",
    "MediaError",
    "MediaLimitError",
    "MediaLimits",
    "MediaSummary",
    "iterate_media",
    "load_media",
    "media_kind",
]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_FILE_OF[name]}", __name__), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
