# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The index of what this world is made of: every picture, sound and reading with its thing, origin, licence and part.

`part` is "train" or "test". What is "test" never occurs in the splits "train" and "validation", and no file's content
is in both parts.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Self

INDEX = "assets.json"
DRAWINGS = "stamp-drawings"
SPLITS = ("train", "validation", "test", "photos", "people", "joe")


@dataclass(frozen=True)
class Asset:
    """One file of the world.

    Attributes:
        path: relative to the folder of assets.
        kind: "picture", "sound" (what the thing sounds like) or "reading" (a person who says `text`).
        thing: what it shows, sounds like or says.
        origin: "noto", "fluent", "twitter", "stamps", "stamp-drawings", "esc10", "digits".
        part: "train" or "test".
        licence, source: as its package or data set states them.
        sha256: of the file.
        text: what a reading says.
    """

    path: str
    kind: str
    thing: str
    origin: str
    part: str
    licence: str
    source: str
    sha256: str
    text: str = ""


@dataclass(frozen=True)
class Pool:
    """What a split may use: all things' names, files by thing, what people read, free sentences."""

    named: tuple[str, ...]
    pictures: dict[str, tuple[str, ...]]
    sounds: dict[str, tuple[str, ...]]
    readings: tuple[Asset, ...]
    sentences: tuple[str, ...]

    @property
    def seen(self) -> tuple[str, ...]:
        """Things that have a picture."""
        return tuple(self.pictures)

    @property
    def heard(self) -> tuple[str, ...]:
        """Things that have a sound."""
        return tuple(self.sounds)

    @property
    def both(self) -> tuple[str, ...]:
        """Things that have a picture and a sound."""
        return tuple(thing for thing in self.sounds if thing in self.pictures)


@dataclass(frozen=True, eq=False)  # hashed as an object: `pool` is asked for each scene
class Assets:
    """The index, and free English sentences with the part of each."""

    root: str
    assets: tuple[Asset, ...]
    sentences: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads the index of a prepared folder.

        Raises:
            ValueError: the folder is not prepared.
        """
        path = Path(folder) / INDEX
        if not path.is_file():
            raise ValueError(
                f"{folder} has no {INDEX}: the world of real things is not prepared there; "
                "run `favor synth OUT --world real --assets FOLDER`, which does it."
            )
        values = json.loads(path.read_text(encoding="utf-8"))
        assets = tuple(Asset(**asset) for asset in values["assets"])
        return cls(str(folder), assets, tuple((text, part) for text, part in values["sentences"]))

    def save(self) -> None:
        """Writes the index into its folder."""
        values = {"assets": [asdict(asset) for asset in self.assets], "sentences": self.sentences}
        part = Path(self.root) / (INDEX + ".part")
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")
        part.rename(Path(self.root) / INDEX)

    def without(self, origins: Sequence[str]) -> Self:
        """The same without files of these origins; "stamps" are the photos, drawings, sounds and readings of stamps.

        Raises:
            ValueError: no file is of such an origin.
        """
        known = {asset.origin for asset in self.assets} - {DRAWINGS}
        unknown = sorted(set(origins) - known)
        if unknown:
            raise ValueError(f"without names {', '.join(unknown)}; the assets are of {', '.join(sorted(known))}.")
        dropped = {*origins, *({DRAWINGS} if "stamps" in origins else ())}
        return replace(self, assets=tuple(asset for asset in self.assets if asset.origin not in dropped))

    def pool(self, split: str) -> Pool:
        """What `split` is rendered from.

        "test" and "joe" show the vendor that training does not; "photos" cut-out photos of things that training shows
        as drawings; in "people" people speak.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)} in this world, got {split!r}.")
        return _pool(self, split)

    def origins(self) -> dict[str, set[str]]:
        """The origins of each thing's pictures."""
        found: dict[str, set[str]] = defaultdict(set)
        for asset in self.assets:
            if asset.kind == "picture":
                found[asset.thing].add("stamps" if asset.origin == DRAWINGS else asset.origin)
        return dict(found)

    def summary(self) -> str:
        """How many things there are, and of how many origins."""
        origins = self.origins()
        counts = [sum(len(names) == number for names in origins.values()) for number in (1, 2, 3, 4)]
        pictures = [asset for asset in self.assets if asset.kind == "picture"]
        sounds = [asset for asset in self.assets if asset.kind == "sound"]
        heard = {asset.thing for asset in sounds}
        by_origin: dict[str, int] = defaultdict(int)
        for asset in self.assets:
            by_origin[f"{asset.origin} {asset.kind}s, {asset.part}"] += 1
        lines = [
            f"{len(origins)} things with {len(pictures)} pictures: {counts[0]} of one origin, {counts[1]} of two, "
            f"{counts[2]} of three, {counts[3]} of four",
            f"{len(heard)} things with {len(sounds)} sounds, {len(heard & set(origins))} of them with pictures, too",
            *(f"  {count:5d} {name}" for name, count in sorted(by_origin.items())),
            f"  {len(self.sentences):5d} free sentences",
        ]
        return "\n".join(lines)


@cache
def _pool(assets: Assets, split: str) -> Pool:
    part = "train" if split in ("train", "validation") else "test"
    origin = {"test": "twitter", "joe": "twitter", "people": "twitter", "photos": "stamps"}.get(split)
    chosen = [asset for asset in assets.assets if asset.part == part]
    pictures = [asset for asset in chosen if asset.kind == "picture" and origin in (None, asset.origin)]
    sounds = [asset for asset in chosen if asset.kind == "sound"]
    return Pool(
        tuple(sorted(assets.origins())),
        _by_thing(pictures),
        _by_thing(sounds),
        tuple(asset for asset in chosen if asset.kind == "reading"),
        tuple(text for text, its_part in assets.sentences if its_part == part),
    )


def _by_thing(assets: Sequence[Asset]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for asset in sorted(assets, key=lambda asset: (asset.thing, asset.path)):
        found[asset.thing].append(asset.path)
    return {thing: tuple(paths) for thing, paths in found.items()}
