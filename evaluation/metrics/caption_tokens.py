# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tokens of captions as the coco-caption scorers count them: Penn Treebank words in lower case, without punctuation.

`tokenize` needs no Java and is what BLEU and CIDEr-D use, so that numbers are the same on every machine.
`tokenize_ptb` is the Java program of the reference scorers; METEOR and SPICE, which need Java anyhow, use it.
"""

import re
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .characters import composed, marks
from .java import jar, run_java

PUNCTUATION = frozenset(
    ("''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";")
)
_CORENLP = "tokenizer/stanford-corenlp-3.4.1.jar"

_SINGLE_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'"})
_ABBREVIATIONS = (
    "al|ave|blvd|capt|co|col|corp|dr|etc|ft|gen|gov|inc|jr|lt|ltd|mr|mrs|ms|mt|prof|rep|rev|sen|sgt|sr|st|vs"
)
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}


def tokenize(text: str) -> list[str]:
    """The tokens of one caption, whose letters are composed (NFC) and keep their marks."""
    tokens = _token().findall(" ".join(composed(text).lower().split()).translate(_SINGLE_QUOTES))
    return [_BRACKETS.get(token, token.replace(" ", "\u00a0")) for token in tokens]


def tokenize_ptb(texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each caption, by Stanford's tokeniser.

    Every white space is a blank beforehand: the program takes line separators of any kind as the end of a caption.

    Raises:
        MetricUnavailable: without Java or pycocoevalcap.
    """
    lines = [" ".join(composed(text).split()) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "captions.txt"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        arguments = ["-cp", str(jar("PTB tokenizer", _CORENLP)), "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]
        arguments += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", str(file)]
        output = run_java("PTB tokenizer", arguments)
    tokenized = output.split("\n")[: len(lines)]
    if len(tokenized) != len(lines):
        raise ValueError(f"The PTB tokenizer returned {len(tokenized)} lines for {len(lines)} captions.")
    return [
        [token for token in line.rstrip("\r").split(" ") if token and token not in PUNCTUATION] for line in tokenized
    ]


@cache
def _token() -> re.Pattern[str]:
    word = rf"[\w{marks()}]"
    return re.compile(
        rf"""
          (?:can(?=not\b)|gon(?=na\b)|got(?=ta\b)|wan(?=na\b)|gim(?=me\b)|lem(?=me\b))  # cannot: can, not
        | (?:[^\W\d_]\.){{2,}}(?:[^\W\d_]\b)? | [^\W\d_]\.[^\W\d_]\b  # u.s.  p.m
        | (?:{_ABBREVIATIONS})\.(?!\w)  # mr.
        | no\.(?=[ ]\d) | \b[^\W\d_]\.(?!\w)    # no. 5, initials
        | [^\W_]+?(?=n't\b)                      # didn't: did, n't
        | n't\b
        | o'clock\b | ma'am\b | y'(?=all\b)
        | 'n'(?!\w) | '(?:s|m|d|re|ve|ll|em|til|\d0s)\b
        | \d+[ ]\d+/\d+                          # 1 1/2
        | \d*(?:[.,:/]\d+)+                       # 1,000  .5  1/2
        | {word}+(?:[-_@&/]{word}+)*             # t-shirt, and/or
        | [()\[\]{{}}]
        | [$%\#&@+*=<>~^|/\\\u20ac\u00a3\u00a2]
        """,
        re.VERBOSE,
    )
