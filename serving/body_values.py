# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Counts the values of a JSON body while it arrives, so that one of two million numbers is never parsed."""

import re

# A string, or the beginning of one that goes on in the next piece; the group tells which, and whether a \ is pending.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("|\\?\Z)', re.DOTALL)
CLOSED = b'"'
PIECE = 1 << 16  # bytes looked at in one go


class ValueCounter:
    """
    Feed it a body piece by piece.

    Attributes:
        values: no fewer than the body has had so far, keys of objects left out.
    """

    def __init__(self) -> None:
        self.values = 1
        self._open = b""  # what a piece must begin with to be read as the rest of a string

    def feed(self, body: bytes) -> None:
        """The next piece of the body."""
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            if self._open == CLOSED and CLOSED not in piece and b"\\" not in piece:
                continue  # within a string, as of a file: quickly
            *parts, last = STRING.split(self._open + piece)
            outside = b"".join([*parts[::2], last])
            self.values += sum(map(outside.count, (b",", b"[", b"{")))
            ended = parts[-1] if parts else CLOSED
            self._open = b"" if ended == CLOSED else b'"' + ended
