# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An answer that can be read while the model is still generating it."""

import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer
from transformers.generation import BaseStreamer


class AnswerStream:
    """
    Iterates over the pieces of one answer; joined they are the answer that the pipeline returns without streaming.

    Generation starts with the first piece asked for, in a thread of its own, and ends early on `close()`. An error in
    that thread is raised from the iterator.

    Args:
        generate: called with `streamer` and `stopping_criteria` beside what it knows itself.
        tokenizer: of the answer.
        media: see below.
        streamer (*optional*): a streamer of the caller's, which gets the tokens, too.
        stopping_criteria (*optional*): the caller's, which may end the answer, too.

    Attributes:
        media: what was seen and heard, as in the pipeline's answers.
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        tokenizer: PreTrainedTokenizerBase,
        media: Any,
        streamer: BaseStreamer | None = None,
        stopping_criteria: Iterable[StoppingCriteria] | None = None,
    ):
        self.media = media
        self._generated = _generated_pieces(generate, tokenizer, streamer, list(stopping_criteria or ()))
        self._pieces = _without_outer_blanks(self._generated)

    def __iter__(self) -> "AnswerStream":
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Stops generating; there are no more pieces afterwards."""
        self._pieces.close()
        self._generated.close()


class _StopWhenClosed(StoppingCriteria):
    def __init__(self, closed: threading.Event):
        self.closed = closed

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.BoolTensor:
        return torch.full((input_ids.shape[0],), self.closed.is_set(), device=input_ids.device, dtype=torch.bool)


class _Both(BaseStreamer):
    """Hands every token to two streamers."""

    def __init__(self, first: BaseStreamer, second: BaseStreamer):
        self.first, self.second = first, second

    def put(self, value: torch.Tensor) -> None:
        self.first.put(value)
        self.second.put(value)

    def end(self) -> None:
        self.first.end()
        self.second.end()


def _generated_pieces(
    generate: Callable[..., Any],
    tokenizer: PreTrainedTokenizerBase,
    other: BaseStreamer | None,
    stopping_criteria: list[StoppingCriteria],
) -> Generator[str, None, None]:
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    closed = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            generate(
                streamer=streamer if other is None else _Both(streamer, other),
                stopping_criteria=StoppingCriteriaList([*stopping_criteria, _StopWhenClosed(closed)]),
            )
        except BaseException as error:  # handed over to the thread that reads
            errors.append(error)
            streamer.on_finalized_text("", stream_end=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from streamer
    finally:
        closed.set()
        thread.join()
    if errors:
        raise errors[0]


def _without_outer_blanks(pieces: Iterable[str]) -> Generator[str, None, None]:
    """The same text without blanks at its start and end, which only the following piece can tell from inner ones."""
    held_back, started = "", False
    for piece in pieces:
        text = held_back + piece if started else piece.lstrip()
        shown = text.rstrip()
        held_back = text[len(shown) :]
        if shown:
            started = True
            yield shown
