# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Asks questions about a scene and answers them from its ground truth.

Each family is a function of a scene and a random generator that returns every question it can ask of that scene; where
the answer would not be unique, the question is not asked.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .scene import Scene, Segment, SoundEvent, half_second_labels, is_held_out_shape, is_held_out_sound


@dataclass(frozen=True)
class Question:
    """A question, its reference answer, the streams needed for it, and whether it is about a held-out combination."""

    question: str
    answer: str
    family: str
    streams: str
    held_out: bool = False


def _odd_look(segment: Segment) -> bool:
    return is_held_out_shape(segment.colour, segment.shape)


def _odd_moment(scene: Scene, event: SoundEvent) -> bool:
    return is_held_out_sound(scene.segment_of(event).colour, event.kind)


def _sounding(event: SoundEvent, rng: random.Random) -> str:
    """The clause that names a moment by what is heard then."""
    if event.kind == "speech":
        texts = ('while the word "{}" is spoken', 'when "{}" is said', 'while you hear "{}"')
    else:
        texts = ("while the {} sounds", "when you hear the {}", "during the {}")
    return rng.choice(texts).format(event.name)


def colour_when(scene: Scene, rng: random.Random) -> list[Question]:
    """Colour at the start, at the end, and next to another colour."""

    def ask(question: str, segment: Segment) -> Question:
        return Question(question, segment.colour, "colour_when", "visual", _odd_look(segment))

    if not scene.segments:
        return []
    if len(scene.segments) == 1:
        texts = ("What colour is the shape?", "Which colour does the shape have?", "Name the colour of the shape.")
        return [ask(rng.choice(texts), scene.segments[0])]
    first, last = scene.segments[0], scene.segments[-1]
    start = ("What colour is the shape at the start?", "Which colour is seen first?", "What is the first colour?")
    end = ("What colour is the shape at the end?", "Which colour is seen last?", "What is the last colour?")
    found = [ask(rng.choice(start), first), ask(rng.choice(end), last)]
    for earlier, later in zip(scene.segments, scene.segments[1:], strict=False):
        after = (f"What colour comes after {earlier.colour}?", f"Which colour follows {earlier.colour}?")
        before = (f"What colour comes before {later.colour}?", f"Which colour is seen just before {later.colour}?")
        found += [ask(rng.choice(after), later), ask(rng.choice(before), earlier)]
    return found


def shape_when(scene: Scene, rng: random.Random) -> list[Question]:
    """Shape at the start and at the end."""

    def ask(texts: tuple[str, ...], segment: Segment) -> Question:
        return Question(rng.choice(texts), segment.shape, "shape_when", "visual", _odd_look(segment))

    if not scene.segments:
        return []
    if len(scene.segments) == 1:
        return [ask(("Which shape is shown?", "What shape is in the picture?", "Name the shape."), scene.segments[0])]
    start = ("Which shape is shown at the start?", "What is the first shape?", "Which shape is seen first?")
    end = ("Which shape is shown at the end?", "What is the last shape?", "Which shape is seen last?")
    return [ask(start, scene.segments[0]), ask(end, scene.segments[-1])]


def screen_word(scene: Scene, rng: random.Random) -> list[Question]:
    """The word written on the screen."""
    if not scene.screen_word:
        return []
    texts = ("Which word is written on the screen?", "What word can be read?", "Read the word on the screen.")
    return [Question(rng.choice(texts), scene.screen_word.word, "screen_word", "visual")]


def spoken_word(scene: Scene, rng: random.Random) -> list[Question]:
    """The spoken word, where there is exactly one."""
    spoken = [event for event in scene.events if event.kind == "speech"]
    if len(spoken) != 1:
        return []
    texts = ("Which word is spoken?", "What word do you hear?", "What is being said?")
    return [Question(rng.choice(texts), spoken[0].name, "spoken_word", "audio")]


def sound_order(scene: Scene, rng: random.Random) -> list[Question]:
    """The first and the last sound."""
    if not scene.events:
        return []
    if len(scene.events) == 1:
        texts = ("Which sound is heard?", "What kind of sound is it?")
        return [Question(rng.choice(texts), scene.events[0].kind, "sound_order", "audio")]
    first = ("Which sound comes first?", "What is the first sound?", "Which sound is heard first?")
    last = ("Which sound comes last?", "What is the last sound?", "Which sound is heard last?")
    return [
        Question(rng.choice(first), scene.events[0].kind, "sound_order", "audio"),
        Question(rng.choice(last), scene.events[-1].kind, "sound_order", "audio"),
    ]


def colour_while_sound(scene: Scene, rng: random.Random) -> list[Question]:
    """Colour at the moment of a sound."""
    found = []
    for event in scene.events if scene.segments else ():
        text = rng.choice(("What colour is the shape {}?", "Which colour is seen {}?", "What is the colour {}?"))
        question, answer = text.format(_sounding(event, rng)), scene.segment_of(event).colour
        found.append(Question(question, answer, "colour_while_sound", "both", _odd_moment(scene, event)))
    return found


def shape_while_sound(scene: Scene, rng: random.Random) -> list[Question]:
    """Shape at the moment of a sound."""
    found = []
    for event in scene.events if scene.segments else ():
        text = rng.choice(("Which shape is shown {}?", "What shape is seen {}?", "What is the shape {}?"))
        question, segment = text.format(_sounding(event, rng)), scene.segment_of(event)
        held_out = _odd_moment(scene, event) or _odd_look(segment)
        found.append(Question(question, segment.shape, "shape_while_sound", "both", held_out))
    return found


def sound_while_colour(scene: Scene, rng: random.Random) -> list[Question]:
    """Sound at the moment of a colour, where that colour has exactly one sound."""
    found = []
    for segment in scene.segments:
        heard = [event for event in scene.events if scene.segment_of(event) == segment]
        if len(heard) != 1:
            continue
        texts = ("Which sound is heard while the shape is {}?", "What sound do you hear while {} is shown?")
        question = rng.choice(texts).format(segment.colour)
        answer, held_out = heard[0].kind, _odd_moment(scene, heard[0])
        found.append(Question(question, answer, "sound_while_colour", "both", held_out))
    return found


def _complete(labels: list[str | None]) -> list[str]:
    """The labels, or nothing where one is missing."""
    return [] if None in labels else [label for label in labels if label]


def timeline(scene: Scene, rng: random.Random) -> list[Question]:
    """Colour, shape and sound of every half second."""
    if scene.medium != "video":
        return []
    labels = half_second_labels(scene)
    entries = zip(_complete(labels["colour"]), _complete(labels["shape"]), _complete(labels["sound"]), strict=True)
    texts = (
        "List colour, shape and sound for every half second.",
        "Describe the clip half second by half second: colour, shape, sound.",
        "What is seen and heard in each half second?",
    )
    held_out = any(map(_odd_look, scene.segments)) or any(_odd_moment(scene, event) for event in scene.events)
    answer = ", ".join(" ".join(entry) for entry in entries)
    return [Question(rng.choice(texts), answer, "timeline", "both", held_out)]


def _single_timeline(scene: Scene, rng: random.Random, label: str, plural: str, streams: str) -> list[Question]:
    values = _complete(half_second_labels(scene)[label])
    if scene.medium == "image" or not values:
        return []
    texts = (f"List only the {label} for every half second.", f"Name the {plural}, half second by half second.")
    held_out = streams == "visual" and any(map(_odd_look, scene.segments))
    return [Question(rng.choice(texts), ", ".join(values), f"timeline_{label}", streams, held_out)]


def timeline_colour(scene: Scene, rng: random.Random) -> list[Question]:
    """Colour of every half second."""
    return _single_timeline(scene, rng, "colour", "colours", "visual")


def timeline_shape(scene: Scene, rng: random.Random) -> list[Question]:
    """Shape of every half second."""
    return _single_timeline(scene, rng, "shape", "shapes", "visual")


def timeline_sound(scene: Scene, rng: random.Random) -> list[Question]:
    """Sound of every half second."""
    return _single_timeline(scene, rng, "sound", "sounds", "audio")


def timeline_screen_word(scene: Scene, rng: random.Random) -> list[Question]:
    """The word on the screen in every half second, "none" where there is none."""
    if scene.medium != "video" or not scene.screen_word:
        return []
    values = [word or "none" for word in half_second_labels(scene)["screen_word"]]
    texts = (
        "List only the written word for every half second.",
        "Name the word on the screen, half second by half second.",
    )
    return [Question(rng.choice(texts), ", ".join(values), "timeline_screen_word", "visual")]


TASKS: dict[str, tuple[Callable[[Scene, random.Random], list[Question]], ...]] = {
    "image_video_qa": (colour_when, shape_when),
    "ocr": (screen_word,),
    "asr": (spoken_word,),
    "audio_qa": (sound_order,),
    "av_qa": (colour_while_sound, shape_while_sound, sound_while_colour),
    "timeline": (timeline, timeline_colour, timeline_shape, timeline_sound, timeline_screen_word),
}
TASK_OF = {family.__name__: task for task, families in TASKS.items() for family in families}
QUESTIONS_PER_SCENE = (6, 10)


def ask_all(scene: Scene, rng: random.Random) -> dict[str, list[Question]]:
    """Every question that can be asked of `scene`, by family; families that do not apply are left out."""
    found = {family.__name__: family(scene, rng) for families in TASKS.values() for family in families}
    return {name: questions for name, questions in found.items() if questions}


def sample_questions(scene: Scene, families: frozenset[str], every: bool = False) -> list[Question]:
    """Six to ten questions about `scene`, fewer where it does not give as many, spread over `families`.

    A video's full timeline is always among them if chosen. With `every` all questions are asked, each in one wording.
    """
    rng = random.Random(f"questions/{scene.seed}")
    if every:
        asked = ask_all(scene, rng)
        return [question for name in asked if name in families for question in asked[name]]
    count = rng.randint(*QUESTIONS_PER_SCENE)
    queues = {name: rng.sample(questions, len(questions)) for name, questions in ask_all(scene, rng).items()}
    queues = {name: queue for name, queue in queues.items() if name in families}
    chosen = queues.pop("timeline", [])
    while len(chosen) < count and any(queues.values()):
        waiting = [name for name, queue in queues.items() if queue]
        for name in rng.sample(waiting, len(waiting)):
            chosen.append(queues[name].pop())
    return chosen[:count]
