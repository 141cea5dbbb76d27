# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Raw text of a model to the answer that is scored."""

import re

from .sample import EvalSample

_END_TOKENS = re.compile(r"</s>|<\|endoftext\|>|<\|im_end\|>|<\|eot_id\|>")
_ROLE = re.compile(r"^\s*(?:ASSISTANT|assistant|Assistant)\s*:")
_LABEL = re.compile(
    r"^(?:\*\*|__)?(?:(?:the|final|my)\s+)*(?:transcription|transcript|caption|answer)\s*(?:\*\*|__)?\s*[:\uff1a]\s*"
    r"(?:\*\*|__)?\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}


def parse_text(raw: str, sample: EvalSample) -> str:
    """The text up to the end token, without the role's name; runs of white space are one blank."""
    text = _ROLE.sub("", _END_TOKENS.split(raw, maxsplit=1)[0])
    return " ".join(text.split())


def parse_short(raw: str, sample: EvalSample) -> str:
    """`parse_text` without a label ("Answer: ...", "**Answer:** ..."), and without quotation marks around it all."""
    text = _LABEL.sub("", parse_text(raw, sample))
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text
