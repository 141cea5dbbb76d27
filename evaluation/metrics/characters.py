# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the text metrics take for one letter: composed forms, and the marks that belong to the letter before them."""

import sys
import unicodedata
from collections.abc import Callable
from functools import cache

# Accents on letters, and how an emoji is drawn: Whisper's normaliser drops them, and writing goes on without them.
_DISPENSABLE_MARKS = ((0x0000, 0x08FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE2F))
_LAST_MARK = 0x1FFFF  # beyond are the variation selectors of the plane of tags
_STAND_INS = 0x20000  # letters (CJK) that no normalisation changes


def composed(text: str) -> str:
    """The text in composed form (NFC), without characters that only direct its drawing (zero width, soft hyphen)."""
    kept = (character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFC", "".join(kept))


@cache
def character_class(*categories: str) -> str:
    """The inside of a regular expression's character class that matches these categories of Unicode ("Mn", "Sc")."""
    return ranges(lambda character: unicodedata.category(character) in categories)


@cache
def marks() -> str:
    """The inside of a character class of the marks that belong to the letter before them, as vowel signs do."""
    return character_class("Mn", "Mc", "Me")


def ranges(wanted: Callable[[str], bool]) -> str:
    """The characters for which `wanted` holds, as ranges of a character class."""
    found: list[list[int]] = []
    for code in range(_LAST_MARK + 1):
        if wanted(chr(code)):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)


def with_marks_kept(normalize: Callable[[str], str], text: str) -> str:
    """`normalize(text)`, which takes marks for blanks or drops them, with the vowel signs and voicing marks kept.

    The accents of Latin, Greek and Cyrillic letters and the points of Hebrew and Arabic are left to `normalize`.
    """
    there, back = _stand_ins()
    taken_apart = unicodedata.normalize("NFD", text)
    if there.keys().isdisjoint(map(ord, taken_apart)):
        return normalize(unicodedata.normalize("NFC", text))
    return unicodedata.normalize("NFC", normalize(taken_apart.translate(there)).translate(back))


@cache
def _stand_ins() -> tuple[dict[int, int], dict[int, int]]:
    """Each mark that writing cannot do without to a letter, and back."""
    codes = [
        code
        for code in range(min(_LAST_MARK, sys.maxunicode) + 1)
        if unicodedata.category(chr(code)) in ("Mn", "Mc")
        and not any(first <= code <= last for first, last in _DISPENSABLE_MARKS)
    ]
    there = {code: _STAND_INS + place for place, code in enumerate(codes)}
    return there, {letter: code for code, letter in there.items()}
