# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names of things: what emoji and stamps show, and how a sentence says it."""

import pytest

from favor.worlds.real.names import a, emoji_thing, is_countable, noun_phrase, plural, stamp_thing

KNOWN = frozenset(
    {"dog", "apple", "cherries", "lion", "fire truck", "firefighter", "soccer ball", "scissors", "tower"}
)


@pytest.mark.parametrize(
    ("name", "group", "thing"),
    [
        ("dog face", "Animals & Nature", "dog"),
        ("Christmas tree", "Activities", "christmas tree"),
        ("twelve o’clock", "Travel & Places", "clock"),
        ("robot", "Smileys & Emotion", "robot"),
        ("grinning face", "Smileys & Emotion", None),
        ("cloud with lightning and rain", "Travel & Places", None),
        ("kaaba", "Travel & Places", None),
        ("flag: France", "Flags", None),
    ],
)
def test_an_emoji_shows_what_people_call_it(name: str, group: str, thing: str | None) -> None:
    assert emoji_thing(name, group) == thing


@pytest.mark.parametrize(
    ("sentence", "thing"),
    [
        ("A dog.", "dog"),
        ("A “Fuji” apple.", "apple"),
        ("Some cherries.", "cherries"),
        ("A happy lion!", "lion"),
        ("A pair of open scissors.", "scissors"),
        ("A sea lion.", "sea lion"),
        ("A fireman.", "firefighter"),
        ("A dumper. It carries its load in the front.", "dumper"),
        ("A peacock (a male peafowl).", "peacock"),
        ("A spider playing computer games with a friend.", None),
        ("– Because a brain is a terrible thing to waste…", None),
        ("", None),
    ],
)
def test_a_stamp_shows_the_noun_of_its_sentence(sentence: str, thing: str | None) -> None:
    assert stamp_thing(sentence, KNOWN) == thing


def test_a_phrase_is_cut_before_what_follows_it() -> None:
    assert noun_phrase("A spiny lobster, from the Hawaiian islands.") == "spiny lobster"


@pytest.mark.parametrize(
    ("name", "article", "several"),
    [
        ("apple", "an apple", "apples"),
        ("unicorn", "a unicorn", "unicorns"),
        ("umbrella", "an umbrella", "umbrellas"),
        ("mouse", "a mouse", "mice"),
        ("box", "a box", "boxes"),
        ("fairy", "a fairy", "fairies"),
        ("monkey", "a monkey", "monkeys"),
        ("tomato", "a tomato", "tomatoes"),
    ],
)
def test_articles_and_plurals(name: str, article: str, several: str) -> None:
    assert a(name) == article and plural(name) == several and is_countable(name)


@pytest.mark.parametrize("name", ["bread", "scissors", "toilet paper"])
def test_what_cannot_be_counted_has_no_article(name: str) -> None:
    assert a(name) == f"some {name}" and not is_countable(name)
