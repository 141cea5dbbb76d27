# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answering many users: the engine that batches questions and keeps encoded clips, and the HTTP server over it.

A name is imported when it is first used: a process that only decodes files needs no model.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read; `_FILE_OF` is what runs
    from .answer import Answer
    from .chat_engine import ChatEngine
    from .decoding_workers import DecodingWorkers
    from .encoded_clips import EncodedClips
    from .engine_state import TooManyRequests
    from .generation_settings import GenerationSettings

_FILE_OF = {
    "Answer": "answer",
    "ChatEngine": "chat_engine",
    "DecodingWorkers": "decoding_workers",
    "EncodedClips": "encoded_clips",
    "GenerationSettings": "generation_settings",
    "TooManyRequests": "engine_state",
}

__all__ = ["Answer", "ChatEngine", "DecodingWorkers", "EncodedClips", "GenerationSettings", "TooManyRequests"]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_FILE_OF[name]}", __name__), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
