# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Checks the turns of a sample, and reads them as plain text."""

from collections.abc import Mapping

from favor.processing.media_names_favor import MEDIA_KINDS

from .bad_samples import BadSampleError
from .sample_columns import Turn

ROLES = ("system", "user", "assistant")


def plain_messages(messages: object, where: str, answered: bool = True) -> list[Turn]:
    """Turns with string contents; lists of text blocks, as transformers writes them, are joined as its template does.

    Args:
        answered: whether an assistant must say something.

    Raises `BadSampleError` (a `ValueError`) if there is nothing to read or nothing to learn.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise BadSampleError("malformed", "`messages` must be a non-empty list of turns.", where)
    plain: list[Turn] = [{"role": turn_role(turn, where), "content": turn_text(turn, where)} for turn in messages]
    if answered and not any(turn["role"] == "assistant" and turn["content"].strip() for turn in plain):
        raise BadSampleError(
            "no answer", "no assistant turn with text, so there is nothing to learn; add the answer.", where
        )
    if not any(turn["role"] == "user" for turn in plain):
        raise BadSampleError("malformed", "no user turn; the media and the question stand in one.", where)
    return plain


def turn_role(turn: object, where: str) -> str:
    role = turn.get("role") if isinstance(turn, Mapping) else None
    if role not in ROLES:
        raise BadSampleError("malformed", f"a turn of `messages` has role {role!r}; it is one of {ROLES}.", where)
    return role


def turn_text(turn: Mapping[str, object], where: str) -> str:
    """A turn's text from a string or text blocks."""
    content = turn.get("content")
    if isinstance(content, str):
        return content
    texts = []
    for block in content if isinstance(content, (list, tuple)) else [content]:
        text = block.get("text") if isinstance(block, Mapping) and block.get("type") == "text" else block
        if not isinstance(text, str):
            kinds = ", ".join(MEDIA_KINDS)
            raise BadSampleError(
                "malformed",
                f"the content of `messages` must be a string or a list of blocks of text, {kinds}, but it holds "
                f"{str(block)[:100]!r}.",
                where,
            )
        texts.append(text.strip())
    return " ".join(texts).strip()
