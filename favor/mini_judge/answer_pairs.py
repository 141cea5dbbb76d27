# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pairs of answers about AVEB-mini's world, in many wordings, and the exact rule of which are equivalent.

The rule: two answers are equivalent if they name the same things equally often, in any order and wording. What an
answer names are its colours, shapes, sounds, words, "nothing", "yes" and "no"; an answer with a word that is neither
one of these nor in any question or wording below is equivalent to none.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from favor.aveb_prompts import AVEB_PROMPTS
from favor.evaluation.metrics.answer_words import words_of
from favor.evaluation.sample import EvalSample
from favor.evaluation.task import JudgePrompt
from favor.evaluation.tasks.avsd import JUDGE as DIALOGUE_JUDGE
from favor.evaluation.tasks.avssd import JUDGE as SOURCE_JUDGE
from favor.worlds.mini.avsd import AvsdScene
from favor.worlds.mini.moments import MomentsScene
from favor.worlds.mini.questions import ask_all
from favor.worlds.mini.world import COLOURS, SHAPES, SOUNDS, WORDS, is_held_out_shape

PROMPTS: tuple[JudgePrompt, ...] = (DIALOGUE_JUDGE, SOURCE_JUDGE)

# Kind of answer -> wordings; a kind's things are named in the order of their names.
WORDINGS = {
    "colour": ("{}", "It is {}.", "The colour is {}.", "the shape is {}", "the {} one", "{} is seen"),
    "shape": ("{}", "a {}", "the {}", "It is a {}.", "The shape is a {}.", "a {} is seen"),
    "look": (
        *("{} {}", "a {} {}", "the {} {}", "It is the {} {}.", "It is a {} {}.", "The sound comes from the {} {}."),
        *("The source of the sound is the {} {}.", "the {} {} sounds", "a shape that is {}: the {}"),
    ),
    "sound": ("{}", "a {}", "the {}", "It is the {}.", "the sound of a {}", "The {} is heard."),
    "word": ("{}", '"{}"', 'the word "{}"', "the word {}", 'The word "{}" is heard.', 'It is the word "{}".'),
    "nothing": ("nothing", "silence", "Nothing is heard.", "It is silence.", "none"),
    "yes": ("yes", "Yes", "Yes, it is.", "yes, it is"),
    "no": ("no", "No", "No, it is not.", "no, it is not"),
}
KIND_WEIGHTS = {"colour": 5, "shape": 2, "look": 8, "sound": 3, "word": 3, "nothing": 1, "yes": 2, "no": 2}
NAMES: dict[str, Sequence[str]] = {"colour": COLOURS, "shape": SHAPES, "sound": SOUNDS, "word": WORDS}
SAME_AS = {"silence": "nothing", "none": "nothing"}
JOINTS = (" ", ", ", " and ", ", then ")  # between the parts of an answer
STRANGE = ("I do not know.", "a car in the street", "the {} dog", "a {} {} on a table", "It looks {}, perhaps.", "")
_FACTS = frozenset([*COLOURS, *SHAPES, *SOUNDS, *WORDS, "nothing", "yes", "no"])
_MOST_LISTED = 8  # entries of an answer that lists half second by half second
_QUESTION_SCENES = 400


@dataclass(frozen=True)
class AnswerPair:
    """A filled judge's prompt, the right reply, and whether a look of the pair was kept from training."""

    prompt: str
    equivalent: bool
    held_out: bool


def equivalent(first: str, second: str) -> bool:
    """Whether two answers name the same things equally often (see above)."""
    named = _named(first)
    return bool(named) and named == _named(second)


def sample_pairs(count: int, seed: int, held_out: bool) -> list[AnswerPair]:
    """Pairs for one of the two prompts each, about as many equivalent as not.

    Args:
        held_out: whether each pair is to hold a (colour, shape) that AVEB-mini keeps from training, or none is.
    """
    rng = random.Random(f"mini judge/{seed}/{held_out}")
    pairs: list[AnswerPair] = []
    while len(pairs) < count:
        pair = _sample_pair(rng)
        if pair.held_out == held_out:
            pairs.append(pair)
    return pairs


@cache
def questions() -> tuple[str, ...]:
    """Different questions of AVEB-mini's training split that the dialogue judge may be told."""
    found: dict[str, None] = {}
    for index in range(_QUESTION_SCENES):
        dialogue = AvsdScene.sample("train", 0, index).questions(False, AVEB_PROMPTS)
        families = ask_all(MomentsScene.sample("train", 0, index).clip, random.Random(index)).values()
        for asked in (dialogue, *families):
            found |= dict.fromkeys(turn.question for question in asked for turn in question.turns)
    return tuple(found)


@cache
def known_words() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words that name things, and the other words of questions and answers; each in lower case, in a fixed order."""
    wordings = [text.replace("{}", "") for texts in WORDINGS.values() for text in texts]
    words = {word for text in (*questions(), AVEB_PROMPTS.avssd, *wordings, *JOINTS) for word in words_of(text)}
    names = _FACTS | set(SAME_AS)
    return tuple(sorted(names)), tuple(sorted(words - names))


def _named(answer: str) -> list[str] | None:
    """What an answer names, sorted; None if it has other words."""
    words = [SAME_AS.get(word, word) for word in words_of(answer)]
    if not _FACTS.union(known_words()[1]).issuperset(words):
        return None
    return sorted(word for word in words if word in _FACTS)


def _sample_pair(rng: random.Random) -> AnswerPair:
    source = rng.random() < 0.35
    reference, hypothesis = _mixed_answers(rng) if rng.random() < 0.2 else _answers(rng, source)
    if rng.random() < 0.05:
        hypothesis = ", ".join([hypothesis.rstrip(".")] * rng.randint(2, _MOST_LISTED))
    if rng.random() < 0.2:
        reference, hypothesis = hypothesis, reference
    question = AVEB_PROMPTS.avssd if source else rng.choice(questions())
    prompt = PROMPTS[source].fill(EvalSample("", [{"role": "user", "content": question}], {}, [reference]), hypothesis)
    odd = _shows_held_out(reference) or _shows_held_out(hypothesis)
    return AnswerPair(prompt, equivalent(reference, hypothesis), odd)


def _answers(rng: random.Random, source: bool) -> tuple[str, str]:
    """A reference as the benchmark has it, of a sound's `source` mostly a look, and an answer to compare with it."""
    kind = "look" if source and rng.random() < 0.7 else rng.choices(list(KIND_WEIGHTS), list(KIND_WEIGHTS.values()))[0]
    things = _things(rng, kind)
    return _say(rng, kind, things), _say(rng, kind, things) if rng.random() < 0.5 else _other_answer(rng, kind, things)


def _mixed_answers(rng: random.Random) -> tuple[str, str]:
    """Two lists of a few things of any kind, which are the same in another order, or differ in one of them.

    Nobody answers so; it is what makes the judge compare any things, and not only those that it saw together.
    """
    things = [thing for names in NAMES.values() for thing in names]
    first = rng.sample(things, rng.randint(1, 3))
    second = rng.sample(first, len(first))
    way = rng.randrange(6)  # half of them stay the same
    if way == 0:
        second[rng.randrange(len(second))] = rng.choice(things)
    elif way == 1:
        second.insert(rng.randint(0, len(second)), rng.choice(things))
    elif way == 2:
        second.pop()
    listed = [rng.choice(JOINTS).join(names) for names in (first, second)]
    return listed[0], listed[1]


def _things(rng: random.Random, kind: str) -> tuple[str, ...]:
    if kind == "look":
        return rng.choice(COLOURS), rng.choice(SHAPES)
    return (rng.choice(NAMES[kind]),) if kind in NAMES else ()


def _say(rng: random.Random, kind: str, things: Sequence[str]) -> str:
    """The things in one of the kind's wordings, the first letter large and a full stop there or not."""
    text = rng.choice(WORDINGS[kind]).format(*things)
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.3:
        text = text.removesuffix(".") if text.endswith(".") else f"{text}."
    return text


def _other_answer(rng: random.Random, kind: str, things: tuple[str, ...]) -> str:
    """An answer that mostly is not equivalent: a thing exchanged, left out or added; another kind; strange words."""
    way = rng.randrange(6)
    if way == 0 or (way > 3 and kind != "look"):
        other = rng.choice(list(KIND_WEIGHTS))
        return _say(rng, other, _things(rng, other))
    if way == 1:
        return rng.choice(STRANGE).format(*things, *_things(rng, "look"))
    if way == 2:
        added = rng.choice(("colour", "shape", "sound", "word", "look"))
        parts = [_say(rng, kind, things), _say(rng, added, _things(rng, added))]
        rng.shuffle(parts)
        return rng.choice(JOINTS).join(part.rstrip(".") for part in parts)
    if kind not in ("look", *NAMES):
        other = rng.choice([other for other in ("yes", "no", "nothing") if other != kind])
        return _say(rng, other, ())
    if kind != "look":
        return _say(rng, kind, _things(rng, kind))
    if way == 3:
        part = rng.randrange(2)
        return _say(rng, ("colour", "shape")[part], things[part : part + 1])
    colour, shape = things
    return _say(rng, kind, (rng.choice(COLOURS), shape) if way == 4 else (colour, rng.choice(SHAPES)))


def _shows_held_out(answer: str) -> bool:
    """Whether an answer names a colour and a shape that never go together in training."""
    words = set(words_of(answer))
    return any(is_held_out_shape(colour, shape) for colour in words & set(COLOURS) for shape in words & set(SHAPES))
