# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sound sources without a judge: does an answer name the VGGSS class, word by word or by its forms?"""

from ..sample import EvalSample
from .answer_words import words_of

_IGNORED_WORDS = "a an the of and or is are being in on at to with from by some someone something people person"
_IGNORED = frozenset(_IGNORED_WORDS.split())
_VOWELS = frozenset("aeiouy")


def score_class(sample: EvalSample, hypothesis: str) -> float:
    """1 if the answer has all content words of the class (extra["class"]), in any form and order.

    Thus "Someone plays the double bass." names "playing double bass". The comma in a class ("pigeon, dove cooing")
    parts names of the same source, of which one is enough, together with what it does. A stricter stand-in for the
    judge: it knows no synonyms.
    """
    class_name = sample.fact("class")
    if class_name is None:
        raise ValueError(f"Sample {sample.id!r} has no extra['class']; it must be the name of the sound's source.")
    answer = {_root(word) for word in words_of(hypothesis)}
    return float(any(wanted and wanted <= answer for wanted in _names(class_name)))


def _names(class_name: str) -> list[set[str]]:
    """The sets of roots that name a class. What the last of several names does holds for the others, too."""
    parts = [_content(part) for part in class_name.split(",")]
    actions = [word for word in parts[-1] if word.endswith("ing")] if len(parts) > 1 else []
    return [{_root(word) for word in (*part, *actions)} for part in parts if part]


def _content(text: str) -> list[str]:
    words = words_of(text)
    return [word for word in words if word not in _IGNORED] or words


def _root(word: str) -> str:
    """The word without -ing, -ed, -es, -s and a final e or doubled letter, so that its forms are the same."""
    for ending in ("ing", "ed", "es", "s"):
        rest = word[: -len(ending)]
        if (
            word.endswith(ending)
            and len(rest) >= 3
            and _VOWELS & set(rest)
            and not (ending == "s" and rest[-1] == "s")
        ):
            word = rest
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "e" else word
