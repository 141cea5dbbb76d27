# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How an engine gets on, wherever it runs, and why it may take no question."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .answer import Answer, Event
from .generation_settings import GenerationSettings
from .lanes import LaneState

STANDS_STILL = 10.0  # seconds without progress while others wait


class TooManyRequests(RuntimeError):
    """As many answers are being made as the engine takes; ask again later."""


class EngineStopped(RuntimeError):
    """The engine was closed, or what it runs in has ended: it answers nothing any more."""


@dataclass(frozen=True)
class EngineState:
    """
    Attributes:
        alive: whether questions are being answered.
        lanes: "prompts", "media" and "answers".
        pending: questions taken and not ended.
        cache_bytes, cache_max_bytes: of clips and query embeddings, and their bound.
        cache_hits, cache_misses: clips that were known, and that had to be read.
        prompt_tokens, completion_tokens: of all ended answers.
        batches, batched_questions: calls of `generate`, and the questions in them.
        decoders_ended: decoding processes that were ended or died, by reason; None if there are none.
        decoder_restarts: of the program that makes them.
    """

    alive: bool = True
    lanes: list[LaneState] = field(default_factory=list)
    pending: int = 0
    cache_bytes: int = 0
    cache_max_bytes: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    batches: int = 0
    batched_questions: int = 0
    decoders_ended: dict[str, int] | None = None
    decoder_restarts: int = 0

    @property
    def standing_still(self) -> list[str]:
        """The lanes in which nothing has moved for `STANDS_STILL` seconds while questions wait."""
        return [lane.name for lane in self.lanes if lane.still_seconds > STANDS_STILL]


class Engine(Protocol):
    """What answers questions: a [`ChatEngine`], or one in a process of its own."""

    def ask(
        self,
        chat: list[dict[str, Any]],
        settings: GenerationSettings | None = None,
        load_audio_from_video: bool = True,
        sink: Callable[[Event], None] | None = None,
        client: str = "",
        every_piece: bool = True,
    ) -> Answer:
        """See `ChatEngine.ask`."""
        ...

    @property
    def state(self) -> EngineState:
        """How it gets on."""
        ...

    @property
    def pending(self) -> int:
        """Questions taken and not ended."""
        ...

    @property
    def default_new_tokens(self) -> int:
        """Longest answer where none is asked for."""
        ...

    def close(self) -> None:
        """Gives up all answers."""
        ...
