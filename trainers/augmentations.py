# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The paper's augmentations as functions of one sample: random pairs, matching questions, one modality alone.

A transform is called with the sample, a random generator of that sample's own, and `draw(source)`, which gives a
random sample of a named source (None: of its own). It returns a new sample; the given one is not changed.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from favor.processing.media_names_favor import MEDIA_KINDS, MediaKind

from .bad_samples import BadSampleError
from .sample_columns import MediaValue, Sample, Turn, media_of_turns

Draw: TypeAlias = Callable[[str | None], Sample]
Transform: TypeAlias = Callable[[Sample, random.Random, Draw], Sample]
TransformSpec: TypeAlias = str | Mapping[str, Mapping[str, object] | None] | Transform  # name, or name: options
MAX_DRAWS = 100  # samples drawn in search of one with the stream that is needed


@dataclass(frozen=True)
class PairRandomly:
    """
    Gives a sample the sound (or, to a sound, the picture) of a random one of another source (paper, section 4.3).

    Both questions are joined to one, and both answers; or one of the two is asked alone, so that the model has to
    choose the stream. Of several turns the first question is joined. A sample with both streams is not changed.

    Args:
        partner: name of the source of the other stream.
        share: of the samples that are paired, from 0 to 1.
        joined: share of the pairs with both questions, from 0 to 1; in the others either one stands alone.
        prompt: the joined question of `{picture}` ("video" or "image"), `{visual}` and `{audio}` (the questions).
    """

    partner: str
    share: float = 1.0
    joined: float = 0.5
    prompt: str = "In the {picture}, {visual}, and, in the audio, {audio}"

    def __post_init__(self) -> None:
        check_shares(self, "share", "joined")

    def __call__(self, sample: Sample, rng: random.Random, draw: Draw) -> Sample:
        chosen, alone = rng.random() < self.share, rng.random()
        if not chosen or not media_of(sample) or (has_picture(sample) and sample.get("audio") is not None):
            return sample
        if has_picture(sample):
            visual, heard = sample, search(draw, self.partner, sound_of)
        else:
            visual, heard = search(draw, self.partner, picture_of), sample
        paired: Sample = {
            "video": visual.get("video"),
            "image": visual.get("image"),
            "audio": sound_of(heard),
            "use_own_audio": False,
            "origin": sample.get("origin"),
        }
        if alone >= self.joined:
            asked = visual if alone < self.joined + (1 - self.joined) / 2 else heard
            return {**paired, "messages": asked["messages"]}
        question, answer = first_turn(visual)
        other_question, other_answer = first_turn(heard)
        picture = "image" if visual.get("image") is not None else "video"
        text = self.prompt.format(picture=picture, visual=inner(question), audio=begin_small(other_question))
        return {**paired, "messages": turns(text, f"{end_sentence(answer)} {begin_large(other_answer)}")}


@dataclass(frozen=True)
class MatchAudio:
    """
    Asks whether picture and sound belong together, and answers "No." where another sample's sound was put in.

    For samples with a picture and a sound of their own (a video whose file has a sound track, or a picture with
    `audio`); others are not changed. Whether a video's file has a sound track is not looked at: choose such sources.

    Args:
        share: of the samples that are asked so, from 0 to 1; the others keep their messages.
        swapped: share of the asked that get another sound.
        partner: source of the other sounds; by default the sample's own.
        questions: of which one is chosen.
    """

    share: float = 1.0
    swapped: float = 0.5
    partner: str | None = None
    questions: Sequence[str] = (
        "Does the audio match the video? Answer yes or no.",
        "Do the sound and the pictures belong together?",
        "Is this the sound of what is shown?",
    )

    def __post_init__(self) -> None:
        check_shares(self, "share", "swapped")
        if isinstance(self.questions, str) or not self.questions:
            raise ValueError(f"match_audio: questions must be a list of them, but it is {self.questions!r}.")

    def __call__(self, sample: Sample, rng: random.Random, draw: Draw) -> Sample:
        chosen, swap, question = rng.random() < self.share, rng.random() < self.swapped, rng.choice(self.questions)
        own = sound_of(sample)
        if not chosen or not has_picture(sample) or own is None:
            return sample
        if not swap:
            return {**sample, "messages": turns(question, "Yes.")}
        other = search(draw, self.partner, lambda found: sound_of(found) not in (None, own))
        return {**sample, "audio": sound_of(other), "use_own_audio": False, "messages": turns(question, "No.")}


@dataclass(frozen=True)
class MaskModality:
    """
    Leaves one modality: training data of the audio-only and the visual-only system (paper, table 2).

    A sample without the kept modality has nothing left to ask about; sources drop those before (see
    [`keeps_something`]). Of blocks in the turns, those of the modality stay; a video becomes the sound of its file.

    Args:
        keep: "audio" (a video is its sound track) or "visual" (a video is its pictures).
    """

    keep: Literal["audio", "visual"]

    def __post_init__(self) -> None:
        if self.keep not in ("audio", "visual"):
            raise ValueError(f"mask_modality: keep must be 'audio' or 'visual', but it is {self.keep!r}.")

    def __call__(self, sample: Sample, rng: random.Random, draw: Draw) -> Sample:
        if not self.keeps_something(sample):
            raise BadSampleError(
                "malformed", f"it has no {self.keep} stream to keep.", sample.get("origin") or "a sample"
            )
        turns = [{**turn, "content": self.kept(turn["content"], sample)} for turn in sample["messages"]]
        masked = cast(Sample, {**sample, "messages": turns})
        if self.keep == "visual":
            return {**masked, "audio": None, "use_own_audio": False}
        return {**masked, "audio": sound_of(sample), "video": None, "image": None}

    def kept(self, content: str | Sequence[Mapping[str, Any]], sample: Sample) -> str | list[dict[str, Any]]:
        """A turn's content with the blocks of the kept modality."""
        if isinstance(content, str):
            return content
        blocks: list[dict[str, Any]] = []
        for block, after in zip(content, [*content[1:], {}], strict=True):
            kind = block["type"]
            if kind == "video" and self.keep == "audio":
                # A sound behind a video replaces the video's own; a list of pictures has none.
                heard = after.get("type") != "audio" and sample.get("use_own_audio") is not False
                if heard and isinstance(block.get("path", block.get("video")), (str, bytes, bytearray)):
                    named = {"audio" if key == "video" else key: held for key, held in block.items()}
                    blocks.append({**named, "type": "audio"})
            elif kind == "text" or (kind == "audio") == (self.keep == "audio"):
                blocks.append(dict(block))
        return blocks

    def keeps_something(self, sample: Sample) -> bool:
        """Whether the sample has the modality that is kept, or no medium at all."""
        asked = media_of_turns(sample)
        if not media_of(sample) and not asked:
            return True
        kept = [self.kept(turn["content"], sample) for turn in sample["messages"]] if asked else []
        if any(block["type"] != "text" for content in kept if not isinstance(content, str) for block in content):
            return True
        return has_picture(sample) if self.keep == "visual" else sound_of(sample) is not None


TRANSFORMS = {"pair_randomly": PairRandomly, "match_audio": MatchAudio, "mask_modality": MaskModality}


def build_transforms(specs: Sequence[TransformSpec], where: str) -> list[Transform]:
    """Transforms of a recipe: each entry is a name, or a mapping of one name to its options; callables are kept."""
    built: list[Transform] = []
    for spec in specs:
        if callable(spec):
            built.append(spec)
            continue
        name, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()), (None, {}))
        if name not in TRANSFORMS or (not isinstance(spec, str) and len(spec) != 1):
            raise ValueError(f"{where}: {spec!r} is no transform; there are {', '.join(TRANSFORMS)}, one an entry.")
        known = {field.name: field for field in dataclasses.fields(TRANSFORMS[name])}
        options = dict(options or {})
        unknown = set(options) - set(known)
        missing = [n for n, field in known.items() if field.default is dataclasses.MISSING and n not in options]
        if unknown or missing:
            wrong = f"has no {', '.join(sorted(unknown))}" if unknown else f"needs {', '.join(missing)}"
            raise ValueError(f"{where}: {name} {wrong}; its options are {', '.join(known)}.")
        built.append(TRANSFORMS[name](**options))
    return built


def check_shares(transform: PairRandomly | MatchAudio, *names: str) -> None:
    for name in names:
        value = getattr(transform, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} of a transform must lie between 0 and 1, but it is {value}.")


def media_of(sample: Sample) -> list[MediaKind]:
    """Which media a sample has."""
    return [kind for kind in MEDIA_KINDS if sample.get(kind) is not None]


def has_picture(sample: Sample) -> bool:
    return sample.get("video") is not None or sample.get("image") is not None


def picture_of(sample: Sample) -> MediaValue | None:
    """The file with the sample's pictures, or None."""
    return sample.get("image") if sample.get("video") is None else sample.get("video")


def sound_of(sample: Sample) -> MediaValue | None:
    """The file with the sample's sound, which may be a video, or None."""
    if sample.get("audio") is not None:
        return sample["audio"]
    return None if sample.get("use_own_audio") is False else sample.get("video")


def search(draw: Draw, source: str | None, wanted: Callable[[Sample], object]) -> Sample:
    """The first of some random samples for which `wanted` holds."""
    for _ in range(MAX_DRAWS):
        found = draw(source)
        if wanted(found) not in (None, False):
            return found
    raise ValueError(
        f"None of {MAX_DRAWS} samples of {source or 'the same source'} has the stream that a transform needs; choose "
        "another partner."
    )


def turns(question: str, answer: str) -> list[Turn]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def first_turn(sample: Sample) -> tuple[str, str]:
    """First question and first answer."""
    said = {turn["role"]: turn["content"].strip() for turn in reversed(sample["messages"])}
    return said["user"], said["assistant"]


def inner(question: str) -> str:
    """A question as a part of a longer sentence."""
    return begin_small(question).rstrip(" .?!")


def begin_small(text: str) -> str:
    """Small first letter, but for "I" and abbreviations."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def begin_large(text: str) -> str:
    return text[:1].upper() + text[1:]


def end_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
