# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVM and AVSSD: does what is said or heard match what is shown, and which thing is the source of a sound?

Each stream by itself says nothing: of two variants either may be shown and either heard; and all things of a clip are
shown equally often, before one of them is drawn to be the source.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..question import Prompts, Question, lesson, single
from ..sampling import shown_and_heard
from .clip import Clip, Segment, draw_clip
from .names import a
from .picture import Sprite
from .scene import Draw, RealScene
from .sound import Event, mix
from .stills import RELATIONS, captions_of, in_cell, place_pair

_KINDS = (("image", True), ("image", False), ("video", True), ("video", False))
_SAYINGS = ("this is {}", "I can see {}", "a picture of {}", "there is {}", "look, {}")
_LEAST_PAIRED = 6  # things with picture and sound, for which a split has videos
_SHOWN_SECONDS = 1.0


@dataclass(frozen=True)
class AvmScene(RealScene):
    """A still and a spoken description, or a video of one thing and a real sound; `matches` is the answer."""

    task = "avm"

    medium: str
    matches: bool
    sprites: tuple[Sprite, ...]
    target: tuple[float, float]
    events: tuple[Event, ...]
    noise_level: float
    duration: float | None

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        medium, matches = draw.balanced(_KINDS)
        if draw.split == "people":
            return cls._read(draw, matches)
        if medium == "video" and len(draw.pool.both) >= _LEAST_PAIRED:
            return cls._sounding(draw, matches)
        return cls._described(draw, matches)

    @classmethod
    def _described(cls, draw: Draw, matches: bool) -> Self:
        """A still of one or two things. Another description names another thing, or turns their places around."""
        rng = draw.rng
        names, relation = rng.sample(draw.pool.seen, rng.randint(1, 2) + 1), rng.choice(RELATIONS)
        one, other = names[:-1], [*names[:-2], names[-1]]
        if len(one) == 2 and rng.random() < 0.5:
            other = one[::-1]
        shown, said = shown_and_heard(rng, (one, other), matches)
        event = draw.spoken(rng.choice(_SAYINGS).format(captions_of(said, relation)[0]))
        sprites = place_pair(draw, shown, relation)
        return cls(*draw.base, "image", matches, sprites, (0.5, 0.5), (event,), draw.noise(), None)

    @classmethod
    def _sounding(cls, draw: Draw, matches: bool) -> Self:
        rng = draw.rng
        shown, heard = shown_and_heard(rng, rng.sample(draw.pool.both, 2), matches)
        duration = rng.randint(6, 10) * 0.5
        sprite = in_cell(draw, shown, None)
        target = round(rng.uniform(0.4, 0.6), 3), round(rng.uniform(0.4, 0.6), 3)
        event = draw.sounding(heard, 0.3, duration - 0.3)
        return cls(*draw.base, "video", matches, (sprite,), target, (event,), draw.noise(), duration)

    @classmethod
    def _read(cls, draw: Draw, matches: bool) -> Self:
        rng = draw.rng
        by_thing = {one.thing: one for one in draw.pool.readings if one.thing in draw.pool.pictures}
        if len(by_thing) < 2:
            raise ValueError(
                f"people read {len(by_thing)} names of things that have pictures in {draw.root}, and a pair takes 2; "
                "remove its assets.json, and it is prepared anew."
            )
        shown, said = shown_and_heard(rng, rng.sample(list(by_thing.values()), 2), matches)
        sprite = in_cell(draw, shown.thing, None)
        return cls(*draw.base, "image", matches, (sprite,), (0.5, 0.5), (draw.read(said),), draw.noise(), None)

    @property
    def media(self) -> tuple[str, ...]:
        return ("video",) if self.medium == "video" else ("image", "audio")

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def heard(self) -> tuple[Event, ...]:
        return self.events

    def sound(self) -> np.ndarray:
        return mix(self.root, self.seed, self.events, self.noise_level, self.duration)

    def pictures(self) -> np.ndarray:
        if self.duration is None:
            return super().pictures()
        segment = Segment(0.0, self.duration, self.sprites[0], *self.target)
        return draw_clip(self.root, self.seed, Clip((segment,), ()))

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        question = prompts.avm_video if self.medium == "video" else prompts.avm_image
        heard, answer = self.events[0].name, "Yes" if self.matches else "No"
        extra = {"source": "video" if self.medium == "video" else "still", "heard": heard}
        asked = [single(f"avm_{self.medium}", "both", question, answer, extra=extra)]
        plain = (
            "Does what is said match what is shown?" if self.medium == "image" else "Does the sound match the picture?"
        )
        lessons = [
            lesson("avm_plain", "both", plain, answer),
            lesson("avm_seen", "visual", "What is shown?", " and ".join(a(sprite.thing) for sprite in self.sprites)),
            lesson("avm_heard", "audio", "What is said?" if self.medium == "image" else "What do you hear?", heard),
        ]
        return self.with_lesson(asked, lessons, every)


@dataclass(frozen=True)
class AvssdScene(RealScene):
    """Two or three things that are shown in turn, and a sound whenever number `source` is there."""

    task = "avssd"
    media = ("video",)

    sprites: tuple[Sprite, ...]
    order: tuple[int, ...]
    source: int
    events: tuple[Event, ...]
    noise_level: float

    @classmethod
    def _sample(cls, draw: Draw) -> Self:
        rng = draw.rng
        count = rng.randint(2, 3)
        names = rng.sample(draw.pool.seen, count)
        cells = rng.sample(range(4), count)
        sprites = tuple(in_cell(draw, name, cell) for name, cell in zip(names, cells, strict=True))
        order = [number for number in range(count) for _ in range(3 if count == 2 else 2)]
        rng.shuffle(order)
        source, sounding = rng.randrange(count), rng.choice([one for one in draw.pool.heard if one not in names])
        file, level = draw.sound_file(sounding), round(rng.uniform(0.5, 0.95), 2)
        events = tuple(
            Event(place * _SHOWN_SECONDS + 0.1, (place + 1) * _SHOWN_SECONDS - 0.1, sounding, level, False, file)
            for place, number in enumerate(order)
            if number == source
        )
        return cls(*draw.base, sprites, tuple(order), source, events, draw.noise())

    def things(self) -> tuple[Sprite, ...]:
        return self.sprites

    def heard(self) -> tuple[Event, ...]:
        return self.events

    def pictures(self) -> np.ndarray:
        segments = tuple(
            Segment(place * _SHOWN_SECONDS, (place + 1) * _SHOWN_SECONDS, sprite, sprite.x, sprite.y)
            for place, sprite in enumerate(self.sprites[number] for number in self.order)
        )
        return draw_clip(self.root, self.seed, Clip(segments, ()))

    def sound(self) -> np.ndarray:
        return mix(self.root, self.seed, self.events, self.noise_level, len(self.order) * _SHOWN_SECONDS)

    def questions(self, every: bool, prompts: Prompts) -> list[Question]:
        source = self.sprites[self.source].thing
        asked = single(
            "avssd", "both", prompts.avssd, f"the {source}", references=(f"the {source}",), extra={"class": source}
        )
        seen = ", ".join(a(self.sprites[number].thing) for number in self.order)
        return [asked, *([lesson("avssd_seen", "visual", "What is shown, in its order?", seen)] if every else [])]
