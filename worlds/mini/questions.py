# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Asks questions about a clip and answers them from its ground truth: those of `moments`.

Each family is a function of a clip and a random generator that returns every question it can ask of that clip; where
the answer would not be unique, the question is not asked.
"""

import random
from collections.abc import Callable

from ..question import Question, lesson
from .clip import Clip, Segment
from .sound_event import SoundEvent


def _sounding(event: SoundEvent, rng: random.Random) -> str:
    """The clause that names a moment by what is heard then."""
    if event.kind == "speech":
        texts = ('while the word "{}" is spoken', 'when "{}" is said', 'while you hear "{}"')
    else:
        texts = ("while the {} sounds", "when you hear the {}", "during the {}")
    return rng.choice(texts).format(event.name)


def colour_when(clip: Clip, rng: random.Random) -> list[Question]:
    """Colour at the start, at the end, and next to another colour."""

    def ask(question: str, segment: Segment) -> Question:
        return lesson("colour_when", "visual", question, segment.colour, segment.held_out)

    if not clip.segments:
        return []
    if len(clip.segments) == 1:
        texts = ("What colour is the shape?", "Which colour does the shape have?", "Name the colour of the shape.")
        return [ask(rng.choice(texts), clip.segments[0])]
    first, last = clip.segments[0], clip.segments[-1]
    start = ("What colour is the shape at the start?", "Which colour is seen first?", "What is the first colour?")
    end = ("What colour is the shape at the end?", "Which colour is seen last?", "What is the last colour?")
    found = [ask(rng.choice(start), first), ask(rng.choice(end), last)]
    for earlier, later in zip(clip.segments, clip.segments[1:], strict=False):
        after = (f"What colour comes after {earlier.colour}?", f"Which colour follows {earlier.colour}?")
        before = (f"What colour comes before {later.colour}?", f"Which colour is seen just before {later.colour}?")
        found += [ask(rng.choice(after), later), ask(rng.choice(before), earlier)]
    return found


def shape_when(clip: Clip, rng: random.Random) -> list[Question]:
    """Shape at the start and at the end."""

    def ask(texts: tuple[str, ...], segment: Segment) -> Question:
        return lesson("shape_when", "visual", rng.choice(texts), segment.shape, segment.held_out)

    if not clip.segments:
        return []
    if len(clip.segments) == 1:
        return [ask(("Which shape is shown?", "What shape is in the picture?", "Name the shape."), clip.segments[0])]
    start = ("Which shape is shown at the start?", "What is the first shape?", "Which shape is seen first?")
    end = ("Which shape is shown at the end?", "What is the last shape?", "Which shape is seen last?")
    return [ask(start, clip.segments[0]), ask(end, clip.segments[-1])]


def screen_word(clip: Clip, rng: random.Random) -> list[Question]:
    """The word written on the screen."""
    if not clip.screen_word:
        return []
    texts = ("Which word is written on the screen?", "What word can be read?", "Read the word on the screen.")
    return [lesson("screen_word", "visual", rng.choice(texts), clip.screen_word.word)]


def spoken_word(clip: Clip, rng: random.Random) -> list[Question]:
    """The spoken word, where there is exactly one."""
    spoken = [event for event in clip.events if event.kind == "speech"]
    if len(spoken) != 1:
        return []
    texts = ("Which word is spoken?", "What word do you hear?", "What is being said?")
    return [lesson("spoken_word", "audio", rng.choice(texts), spoken[0].name)]


def sound_order(clip: Clip, rng: random.Random) -> list[Question]:
    """The first and the last sound."""
    if not clip.events:
        return []
    if len(clip.events) == 1:
        texts = ("Which sound is heard?", "What kind of sound is it?")
        return [lesson("sound_order", "audio", rng.choice(texts), clip.events[0].kind)]
    first = ("Which sound comes first?", "What is the first sound?", "Which sound is heard first?")
    last = ("Which sound comes last?", "What is the last sound?", "Which sound is heard last?")
    return [
        lesson("sound_order", "audio", rng.choice(first), clip.events[0].kind),
        lesson("sound_order", "audio", rng.choice(last), clip.events[-1].kind),
    ]


def colour_while_sound(clip: Clip, rng: random.Random) -> list[Question]:
    """Colour at the moment of a sound."""
    found = []
    for event in clip.events if clip.segments else ():
        text = rng.choice(("What colour is the shape {}?", "Which colour is seen {}?", "What is the colour {}?"))
        question, answer = text.format(_sounding(event, rng)), clip.segment_of(event).colour
        found.append(lesson("colour_while_sound", "both", question, answer, clip.is_held_out(event)))
    return found


def shape_while_sound(clip: Clip, rng: random.Random) -> list[Question]:
    """Shape at the moment of a sound."""
    found = []
    for event in clip.events if clip.segments else ():
        text = rng.choice(("Which shape is shown {}?", "What shape is seen {}?", "What is the shape {}?"))
        question, segment = text.format(_sounding(event, rng)), clip.segment_of(event)
        held_out = clip.is_held_out(event) or segment.held_out
        found.append(lesson("shape_while_sound", "both", question, segment.shape, held_out))
    return found


def sound_while_colour(clip: Clip, rng: random.Random) -> list[Question]:
    """Sound at the moment of a colour, where that colour has exactly one sound."""
    found = []
    for segment in clip.segments:
        heard = clip.heard_in(segment)
        if len(heard) != 1:
            continue
        texts = ("Which sound is heard while the shape is {}?", "What sound do you hear while {} is shown?")
        question = rng.choice(texts).format(segment.colour)
        held_out = clip.is_held_out(heard[0])
        found.append(lesson("sound_while_colour", "both", question, heard[0].kind, held_out))
    return found


def _complete(labels: list[str | None]) -> list[str]:
    """The labels, or nothing where one is missing."""
    return [] if None in labels else [label for label in labels if label]


def timeline(clip: Clip, rng: random.Random) -> list[Question]:
    """Colour, shape and sound of every half second."""
    if clip.medium != "video":
        return []
    labels = clip.labels()
    entries = zip(_complete(labels["colour"]), _complete(labels["shape"]), _complete(labels["sound"]), strict=True)
    texts = (
        "List colour, shape and sound for every half second.",
        "Describe the clip half second by half second: colour, shape, sound.",
        "What is seen and heard in each half second?",
    )
    held_out = any(segment.held_out for segment in clip.segments) or any(map(clip.is_held_out, clip.events))
    answer = ", ".join(" ".join(entry) for entry in entries)
    return [lesson("timeline", "both", rng.choice(texts), answer, held_out)]


def _single_timeline(clip: Clip, rng: random.Random, label: str, plural: str, streams: str) -> list[Question]:
    values = _complete(clip.labels()[label])
    if clip.medium == "image" or not values:
        return []
    texts = (f"List only the {label} for every half second.", f"Name the {plural}, half second by half second.")
    held_out = streams == "visual" and any(segment.held_out for segment in clip.segments)
    return [lesson(f"timeline_{label}", streams, rng.choice(texts), ", ".join(values), held_out)]


def timeline_colour(clip: Clip, rng: random.Random) -> list[Question]:
    """Colour of every half second."""
    return _single_timeline(clip, rng, "colour", "colours", "visual")


def timeline_shape(clip: Clip, rng: random.Random) -> list[Question]:
    """Shape of every half second."""
    return _single_timeline(clip, rng, "shape", "shapes", "visual")


def timeline_sound(clip: Clip, rng: random.Random) -> list[Question]:
    """Sound of every half second."""
    return _single_timeline(clip, rng, "sound", "sounds", "audio")


def timeline_screen_word(clip: Clip, rng: random.Random) -> list[Question]:
    """The word on the screen in every half second, "none" where there is none."""
    if clip.medium != "video" or not clip.screen_word:
        return []
    values = [word or "none" for word in clip.labels()["screen_word"]]
    texts = (
        "List only the written word for every half second.",
        "Name the word on the screen, half second by half second.",
    )
    return [lesson("timeline_screen_word", "visual", rng.choice(texts), ", ".join(values))]


TASKS: dict[str, tuple[Callable[[Clip, random.Random], list[Question]], ...]] = {
    "image_video_qa": (colour_when, shape_when),
    "ocr": (screen_word,),
    "asr": (spoken_word,),
    "audio_qa": (sound_order,),
    "av_qa": (colour_while_sound, shape_while_sound, sound_while_colour),
    "timeline": (timeline, timeline_colour, timeline_shape, timeline_sound, timeline_screen_word),
}
TASK_OF = {family.__name__: task for task, families in TASKS.items() for family in families}
FAMILIES = frozenset(TASK_OF)
QUESTIONS_PER_CLIP = (6, 10)


def ask_all(clip: Clip, rng: random.Random) -> dict[str, list[Question]]:
    """Every question that can be asked of `clip`, by family; families that do not apply are left out."""
    found = {family.__name__: family(clip, rng) for families in TASKS.values() for family in families}
    return {name: questions for name, questions in found.items() if questions}


def sample_questions(clip: Clip, families: frozenset[str], every: bool = False) -> list[Question]:
    """Six to ten questions about `clip`, fewer where it does not give as many, spread over `families`.

    A video's full timeline is always among them if chosen. With `every` all questions are asked, each in one wording.
    """
    rng = random.Random(f"questions/{clip.seed}")
    if every:
        asked = ask_all(clip, rng)
        return [question for name in asked if name in families for question in asked[name]]
    count = rng.randint(*QUESTIONS_PER_CLIP)
    queues = {name: rng.sample(questions, len(questions)) for name, questions in ask_all(clip, rng).items()}
    queues = {name: queue for name, queue in queues.items() if name in families}
    chosen = queues.pop("timeline", [])
    while len(chosen) < count and any(queues.values()):
        waiting = [name for name, queue in queues.items() if queue]
        for name in rng.sample(waiting, len(waiting)):
            chosen.append(queues[name].pop())
    return chosen[:count]
