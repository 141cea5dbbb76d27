# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sixty clips of ten things that favor-135m never saw or heard named, as a user's own data: to fine-tune it on.

    python -m benchmarks.own_things ASSETS data/own
    favor sft recipes/lora-custom-data.yaml --model favor-135m --train_data data/own/train.jsonl \
        --eval_data data/own/test.jsonl --output_dir runs/own

ASSETS is a prepared folder of `favor synth --world real`, which holds the vendors' packages. The things have emoji,
but are left out of the world of real things. Each is in six clips of 2 s, drawn by Noto and by Fluent, moving, large
or small, on backgrounds of their own. `test.jsonl` has two other clips of each by these two, and two by Twitter, whose
drawings no clip of training shows.
"""

import argparse
import json
import random
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from favor.worlds.real.clip import Clip, Segment, draw_clip
from favor.worlds.real.emoji import file_pictures, noto_pictures
from favor.worlds.real.packages import FLUENT, NOTO, TWITTER
from favor.worlds.real.picture import Sprite
from favor.worlds.real.scene import FRAME_RATE
from favor.worlds.video_file import write_video

# By the emoji's name in Unicode.
THINGS = {
    "moyai": "moai",
    "amphora": "amphora",
    "dango": "dango",
    "pager": "pager",
    "trackball": "trackball",
    "microbe": "microbe",
    "hamsa": "hamsa",
    "coffin": "coffin",
    "compression": "clamp",
    "rosette": "rosette",
}
VENDORS = {
    "noto": (NOTO.folder, None),
    "fluent": (FLUENT.folder, "package/assets/*.webp"),
    "twitter": (TWITTER.folder, "package/img/twitter/64/*.png"),
}
TRAINED = ("noto", "fluent")
SECONDS = 2.0
SAMPLING_RATE = 16000
QUESTIONS = ("What is this?", "What is shown?", "What is in the clip?", "Name the thing.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=Path, help="a prepared folder of `favor synth --world real`")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    out: Path = arguments.out
    if out.exists():
        raise SystemExit(f"{out} exists: name a new folder.")
    (out / "media").mkdir(parents=True)
    pictures = {vendor: cut_out(arguments.assets, vendor, out) for vendor in VENDORS}
    plans = {
        "train": [(vendor, 3) for vendor in TRAINED],
        "test": [*((vendor, 1) for vendor in TRAINED), ("twitter", 2)],
    }
    for split, plan in plans.items():
        rows = list(render(out, split, plan, pictures, arguments.seed))
        (out / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        print(f"{len(rows)} clips in {out / split}.jsonl")


def cut_out(assets: Path, vendor: str, out: Path) -> dict[str, str]:
    """A vendor's picture of each thing, below `out`. Raises `SystemExit` where one is missing."""
    name, pattern = VENDORS[vendor]
    package = assets / "unpacked" / name
    codes = [f"{ord(emoji_named(emoji)):04x}" for emoji in THINGS]
    found = noto_pictures(package, codes) if pattern is None else file_pictures(package, codes, pattern)
    things = dict(zip(codes, THINGS.values(), strict=True))
    files = {}
    for code, picture in found:
        thing = things[code]
        files[thing] = f"pictures/{vendor}-{thing}.png"
        (out / "pictures").mkdir(exist_ok=True)
        box = picture.getbbox()
        picture.crop(box).resize(_sized(box), Image.Resampling.BICUBIC).save(out / files[thing])
    missing = sorted(set(things.values()) - set(files))
    if missing:
        raise SystemExit(f"{package} has no picture of {', '.join(missing)}.")
    return files


def render(
    out: Path, split: str, plan: Sequence[tuple[str, int]], pictures: dict[str, dict[str, str]], seed: int
) -> Iterator[dict[str, object]]:
    """Writes the clips of a split and gives their lines."""
    for thing in THINGS.values():
        for vendor, count in plan:
            for number in range(count):
                key = f"{split}-{thing}-{vendor}-{number}".replace(" ", "-")
                rng = random.Random(f"{seed}/{key}")
                path = f"media/{key}.mp4"
                clip = moving(thing, pictures[vendor][thing], rng)
                frames = draw_clip(str(out), rng.randrange(2**31), clip)
                hiss = np.random.default_rng(rng.randrange(2**31)).normal(0, 1e-3, round(SECONDS * SAMPLING_RATE))
                write_video(out / path, frames, FRAME_RATE, hiss, SAMPLING_RATE)
                turns = ({"role": "user", "content": rng.choice(QUESTIONS)}, {"role": "assistant", "content": thing})
                yield {"messages": list(turns), "video": path, "task": vendor}


def moving(thing: str, file: str, rng: random.Random) -> Clip:
    """A clip in which the picture moves from one place to another."""
    size = rng.uniform(0.4, 0.85)
    reach = (1 - size) / 2
    x, y, to_x, to_y = (0.5 + rng.uniform(-reach, reach) for _ in range(4))
    tone = (rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15), rng.uniform(0.8, 1.2))
    sprite = Sprite(thing, file, x, y, size, rng.uniform(-12, 12), rng.random() < 0.5, tone)
    return Clip((Segment(0.0, SECONDS, sprite, to_x, to_y),), ())


def emoji_named(name: str) -> str:
    """The one character of that name."""
    return unicodedata.lookup(name)


def _sized(box: tuple[int, int, int, int]) -> tuple[int, int]:
    """Width and height of a cut-out whose longer side has 192 pixels."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = 192 / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


if __name__ == "__main__":
    main()
