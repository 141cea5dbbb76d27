# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Options named by letter or number, as models do: "B", "(b)", "**B**", "The answer is B.", "Option 2", "2)"."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_MARKUP = re.compile(r"\\(?:boxed|text|textbf|mathbf|mathrm)|</?[a-z]{2,}>|[*_`${}]", re.IGNORECASE)
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_LABEL = r"[(\[<\"'\u2018\u201c]?(?P<label>[a-z]|\d{1,2})[)\]>\"'\u2019\u201d]?"
_NOUN = r"(?:option|choice|letter|number|answer|ans\.?|alternative)"
_REASON = r"(?:because|since|as|due|which|where)\b"
_VERDICT = r"(?:is|seems|looks|must\s+be|would\s+be)\s+(?:the\s+)?(?:correct|right|true|best|answer)\b"
_END = rf"(?=\s*(?:$|[.,;:!\u3002)\]\u2013\u2014\n]|-\s|{_REASON}))"
# "B", "(b)", "B. red": what follows is no part of the label.
_AT_THE_START = re.compile(
    rf"^\W*{_LABEL}(?:[.:!\u3002)]|\s*$|[,;\n]|\s+[-\u2013\u2014]\s|\s+(?:{_REASON}|{_VERDICT}))", re.IGNORECASE
)
_ALONE_ON_A_LINE = re.compile(rf"^\W*{_LABEL}\W*$", re.IGNORECASE | re.MULTILINE)
_IN_A_SENTENCE = re.compile(
    rf"\b(?:{_NOUN}\s*(?:(?:is|are|would\s+be|should\s+be|must\s+be|seems\s+to\s+be)\s*:?|[:=\u2192]|#|)\s*"
    rf"(?:{_NOUN}\s*)?|(?:choose|pick|select|say|with|it's|is|(?:must|should|has\s+to|would)\s+be)\s+(?:{_NOUN}\s*)?){_LABEL}{_END}",
    re.IGNORECASE,
)
_BY_ORDINAL = re.compile(
    rf"\b(?P<ordinal>{'|'.join(_ORDINALS)}|\d{{1,2}}(?:st|nd|rd|th)|last)\s+(?:option|choice|answer|alternative)\b",
    re.IGNORECASE,
)
_BY_WORD = re.compile(rf"\b(?:option|choice|number)\s+(?P<word>{'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Label:
    """An option that an answer names by letter or number.

    Attributes:
        place: of the option, from 0.
        plain: whether the answer can mean nothing else; if not, as in "A. ...", its other words must agree.
    """

    place: int
    plain: bool


def labelled_place(question: str | None, choices: Sequence[str], hypothesis: str) -> Label | None:
    """The option that an answer names by its label; None if it names none, or several.

    Letters count in the order of the options, upper or lower case; numbers where the question shows them before the
    options, from whichever it begins with, or after a word for them ("Option 2").

    Args:
        question: as it was shown; None if it is not known.
    """
    places = shown_labels(question or "", choices) | {chr(ord("a") + place): place for place in range(len(choices))}
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", hypothesis)).strip()
    if start := _AT_THE_START.match(text):
        place = places.get(start["label"].lower())
        if place is not None:
            return Label(place, plain=_names_no_option(text[start.end("label") :]))
    found = {_place(match, places, len(choices)) for match in _IN_A_SENTENCE.finditer(text)}
    found |= {_ordinal_place(match["ordinal"], len(choices)) for match in _BY_ORDINAL.finditer(text)}
    found |= {_NUMBER_WORDS.index(match["word"].lower()) for match in _BY_WORD.finditer(text)}
    known = {place for place in found if place is not None and 0 <= place < len(choices)}
    return Label(known.pop(), plain=True) if len(known) == 1 else None


def shown_labels(question: str, choices: Sequence[str]) -> dict[str, int]:
    """The numbers that stand before the options in a question: {"1": 0, "2": 1, ...}; none unless all have one."""
    found: dict[str, int] = {}
    for place, option in enumerate(choices):
        pattern = rf"(?<!\w)(\d{{1,2}})\s*[.):\]]\s*{re.escape(option)}(?!\w)"
        if match := re.search(pattern, question, re.IGNORECASE):
            found[match[1]] = place
    return found if len(found) == len(choices) else {}


def _place(match: re.Match[str], places: dict[str, int], count: int) -> int | None:
    label = match["label"].lower()
    if label in places:
        # "it is a": an article that a dash or a comma cuts off, unless a word for options stands before it.
        named = re.search(_NOUN, match[0], re.IGNORECASE) or match["label"].isupper() or label.isdigit()
        return places[label] if named else None
    after_option = re.search(r"\b(?:option|choice|number|alternative)\b", match[0], re.IGNORECASE)
    numbered = any(key.isdigit() for key in places)
    return int(label) - 1 if label.isdigit() and after_option and not numbered and int(label) <= count else None


def _ordinal_place(ordinal: str, count: int) -> int:
    word = ordinal.lower()
    if word == "last":
        return count - 1
    return _ORDINALS.index(word) if word in _ORDINALS else int(re.sub(r"\D", "", word)) - 1


def _names_no_option(rest: str) -> bool:
    """Whether what follows a label is nothing, a verdict, a reason, or other lines than one with a label alone."""
    if not re.search(r"\w", rest) or re.match(rf"\W*(?:{_REASON}|{_VERDICT})", rest, re.IGNORECASE):
        return True
    line, _, others = rest.partition("\n")
    return bool(others) and not re.search(r"\w", line) and not _ALONE_ON_A_LINE.search(others)
