# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sentences and questions in which things are named, seen or heard: natural frames over a small vocabulary."""

import random
from collections.abc import Sequence

from .names import a, is_countable, is_plural, plural

NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = ("zero", "one", *NUMBERS[:8])
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey", "pink", "purple", "orange")
_PLACES = ("house", "garden", "kitchen", "school", "market", "river", "station", "park", "street", "room")
_PEOPLE = ("my brother", "my sister", "the teacher", "the doctor", "she", "he", "my friend", "our neighbour")

# {a} and {b} are things with their articles, {t} and {u} without; {ts} is several of a countable thing.
SENTENCES = (
    "this is {a}",
    "I can see {a}",
    "look at the {t}",
    "there is {a} near the {place}",
    "I can see {n} {ts} near the {place}",
    "the {t} is {colour}",
    "where is the {t}",
    "{who} bought {a} and {b}",
    "{who} is looking for the {t}",
    "we found {a} in the {place}",
    "do you like the {t}",
    "put the {t} next to the {u}",
    "the {colour} {t} is in the {place}",
    "my {t} is bigger than your {u}",
    "please bring me {a}",
    "is there {a} in the picture",
    "what is to the left of the {t}",
    "how many {ts} are there",
    "there are {n} {ts} and {m} {us}",
    "the number is {digit}",
    "{who} has {n} {ts}",
    "can you hear the {t}",
    "a picture of {a}",
    "here are {a} and {b}",
    "{who} saw {a} yesterday",
    "what comes after the {t}",
    "the {t} is in front of the {u}",
    "I have never seen {a}",
    "{who} wants {a} for her birthday",
    "show me the {t}",
)
_FIRST, _SECOND = ("{a}", "{t}", "{ts}"), ("{b}", "{u}", "{us}")
NAMING_SENTENCES = tuple(
    text for text in SENTENCES if any(slot in text for slot in _FIRST) and not any(slot in text for slot in _SECOND)
)

_SEEN_OF_A_SOUND = {  # what a thing does when it is heard
    "dog": "the dog barks",
    "cat": "the cat meows",
    "black cat": "the cat meows",
    "rooster": "the rooster crows",
    "cow": "the cow moos",
    "sheep": "the sheep bleats",
    "duck": "the duck quacks",
    "lion": "the lion roars",
    "baby": "the baby cries",
    "clock": "the clock ticks",
    "fire": "the fire crackles",
    "rain": "the rain falls",
    "wave": "the waves break",
    "sneeze": "someone sneezes",
    "horse": "the horse neighs",
    "pig": "the pig grunts",
    "owl": "the owl hoots",
    "frog": "the frog croaks",
    "bee": "the bee buzzes",
}
_SOUND_NAMES = {"sneeze": "a sneeze", "rain": "rain", "fire": "a fire", "wave": "waves", "baby": "a baby"}


def sentence(rng: random.Random, things: Sequence[str], frames: Sequence[str] = SENTENCES) -> tuple[str, str]:
    """A sentence about one or two of `things`, and the first thing it names ("" if it names none)."""
    frame = rng.choice(frames)
    countable = "{ts}" in frame or "{us}" in frame
    chosen = rng.sample([name for name in things if is_countable(name)] if countable else list(things), 2)
    text = frame.format(
        a=a(chosen[0]),
        b=a(chosen[1]),
        t=chosen[0],
        u=chosen[1],
        ts=plural(chosen[0]) if countable else "",
        us=plural(chosen[1]) if countable else "",
        n=rng.choice(NUMBERS),
        m=rng.choice(NUMBERS),
        digit=rng.choice(_DIGITS),
        colour=rng.choice(_COLOURS),
        place=rng.choice(_PLACES),
        who=rng.choice(_PEOPLE),
    )
    if is_plural(chosen[0]):
        text = text.replace(f"the {chosen[0]} is", f"the {chosen[0]} are").replace("where is", "where are")
    return text, chosen[0] if any(slot in frame for slot in _FIRST) else ""


def sound_of(name: str) -> str:
    """A thing's sound as an answer: "a dog", "rain"."""
    return _SOUND_NAMES.get(name, a(name))


def while_heard(rng: random.Random, name: str, is_speech: bool, tense: str = "while") -> str:
    """The clause that names a moment by what is heard: "while the dog barks", "while someone says 'door'"."""
    if is_speech:
        return f"{tense} " + rng.choice((f"someone says '{name}'", f"you hear the word '{name}'"))
    if name in _SEEN_OF_A_SOUND:
        return f"{tense} {_SEEN_OF_A_SOUND[name]}"
    return f"{tense} you hear {sound_of(name)}"


def listed(parts: Sequence[str]) -> str:
    """ "a dog", "a dog and a key", "a dog, a key and a pear"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
