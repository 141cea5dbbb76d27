# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers in the shape of OpenAI's chat completions, whole or in chunks, made with the `openai` package's own types.

Beside OpenAI's fields, `media` tells what was seen and heard.
"""

import time
from typing import Any

from openai.types import CompletionUsage, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from .answer import Answer

END_OF_STREAM = "data: [DONE]\n\n"


class Completion:
    """One answer's identity, and the JSON about it."""

    def __init__(self, completion_id: str, model: str):
        self.id, self.model, self.created = completion_id, model, int(time.time())

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The whole answer, when it has ended."""
        message = ChatCompletionMessage(role="assistant", content=answer.text)
        completion = ChatCompletion(
            id=self.id,
            object="chat.completion",
            created=self.created,
            model=self.model,
            choices=[Choice(index=0, message=message, finish_reason=_reason(answer), logprobs=None)],
            usage=_usage(answer),
        )
        return {**completion.model_dump(exclude_unset=True), "media": answer.media}

    def first_chunk(self) -> str:
        """Says who speaks."""
        return self._event(ChoiceDelta(role="assistant", content=""))

    def chunk(self, piece: str) -> str:
        """A piece of text."""
        return self._event(ChoiceDelta(content=piece))

    def last_chunks(self, answer: Answer, include_usage: bool) -> str:
        """Why the answer has ended and, if asked for, what it cost."""
        events = self._event(ChoiceDelta(), _reason(answer))
        if include_usage:
            events += self._event(None, usage=_usage(answer))
        return events + END_OF_STREAM

    def _event(self, delta: ChoiceDelta | None, reason: Any = None, usage: CompletionUsage | None = None) -> str:
        chunk = ChatCompletionChunk(
            id=self.id,
            object="chat.completion.chunk",
            created=self.created,
            model=self.model,
            choices=[] if delta is None else [ChunkChoice(index=0, delta=delta, finish_reason=reason)],
        )
        if usage is not None:
            chunk.usage = usage
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"


def model_entry(name: str, created: int) -> dict[str, Any]:
    """One model of GET /v1/models."""
    return Model(id=name, object="model", created=created, owned_by="favor").model_dump(exclude_none=True)


def _reason(answer: Answer) -> Any:
    return "length" if answer.finish_reason == "length" else "stop"


def _usage(answer: Answer) -> CompletionUsage:
    prompt, completion = answer.prompt_tokens, answer.completion_tokens
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
