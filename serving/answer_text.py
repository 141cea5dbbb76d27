# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The text of an answer as its tokens come: without blanks at its ends, up to the first stop string."""

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerBase


class AnswerText:
    """
    Turns token ids into the pieces of text that can be shown.

    Joined, the pieces are `tokenizer.decode(ids, skip_special_tokens=True).strip()`, cut before the first stop string.
    What may turn out to be a blank at the end, or the beginning of a stop string, is held back.

    Attributes:
        text: what was shown so far.
        stopped: whether a stop string was found; nothing follows it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = ()):
        self.tokenizer, self.stop = tokenizer, [string for string in stop if string]
        self.text, self.stopped = "", False
        self._stream = DecodeStream([], skip_special_tokens=True)
        self._ids: list[int] = []
        self._decoded, self._held_back = "", ""

    def add(self, token_id: int) -> str:
        """The piece that can be shown after this token, perhaps none."""
        self._ids.append(token_id)
        piece = self._stream.step(self.tokenizer.backend_tokenizer, token_id)
        return self._add_text(piece) if piece else ""

    def finish(self) -> str:
        """What was held back, and broken characters at the end; call it once, after the last token."""
        whole = self.tokenizer.decode(self._ids, skip_special_tokens=True)
        rest = whole[len(self._decoded) :] if whole.startswith(self._decoded) else ""
        shown = self._add_text(rest)
        held_back, self._held_back = self._held_back, ""
        return shown if self.stopped else shown + self._show(held_back.rstrip())

    def _add_text(self, piece: str) -> str:
        if self.stopped:
            return ""
        self._decoded += piece
        waiting = self._held_back + piece
        if not self.text:
            waiting = waiting.lstrip()
        found = [place for place in map(waiting.find, self.stop) if place >= 0]
        if found:
            self.stopped, self._held_back = True, ""
            return self._show(waiting[: min(found)].rstrip())
        safe = len(waiting) - max((_overlap(waiting, string) for string in self.stop), default=0)
        safe = len(waiting[:safe].rstrip())
        self._held_back = waiting[safe:]
        return self._show(waiting[:safe])

    def _show(self, piece: str) -> str:
        self.text += piece
        return piece


def _overlap(text: str, string: str) -> int:
    """Length of the longest end of `text` that `string` begins with."""
    return next((size for size in range(min(len(text), len(string) - 1), 0, -1) if text.endswith(string[:size])), 0)
