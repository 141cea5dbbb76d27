# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Prepares what this world is rendered from: fetches packages, cuts out pictures and sounds, writes the index."""

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from favor.processing import load_media

from ..sampling import hashed_seed
from ..scene import SAMPLING_RATE
from ..video_file import write_sound
from .assets import DRAWINGS, INDEX, Asset, Assets
from .emoji import file_pictures, noto_pictures, read_emoji_things
from .packages import EMOJI_NAMES, FLUENT, NOTO, STAMPS, TWITTER, WORDNET, Package, fetch_packages, sha256_of
from .sound_folders import TEST_FOLD, read_digits, read_sounds
from .stamps import Stamp, read_stamps

_PICTURE_SIDE = 192  # pixels, of the longer side at most
_LEAST_SIDE = 40  # of a stamp; smaller ones cannot be told apart once they are scaled
_SOUND_SECONDS = 5.0
_SILENT = 1e-3
_QUIET = 0.03  # of the peak, below which the ends of a sound are cut off
_HELD_OUT_PHOTOS = 0.3  # share of things that have photos, and drawings by a vendor, whose photos are for tests
_HELD_OUT_SENTENCES = 0.05
_ESC = ("ESC-10 (K. J. Piczak, 2015)", "CC-BY-3.0")
_FSDD = ("Free Spoken Digit Dataset", "CC-BY-SA-4.0")


def prepare(
    folder: str | Path,
    say: Callable[[str], None],
    *,
    sounds: str | Path | None = None,
    digits: str | Path | None = None,
    packages: dict[str, Path] | None = None,
) -> Assets:
    """The assets in `folder`, made if they are not there; a folder made without `sounds` or `digits` is made anew.

    Args:
        folder: for packages, pictures, sounds and the index, some 0.8 GB.
        say: is told of each step, and at the end how many things there are.
        sounds: folder of ESC-10's recordings; fold 4 is kept for tests.
        digits: folder of spoken digits, for tests.
        packages: unpacked packages by name, instead of fetching them.

    Raises:
        ValueError: a package cannot be had, or a folder holds nothing of its kind.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        assets = Assets.load(folder)
        origins = {asset.origin for asset in assets.assets}
        if (not sounds or "esc10" in origins) and (not digits or "digits" in origins):
            return assets
    found = packages if packages is not None else fetch_packages(folder, say)
    say("cutting out pictures")
    things = read_emoji_things(found[EMOJI_NAMES.name])
    for old in ("pictures", "sounds", "readings"):
        shutil.rmtree(folder / old, ignore_errors=True)
    emoji = _emoji_assets(folder, things, found)
    stamps = read_stamps(found[STAMPS.name], frozenset(things.values()))
    say("cutting sounds")
    everything = [
        *emoji,
        *_stamp_pictures(folder, stamps, {asset.thing for asset in emoji if asset.part == "train"}),
        *_sound_assets(folder, stamps, Path(sounds) if sounds else None),
        *_reading_assets(folder, stamps, Path(digits) if digits else None),
    ]
    assets = Assets(str(folder), tuple(_once(everything)), tuple(_sentences(found.get(WORDNET.name))))
    assets.save()
    say(assets.summary())
    return assets


def _emoji_assets(folder: Path, things: dict[str, str], found: dict[str, Path]) -> list[Asset]:
    codes = list(things)
    vendors: tuple[tuple[str, Package, str, Iterable[tuple[str, Image.Image]]], ...] = (
        ("noto", NOTO, "train", noto_pictures(found[NOTO.name], codes)),
        ("fluent", FLUENT, "train", file_pictures(found[FLUENT.name], codes, "package/assets/*.webp")),
        ("twitter", TWITTER, "test", file_pictures(found[TWITTER.name], codes, "package/img/twitter/64/*.png")),
    )
    assets = []
    for origin, package, part, pictures in vendors:
        for key, picture in pictures:
            path = f"pictures/{origin}/{key}.png"
            if _save_picture(folder / path, picture):
                assets.append(_asset(folder, path, "picture", things[key], origin, part, package))
    trained = {asset.thing for asset in assets if asset.part == "train"}
    return [asset for asset in assets if asset.thing in trained]


def _stamp_pictures(folder: Path, stamps: Sequence[Stamp], trained: set[str]) -> list[Asset]:
    """Photos and drawings; all photos of a share of the things that are trained on by other pictures are for tests."""
    assets = []
    for stamp in stamps:
        path = f"pictures/stamps/{stamp.key.replace('/', '_')}.png"
        if stamp.picture and _save_picture(folder / path, Image.open(stamp.picture).convert("RGBA")):
            draw = hashed_seed(f"photos/{stamp.thing}") % 1000 / 1000
            held_out = not stamp.is_drawing and stamp.thing in trained and draw < _HELD_OUT_PHOTOS
            origin = DRAWINGS if stamp.is_drawing else "stamps"
            part = "test" if held_out else "train"
            assets.append(_asset(folder, path, "picture", stamp.thing, origin, part, STAMPS))
    return assets


def _sound_assets(folder: Path, stamps: Sequence[Stamp], sounds: Path | None) -> list[Asset]:
    """Real sounds: fold 4 of ESC-10, and of things with several different stamps' sounds the last, are for tests."""
    assets = []
    for recording in read_sounds(sounds) if sounds else ():
        path = f"sounds/esc10/{recording.file.stem}.wav"
        if not _save_sound(folder / path, recording.file):
            continue
        part = "test" if recording.fold == TEST_FOLD else "train"
        assets.append(_asset(folder, path, "sound", recording.thing, "esc10", part, _ESC))
    by_thing: dict[str, dict[str, Asset]] = defaultdict(dict)
    for stamp in stamps:
        path = f"sounds/stamps/{stamp.key.replace('/', '_')}.wav"
        if stamp.sound and _save_sound(folder / path, stamp.sound):
            asset = _asset(folder, path, "sound", stamp.thing, "stamps", "train", STAMPS)
            by_thing[stamp.thing].setdefault(asset.sha256, asset)
    seen: set[str] = set()
    for of_thing in by_thing.values():
        different = [asset for asset in of_thing.values() if asset.sha256 not in seen]
        seen.update(asset.sha256 for asset in different)
        assets += different if len(different) < 2 else [*different[:-1], _for_tests(different[-1])]
    return assets


def _reading_assets(folder: Path, stamps: Sequence[Stamp], digits: Path | None) -> list[Asset]:
    """People who say a thing's name or a digit: all of them are for tests."""
    assets = []
    for stamp in stamps:
        path = f"readings/stamps/{stamp.key.replace('/', '_')}.wav"
        if stamp.reading and _save_sound(folder / path, stamp.reading):
            # they say the name without its article
            assets.append(_asset(folder, path, "reading", stamp.thing, "stamps", "test", STAMPS, stamp.text))
    for file, word, _speaker in read_digits(digits) if digits else ():
        path = f"readings/digits/{file.stem}.wav"
        if _save_sound(folder / path, file):
            assets.append(_asset(folder, path, "reading", word, "digits", "test", _FSDD, word))
    return assets


def _sentences(package: Path | None) -> Iterable[tuple[str, str]]:
    """Plain example sentences of WordNet, of four to twelve words, and the part of each."""
    found = set()
    for file in sorted(package.rglob("data.*")) if package else ():
        for line in file.read_text(encoding="latin-1").splitlines():
            for example in re.findall(r'"([^"]+)"', line.partition("|")[2]):
                text = example.strip().rstrip(".!?;")
                if re.fullmatch(r"[A-Za-z][a-z']*(?:,? [A-Za-z][a-z']*){3,11}", text):
                    found.add(text)
    for text in sorted(found):
        held_out = hashed_seed(f"sentences/{text.lower()}") % 1000 / 1000 < _HELD_OUT_SENTENCES
        yield text, "test" if held_out else "train"


def _asset(
    folder: Path,
    path: str,
    kind: str,
    thing: str,
    origin: str,
    part: str,
    source: Package | tuple[str, str],
    text: str = "",
) -> Asset:
    where, licence = (source.source, source.licence) if isinstance(source, Package) else source
    return Asset(path, kind, thing, origin, part, licence, where, sha256_of(folder / path), text)


def _for_tests(asset: Asset) -> Asset:
    return Asset(**{**vars(asset), "part": "test"})


def _once(assets: Sequence[Asset]) -> list[Asset]:
    """Without files of the same content: a content that is in training is in no test, and is one thing's alone."""
    trained = {asset.sha256 for asset in assets if asset.part == "train"}
    kept: dict[str, Asset] = {}
    for asset in assets:
        if asset.part == "train" or asset.sha256 not in trained:
            kept.setdefault(asset.sha256, asset)
    return list(kept.values())


def _save_picture(path: Path, picture: Image.Image) -> bool:
    """Saves what is not transparent, scaled down; False for a picture that is empty or too small."""
    box = picture.getchannel("A").point(lambda value: 255 if value > 16 else 0).getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < _LEAST_SIDE:
        return False
    picture = picture.crop(box)
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return True


def _save_sound(path: Path, file: Path) -> bool:
    """Saves the sound as 16 kHz mono, peak 0.9, without silence at its ends, and no longer than five seconds.

    False for a file of silence: there are a few among the stamps.
    """
    samples = load_media(str(file), with_frames=False, sampling_rate=SAMPLING_RATE).audio
    if samples is None or not len(samples) or np.abs(samples).max() < _SILENT:
        return False
    loud = np.flatnonzero(np.abs(samples) > _QUIET * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1][: round(_SOUND_SECONDS * SAMPLING_RATE)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, samples * (0.9 / np.abs(samples).max()), SAMPLING_RATE)
    return True
