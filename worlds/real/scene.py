# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the scenes of this world have in common: what they are sampled from, and how they are drawn and heard."""

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..sampling import Choice, balanced, hashed_seed
from ..scene import Scene
from ..timeline import NOTHING
from .assets import Asset, Assets, Pool
from .picture import Sign, Sprite, draw_background, draw_things
from .sound import Event, mix
from .voices import VOICES, Utterance, Voice, check_voice

FRAME_RATE = 4
STILL_SUFFIX = ".jpg"
_PAUSE = 0.15  # seconds of quiet before and after speech


@dataclass(frozen=True)
class Draw:
    """What a scene is sampled from: its number, its own random generator, and what its split may use."""

    root: str
    split: str
    index: int
    seed: int
    rng: random.Random
    pool: Pool
    siblings: str  # names all scenes of its task and split together

    @property
    def base(self) -> tuple[str, int, int, str, str]:
        """The fields that every scene has."""
        return self.split, self.index, self.seed, "standard", self.root

    def balanced(self, options: Sequence[Choice]) -> Choice:
        """The option of this item, each as often as the others."""
        return balanced(self.siblings, self.index, options)

    def voice(self) -> Voice:
        """One of the split's voices."""
        return self.rng.choice(VOICES[self.split])

    def utterance(self, text: str, voice: Voice | None = None) -> Utterance:
        """The text in one of the split's voices; for training at different speeds and by nearly other speakers."""
        varied = self.split in ("train", "validation")
        speed = self.rng.choice((0.85, 0.95, 1.0, 1.1, 1.2)) if varied else self.rng.choice((0.9, 1.0, 1.1))
        shift = self.rng.choice((0.9, 0.95, 1.0, 1.0, 1.05, 1.1)) if varied else 1.0
        return Utterance(text, voice or self.voice(), speed, shift)

    def spoken(self, text: str, start: float = _PAUSE, end: float = 0.0) -> Event:
        """The text spoken from `start` on, as long as it takes or until `end`."""
        said = self.utterance(text)
        return Event(start, end, text, round(self.rng.uniform(0.4, 0.9), 2), True, utterance=said)

    def read(self, reading: Asset) -> Event:
        """A person's recording, as long as it is."""
        return Event(_PAUSE, 0.0, reading.text, round(self.rng.uniform(0.5, 0.9), 2), True, file=reading.path)

    def sounding(self, thing: str, start: float, end: float) -> Event:
        """The thing's sound from `start` to `end`."""
        return Event(start, end, thing, round(self.rng.uniform(0.5, 0.95), 2), False, self.sound_file(thing))

    def noise(self) -> float:
        """How loud the noise under everything is."""
        return round(10 ** self.rng.uniform(-3.5, -1.9), 5)

    def picture_of(self, thing: str) -> str:
        """One of the thing's pictures."""
        return self.rng.choice(self.pool.pictures[thing])

    def sound_file(self, thing: str) -> str:
        """One of the thing's sounds."""
        return self.rng.choice(self.pool.sounds[thing])

    def sprite(self, thing: str, x: float, y: float, size: float, file: str | None = None) -> Sprite:
        """The thing with its centre at (x, y), in one of its pictures and a little different each time."""
        rng = self.rng
        tone = (round(rng.uniform(0.85, 1.15), 2), round(rng.uniform(0.85, 1.15), 2), round(rng.uniform(0.8, 1.2), 2))
        picture = file or self.picture_of(thing)
        angle = round(rng.uniform(-12, 12), 1)
        return Sprite(thing, picture, round(x, 3), round(y, 3), round(size, 3), angle, rng.random() < 0.5, tone)


@dataclass(frozen=True)
class RealScene(Scene):
    """A scene of this world: stills are (1, 224, 224, 3), videos have 4 pictures a second."""

    frame_rate = FRAME_RATE
    suffixes: ClassVar[dict[str, str]] = {**Scene.suffixes, "image": STILL_SUFFIX}

    root: str

    @classmethod
    def sample(
        cls, split: str, seed: int, index: int, difficulty: str = "standard", assets: Assets | None = None
    ) -> Self:
        if assets is None:
            raise ValueError("assets is None: a scene of this world is sampled from prepared assets; pass them.")
        own_seed = hashed_seed(f"real/{cls.task}/{split}/{seed}/{index}")
        siblings = f"real/{cls.task}/{split}/{seed}"
        rng = random.Random(own_seed)
        return cls._sample(Draw(assets.root, split, index, own_seed, rng, assets.pool(split), siblings))

    @classmethod
    @abstractmethod
    def _sample(cls, draw: Draw) -> Self:
        """Samples the fields after those of `draw.base`."""

    def things(self) -> tuple[Sprite, ...]:
        """What is seen in a still."""
        return ()

    def signs(self) -> tuple[Sign, ...]:
        """What is written in a still."""
        return ()

    def heard(self) -> tuple[Event, ...]:
        """All sounds; a still has none."""
        return ()

    def pictures(self) -> np.ndarray:
        background = draw_background(self.root, self.seed, self.things())
        return draw_things(self.root, background, self.things(), self.signs())[None]

    def labels(self) -> dict[str, list[str | None]]:
        return {"seen": [sprite.thing for sprite in self.things()]} if self.things() else {}

    def to_dict(self) -> dict[str, Any]:
        values = {key: value for key, value in super().to_dict().items() if key != "root"}
        values.setdefault("events", [asdict(event) for event in self.heard()])
        return values

    def check_renderable(self) -> None:
        for voice in {event.utterance.voice for event in self.heard() if event.utterance}:
            check_voice(self.root, voice)

    def half_second_words(self, line: Mapping[str, Any]) -> list[list[str]]:
        """A row (seen, nothing, heard, nothing) for each label, which is one for a still."""
        seen, heard = line.get("seen") or [], line.get("sound") or []
        rows = max(len(seen), len(heard), 1)
        seen, heard = ([*names, *[None] * (rows - len(names))] for names in (seen, heard))
        return [[one or NOTHING, NOTHING, other or NOTHING, NOTHING] for one, other in zip(seen, heard, strict=True)]


class Sounding:
    """The sound of a scene that has `events` and `noise_level` among its fields."""

    root: str
    seed: int
    events: tuple[Event, ...]
    noise_level: float

    def heard(self) -> tuple[Event, ...]:
        return self.events

    def sound(self) -> np.ndarray:
        return mix(self.root, self.seed, self.events, self.noise_level)
