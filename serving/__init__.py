# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answering many users: the engine that batches questions and keeps encoded clips, and the HTTP server over it."""

from .answer import Answer
from .chat_engine import ChatEngine, TooManyRequests
from .encoded_clips import EncodedClips
from .generation_settings import GenerationSettings

__all__ = ["Answer", "ChatEngine", "EncodedClips", "GenerationSettings", "TooManyRequests"]
