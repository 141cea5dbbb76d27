# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The words of an answer: what the paper's rules compare, whatever case, punctuation and layout."""

import re
from functools import cache

from .characters import character_class, composed, marks

# Symbols without a meaning of their own in an answer: rights, bullets, frames; some serve below with a number.
_BARE_SYMBOLS = "\u00a9\u00ae\u2122\u2120\u00b0|~<>\u2212\u2500-\u25ff\ufe0e\ufe0f"
_SPELLINGS = str.maketrans({"\u2019": "'", "\u2010": "-", "\u2011": "-", "\u2212": "-", "\u2013": "-", " ": None})


def words_of(text: str) -> list[str]:
    """The words of a text, without regard to case, punctuation and forms of the same letter.

    Punctuation parts words ("red/white", "black.Yes") but within numbers ("10:30", "1,000"), initials ("u.s"), and
    hyphens and apostrophes between letters ("t-shirt"). Symbols that mean something stay: with their number or word
    ("$5", "-5", "50%", "c++", "#1"), or else as words of their own ("&", "=").
    """
    found = (match[0].translate(_SPELLINGS) for match in _word().finditer(composed(composed(text).casefold())))
    return [word.rstrip(".") for word in found]


def contains(words: list[str], wanted: list[str]) -> bool:
    """Whether `wanted` stands in `words` as it is, one word after another."""
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))


@cache
def _word() -> re.Pattern[str]:
    mark, money = marks(), character_class("Sc")
    symbols = character_class("Sm", "So")
    letter, initial = rf"(?:[^\W_][{mark}]*)", rf"(?:[^\W\d_][{mark}]*)"
    sign = r"-+\u2212\u2013"
    return re.compile(
        rf"""
          (?<![\w.])(?:{initial}\.){{2,}}(?:{initial}(?![\w]))? | (?<![\w.]){initial}\.{initial}(?![\w.])  # u.s.a  p.m
        | (?: (?:(?<![\w)\]}}%'"\u2019-])[{sign}](?=[{money}]?[ ]?\.?\d))?  # -5, but not 4-5
              (?:[{money}][ ]?(?=[{sign}]?\.?\d))?
              (?:(?<=[{money}])[{sign}](?=\d))?
              (?:[<>~][ ]?(?=\.?\d) | [\#@](?=[^\W_]) | (?<!\*)\*(?=\d+(?![\w*])))?
              (?:(?<![\w.])\.(?=\d))?                      # .5
          )
          {letter}+
          (?: (?: ['\u2019\u2010\u2011-] | (?<=\d)[.:/](?=\d) | (?<=\d),(?=\d{{3}}(?!\d)) ) {letter}+ )*
          (?: [ ]?[%\u2030\u00b0] | \++(?!\w) | \#(?!\w) | (?<=\d)[ ]?[{money}](?![ ]?\.?\d) )?
        | [&=@+] | [{money}] | (?<=[^\W_])[*^](?=[^\W_])
        | (?![{_BARE_SYMBOLS}])[{symbols}]
        """,
        re.VERBOSE,
    )
