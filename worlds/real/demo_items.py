# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chooses what `favor demo` shows of this world, before any model is asked, and copies it with its origins.

    favor synth data/real/test --world real --task all,name_picture,spoken_thing --split test --count 200 --seed 202
    python -m favor.worlds.real.demo_items data/real/test ASSETS favor/demo_items

Of each kind the first items of the test split are taken whose files may all be passed on with this package.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .assets import Assets
from .packages import PACKAGES

PASSED_ON = ("CC-BY-4.0", "OFL-1.1", "MIT")  # licences of files
VOICE = next(package for package in PACKAGES if package.name == "flite")
ITEMS, ORIGINS, NOTICE = "items.jsonl", "origins.json", "NOTICE.md"
NOTICE_TEXT = """# Origins of these files

Pictures: [Twemoji](https://github.com/twitter/twemoji) by Twitter, Inc. and other contributors, licensed under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/); they were placed, turned, scaled and tinted on drawn
backgrounds, and moved in clips. Speech: the voice rms of [flite](https://github.com/festvox/flite), Carnegie Mellon
University, BSD-like. origins.json names what each file was made of.

They are the first items of each kind of the test split that `favor synth --world real --seed 202` renders whose files
may all be passed on (favor/worlds/real/demo_items.py); no model was asked before they were chosen.
"""
FEWEST_WORDS = 4  # of a sentence that is written down
Item = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """`count` items of a task that fit."""

    task: str
    count: int
    fits: Callable[[Item], bool] = lambda item: True


KINDS = (
    Kind("name_picture", 3),
    Kind("vqa", 1),
    Kind("spoken_thing", 2),
    Kind("asr", 2, lambda item: len(item["references"][0].split()) >= FEWEST_WORDS),
    Kind("avm", 1, lambda item: item["references"] == ["Yes"]),
    Kind("avm", 1, lambda item: item["references"] == ["No"]),
    Kind("isqa", 2),
    Kind("video_qa", 1, lambda item: item["extra"]["family"] == "video_qa_order_seen"),
    Kind("video_qa", 1, lambda item: item["extra"]["family"] == "video_qa_shown_while"),
)


def choose(rendered: Path, assets: Assets) -> Iterator[tuple[Item, Path, list[str]]]:
    """Each chosen item, the folder of its media, and the origins of what it shows and says.

    Raises `ValueError` if a kind has too few items.
    """
    for kind in KINDS:
        file = next(iter(sorted(rendered.rglob(f"{kind.task}.jsonl"))), None)
        if file is None:
            raise ValueError(f"{rendered} holds no {kind.task}.jsonl: render that task, too.")
        scenes = {scene["scene"]: scene["ground_truth"] for scene in _lines(file.with_name("test_scenes.jsonl"))}
        found = 0
        for item in _lines(file):
            origins = _origins(scenes.get(item["id"]), assets)
            if found < kind.count and origins is not None and kind.fits(item):
                found += 1
                yield {**item, "extra": {**item["extra"], "task": kind.task}}, file.parent, origins
        if found < kind.count:
            raise ValueError(f"{file}: {found} items that fit, {kind.count} are needed.")


def _lines(file: Path) -> list[Item]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _origins(truth: Item | None, assets: Assets) -> list[str] | None:
    """Where everything in a scene comes from, "FILE of PACKAGE, LICENCE"; None if something may not be passed on."""
    known = {asset.path: asset for asset in assets.assets}
    origins = []
    for files, voices in [] if truth is None else _named(truth):
        for path in files:
            if known[path].licence not in PASSED_ON:
                return None
            origins.append(f"{Path(path).name} of {known[path].source}, {known[path].licence}")
        for engine, name in voices:
            if engine != VOICE.name:
                return None
            origins.append(f"voice {name} of {VOICE.source}, {VOICE.licence}")
    return sorted(set(origins)) or None


def _named(value: Any) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """Files and voices, wherever a scene's description names them."""
    if isinstance(value, dict):
        yield [value["file"]] if value.get("file") else [], []
        if value.get("engine"):
            yield [], [(value["engine"], value["name"])]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _named(entry)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m favor.worlds.real.demo_items", description=__doc__)
    parser.add_argument("rendered", type=Path, help="folder of the rendered test split")
    parser.add_argument("assets", type=Path, help="of which it was rendered")
    parser.add_argument("out", type=Path, help="folder to write")
    arguments = parser.parse_args()
    (arguments.out / "media").mkdir(parents=True)
    items, origins = [], {}
    for item, folder, found in choose(arguments.rendered, Assets.load(arguments.assets)):
        items.append(json.dumps(item))
        for name in item["media"].values():
            shutil.copyfile(folder / name, arguments.out / name)
            origins[name] = found
    (arguments.out / ITEMS).write_text("\n".join(items) + "\n", encoding="utf-8")
    (arguments.out / ORIGINS).write_text(json.dumps(origins, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (arguments.out / NOTICE).write_text(NOTICE_TEXT, encoding="utf-8")
    print(
        f"{arguments.out}: {len(items)} items, {sum(file.stat().st_size for file in arguments.out.rglob('*'))} bytes"
    )


if __name__ == "__main__":
    main()
