# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Takes sound or pictures away from samples, or gives them another sample's sound: what a system loses it had used."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from favor.processing import load_media

from .json_fields import Fields, JsonObject
from .sample import EvalSample

PROBE_SECONDS = 0.5


@dataclass(frozen=True)
class Controls:
    """What is withheld from a system.

    Attributes:
        audio: "on", "off" (no sound: no file, and a video's own is muted) or "shuffled" (the sound of another sample).
        video: "on" or "off" (no picture; a video's own sound is still heard).
        seed: of the permutation of sounds.
    """

    audio: str = "on"
    video: str = "on"
    seed: int = 0

    def __post_init__(self):
        if self.audio not in ("on", "off", "shuffled") or self.video not in ("on", "off"):
            raise ValueError(
                f"audio={self.audio!r}, video={self.video!r} are no controls: audio is 'on', 'off' or 'shuffled', "
                "video 'on' or 'off'."
            )

    @property
    def name(self) -> str:
        """For a table: "full", "no audio", "no video", "shuffled audio" or "text only"."""
        if self.audio == "off" and self.video == "off":
            return "text only"
        parts = {"off": ["no audio"], "shuffled": ["shuffled audio"], "on": []}[self.audio]
        return ", ".join(parts + (["no video"] if self.video == "off" else [])) or "full"

    def to_json(self) -> JsonObject:
        """The values, without the seed where nothing is drawn."""
        drawn = {"seed": self.seed} if self.audio == "shuffled" else {}
        return {"audio": self.audio, **drawn, "video": self.video}

    @classmethod
    def read(cls, fields: Fields) -> "Controls":
        """Raises `ValueError` for an unknown name, too: what it withholds cannot be told."""
        unknown = sorted(set(fields.names()) - {"audio", "video", "seed"})
        if unknown:
            raise ValueError(f"{fields.where(unknown[0])} is no control: they are audio, video and seed.")
        try:
            return cls(fields.text("audio", "on"), fields.text("video", "on"), fields.integer("seed", 0))
        except ValueError as error:
            raise error if str(fields.file) in str(error) else ValueError(f"{fields.file}: {error}") from None


def apply_controls(samples: Sequence[EvalSample], controls: Controls) -> list[EvalSample]:
    """The samples with media taken away or exchanged.

    Shuffling permutes the *different* sounds of the task, each to another one's place, so that all turns of a dialogue
    hear the same wrong sound, and a sample never its own.

    Raises `ValueError` if there is only one sound to shuffle, or a file cannot be read.
    """
    changed = list(samples)
    if controls.audio == "off":
        changed = [_without_audio(sample) for sample in changed]
    elif controls.audio == "shuffled":
        other = _exchange([sound for sample in changed if (sound := _sound_of(sample))], controls.seed)
        changed = [_with_audio(sample, other) for sample in changed]
    if controls.video == "off":
        changed = [_without_video(sample) for sample in changed]
    return changed


def _without_audio(sample: EvalSample) -> EvalSample:
    media = {kind: path for kind, path in sample.media.items() if kind != "audio"}
    return replace(sample, media=media, use_own_audio=False)


def _without_video(sample: EvalSample) -> EvalSample:
    sound = _sound_of(sample)
    return replace(sample, media={"audio": sound} if sound else {})


def _with_audio(sample: EvalSample, other: dict[str, str]) -> EvalSample:
    sound = _sound_of(sample)
    return replace(sample, media={**sample.media, "audio": other[sound]}) if sound else sample


def _sound_of(sample: EvalSample) -> str | None:
    """The file whose sound the sample hears, if any."""
    if "audio" in sample.media:
        return sample.media["audio"]
    video = sample.media.get("video")
    return video if video and sample.use_own_audio and has_sound(video) else None


@cache
def has_sound(path: str) -> bool:
    """Whether a media file has a sound track. Raises `ValueError` if it is no media file."""
    return load_media(path, end=PROBE_SECONDS, size=(16, 16)).audio is not None


def _exchange(sounds: list[str], seed: int) -> dict[str, str]:
    """Each different sound to another one: a random cyclic permutation (Sattolo), which leaves none in its place."""
    distinct = sorted(set(sounds))
    if len(distinct) == 1:
        raise ValueError(f"Only one sound to shuffle, {distinct[0]}: at least two different ones are needed.")
    order, rng = list(range(len(distinct))), random.Random(seed)
    for last in range(len(order) - 1, 0, -1):
        other = rng.randrange(last)
        order[last], order[other] = order[other], order[last]
    return {sound: distinct[order[index]] for index, sound in enumerate(distinct)}
