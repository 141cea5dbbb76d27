# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One answer that is being made: its pieces as they come, what it is about, and the way to give it up."""

import queue
import threading
from collections.abc import Callable
from typing import Any

Event = str | BaseException | None  # a piece; what went wrong; the end


class Answer:
    """Iterates over the pieces of an answer; joined they are its text.

    Errors are raised from the iteration, which ends at once when the answer is cancelled.

    Attributes:
        text: the pieces so far, joined.
        media: what was seen and heard: `items`, `visual_frames`, `audio_seconds` and `query_tokens`. None until it is
            known, before the first piece.
        prompt_tokens: of the language model, query tokens included. completion_tokens: so far.
        finish_reason: "stop" (the model, or a stop string, ended it), "length" (`max_new_tokens`), "cancelled" or
            "error"; None until it has ended.
    """

    def __init__(
        self,
        sink: Callable[[Event], None] | None = None,
        left: Callable[["Answer"], None] | None = None,
        every_piece: bool = True,
    ):
        """
        Args:
            sink: called with every event; by default they are kept for the iteration.
            left: called once, before the last event, whoever ends the answer.
            every_piece: False: of the pieces only the first is an event; `text` has them all.
        """
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._sink = self._events.put if sink is None else sink
        self._left, self._every_piece = left, every_piece
        self._lock = threading.Lock()
        self.text = ""
        self.media: dict[str, Any] | None = None
        self.prompt_tokens = self.completion_tokens = 0
        self.finish_reason: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.finish_reason is not None

    def __iter__(self) -> "Answer":
        return self

    def __next__(self) -> str:
        event = self._events.get()
        if isinstance(event, str) and self.finish_reason != "cancelled":
            return event
        self._events.put(None)  # for whoever asks again
        if isinstance(event, BaseException):
            raise event
        raise StopIteration

    def cancel(self) -> None:
        """Gives the answer up, from any thread; its place in the batch is free after the token in progress."""
        self._end("cancelled", None)

    def add(self, piece: str) -> None:
        """Called by the engine with each piece."""
        with self._lock:
            if piece and not self.ended:
                is_first = not self.text
                self.text += piece
                if is_first or self._every_piece:
                    self._send(piece)

    def finish(self, reason: str) -> None:
        """Called by the engine after the last piece."""
        self._end(reason, None)

    def fail(self, error: BaseException) -> None:
        """Called by the engine when there will be no answer."""
        self._end("error", error)

    def _end(self, reason: str, error: BaseException | None) -> None:
        with self._lock:
            if self.ended:
                return
            self.finish_reason = reason
        if self._left is not None:  # first: who sees the end may ask again. Not within the lock: it takes the engine's
            self._left(self)
        with self._lock:
            self._send(error)

    def _send(self, event: Event) -> None:
        try:
            self._sink(event)
        except Exception:  # a reader that has gone must not end the answers of others
            self.finish_reason = "cancelled"
