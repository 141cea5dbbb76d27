# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Emoji of three vendors: which thing each one shows, and its picture."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .names import emoji_thing

_NOTO_SIZE = 109  # pixels: the font holds its bitmaps in this size only
_NO_SUCH_EMOJI = "\U0010fffe"
_VARIATION = 0xFE0F  # says "as a picture", and is left out by some vendors' file names


def read_emoji_things(package: Path) -> dict[str, str]:
    """The thing of each emoji of this world, by its code points ("1f415-200d-1f9ba"), in CLDR's order."""
    table = json.loads(next(package.rglob("data-by-emoji.json")).read_text(encoding="utf-8"))
    named = {_codes(emoji): emoji_thing(entry["name"], entry["group"]) for emoji, entry in table.items()}
    return {codes: thing for codes, thing in named.items() if thing}


def noto_pictures(package: Path, codes: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Noto's picture of each emoji that the font draws. Sequences are left out: they need a shaping library."""
    font = ImageFont.truetype(str(next(package.rglob("NotoColorEmoji.ttf"))), _NOTO_SIZE)
    missing = _glyph(font, _NO_SUCH_EMOJI)
    for name in codes:
        if "-" not in name:
            picture = _glyph(font, chr(int(name, 16)))
            if picture.getbbox() and not np.array_equal(np.asarray(picture), np.asarray(missing)):
                yield name, picture


def file_pictures(package: Path, codes: list[str], pattern: str) -> Iterator[tuple[str, Image.Image]]:
    """Pictures of a vendor whose files (`pattern` below `package`) are named by code points."""
    files = {_codes_of_name(file.stem): file for file in sorted(package.glob(pattern))}
    for name in codes:
        if name in files:
            yield name, Image.open(files[name]).convert("RGBA")


def _glyph(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((10, 10), text, font=font, embedded_color=True)
    return canvas


def _codes(emoji: str) -> str:
    return "-".join(f"{ord(letter):04x}" for letter in emoji if ord(letter) != _VARIATION)


def _codes_of_name(stem: str) -> str:
    return "-".join(part for part in stem.lower().split("-") if int(part, 16) != _VARIATION)
