# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names of things: one or two words that people say, joined across vendors, with their articles and plurals.

The tables are in thing_names.json: `renamed` is CLDR's or a stamp's name and what people say (several become one
thing), `left_out` are emoji and `no_stamps` stamps that show a mood, a sign, a place without a shape or what few
people would name, `compounds` are no kind of their last word.
"""

import json
import re
from pathlib import Path
from typing import Any

_TABLES: dict[str, Any] = json.loads(Path(__file__).with_name("thing_names.json").read_text(encoding="utf-8"))
_EMOJI_GROUPS = frozenset(_TABLES["emoji_groups"])
_OTHER_EMOJI = frozenset(_TABLES["other_emoji"])
_RENAMED: dict[str, str] = _TABLES["renamed"]
_LEFT_OUT = frozenset(_TABLES["left_out"])
_NO_STAMPS = frozenset(_TABLES["no_stamps"])
_ADJECTIVES = frozenset(_TABLES["adjectives"])
_COMPOUNDS = frozenset(_TABLES["compounds"])
_PLURALS = frozenset(_TABLES["plurals"])
_MASS = frozenset(_TABLES["mass"])
_IRREGULAR: dict[str, str] = _TABLES["irregular_plurals"]
_LEADS = re.compile(
    r"^(?:an?|the|some|our|two|eat your|say|a pair of|pair of|bunch of|head of|cluster of|couple of|string of|"
    r"quarter of|very) ",
    re.IGNORECASE,
)
_PHRASE_ENDS = re.compile(r"[.!?(;:—–]|, from|, for| - | with | in | at | of the | for | used | is | are ")


def emoji_thing(name: str, group: str) -> str | None:
    """The thing that an emoji of CLDR's short name shows; None for what is no thing of this world."""
    name = name.lower()
    if name in _LEFT_OUT:
        return None
    if name in _RENAMED:
        return _RENAMED[name]
    if group in _EMOJI_GROUPS or name in _OTHER_EMOJI:
        return name if re.fullmatch(r"[a-z]+(?: [a-z]+)?", name) else None
    return None


def stamp_thing(sentence: str, known: frozenset[str]) -> str | None:
    """The thing that a stamp's sentence names: one of `known`, or a new one; None for what is not about one thing."""
    phrase = noun_phrase(sentence)
    if phrase is None or phrase in _NO_STAMPS:
        return None
    words = phrase.split()
    while len(words) > 1 and words[0] in _ADJECTIVES and " ".join(words) not in known:
        words = words[1:]
    phrase = _RENAMED.get(" ".join(words), " ".join(words))
    if phrase in _NO_STAMPS:
        return None
    if phrase not in known and phrase not in _COMPOUNDS:
        for count in (2, 1):
            tail = " ".join(words[-count:])
            tail = _RENAMED.get(tail, tail)
            for candidate in (tail, singular(tail)):
                if candidate in known:
                    return candidate
    return phrase if phrase in known or len(phrase.split()) <= 2 else None


def noun_phrase(sentence: str) -> str | None:
    """What a sentence names, without article: "big red dog" of "A big, red dog (a pet)."; None if it is longer."""
    text = _PHRASE_ENDS.split(sentence)[0].replace(",", " ")
    text = " ".join(re.sub("[“”'’]", "", text).lower().split())
    while (shorter := _LEADS.sub("", text + " ").strip()) != text:
        text = shorter
    return text if re.fullmatch(r"[a-z-]+(?: [a-z-]+){0,3}", text) else None


def singular(name: str) -> str:
    """A plain plural's singular; other words as they are."""
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def is_plural(name: str) -> bool:
    """Whether its name is a plural: "scissors"."""
    return name in _PLURALS


def is_countable(name: str) -> bool:
    """Whether one can see two of it: "two dogs", but not "two breads" or "two jeans"."""
    return name not in _PLURALS and name not in _MASS


def plural(name: str) -> str:
    """Several of a thing that is countable."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if re.search(r"(s|x|ch|sh|z|tomato|potato|mango|volcano)$", name):
        return name + "es"
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + "s"


def a(name: str) -> str:
    """The thing with its article: "an apple", "some bread"."""
    if not is_countable(name):
        return f"some {name}"
    vowel = name[0] in "aeiou" and not re.match(r"uni|euro|one", name)
    return f"{'an' if vowel else 'a'} {name}"
