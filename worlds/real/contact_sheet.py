# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws a contact sheet of this world: `python -m favor.worlds.real.contact_sheet ASSETS OUT.png`.

Things by origin, then stills with what is asked, then frames of clips. Stamps are left out unless they are asked for:
a picture in which they are shown is under their licence.
"""

import argparse
import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..question import Prompts
from .assets import Assets
from .matching import AvssdScene
from .picture import Sprite, draw_background, draw_things
from .scene import FRAME_RATE, RealScene
from .stills import IcScene, IsqaScene, OcrScene, VqaScene
from .video_qa import VideoQaScene

_SIDE, _TEXT = 120, 52  # pixels of a picture, and of the three lines below it
_COLUMNS = 10
_ORIGINS = ("noto", "fluent", "twitter", "stamps")
_PROMPTS = Prompts("", "", "Describe this image.", "", "(spoken)", "What is the source of the sound?", "", "", "")
_SEED = 4

Cell = tuple[np.ndarray, str]


def contact_sheet(assets: Assets, with_stamps: bool = False) -> Image.Image:
    """The sheet: a row of the same things for each origin, a row of stills, three rows of clips."""
    used = assets if with_stamps else assets.without(["stamps"])
    rows = [_things(assets, origin) for origin in (_ORIGINS if with_stamps else _ORIGINS[:-1])]
    stills = [scene.sample("train", _SEED, index, "standard", used) for index in range(3) for scene in _STILLS]
    rows.append([(scene.pictures()[0], " ".join(_asked(scene))) for scene in stills[:_COLUMNS]])
    for index in range(2):
        rows.append(_clip(VideoQaScene.sample("train", _SEED, index, "standard", used)))
    rows.append(_clip(AvssdScene.sample("train", _SEED, 0, "standard", used)))
    return _sheet(rows)


_STILLS: tuple[type[RealScene], ...] = (IcScene, VqaScene, OcrScene, IsqaScene)


def _things(assets: Assets, origin: str) -> list[Cell]:
    names = sorted(name for name, found in assets.origins().items() if len(found) == len(_ORIGINS))
    cells = []
    for place in np.random.default_rng(_SEED).permutation(len(names))[:_COLUMNS]:
        of_thing = [one for one in assets.assets if one.kind == "picture" and one.thing == names[place]]
        file = next(one.path for one in of_thing if one.path.startswith(f"pictures/{origin}/"))
        sprite = Sprite(names[place], file, 0.5, 0.5, 0.8, 0.0, False, (1.0, 1.0, 1.0))
        background = draw_background(assets.root, _SEED + int(place), [sprite])
        cells.append((draw_things(assets.root, background, [sprite]), f"{names[place]}, {origin}"))
    return cells


def _clip(scene: RealScene) -> list[Cell]:
    """A frame each second, the sound that is heard then, and after them the question."""
    frames, question = scene.pictures()[::FRAME_RATE], ": ".join(_asked(scene))
    heard = [
        next((event.name for event in scene.heard() if event.start <= second + 0.5 < event.end), "")
        for second in range(len(frames))
    ]
    cells = [(frame, f"hears: {name}" if name else "") for frame, name in zip(frames, heard, strict=True)]
    return [*cells[: _COLUMNS - 1], (np.full_like(frames[0], 255), question)]


def _asked(scene: RealScene) -> tuple[str, str]:
    turn = scene.questions(False, _PROMPTS)[0].turns[0]
    return turn.question, turn.answer


def _sheet(rows: list[list[Cell]]) -> Image.Image:
    sheet = Image.new("RGB", (_COLUMNS * _SIDE, len(rows) * (_SIDE + _TEXT)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, row in enumerate(rows):
        for column, (picture, text) in enumerate(row):
            left, top = column * _SIDE, number * (_SIDE + _TEXT)
            if picture.min() == 255:  # room for text alone
                draw.multiline_text((left + 4, top + 4), textwrap.fill(text, 20), "black", font)
            else:
                sheet.paste(Image.fromarray(picture).resize((_SIDE - 4, _SIDE - 4)), (left + 2, top + 2))
                draw.multiline_text((left + 4, top + _SIDE), textwrap.fill(text, 21)[:66], "black", font)
    return sheet


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", help="a prepared folder")
    parser.add_argument("out", help="the picture to write")
    parser.add_argument("--with-stamps", action="store_true", help="show stamps, too")
    arguments = parser.parse_args()
    contact_sheet(Assets.load(arguments.assets), arguments.with_stamps).save(arguments.out)


if __name__ == "__main__":
    main()
