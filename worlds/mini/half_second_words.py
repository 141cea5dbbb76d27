# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Says what each half second of an item shows and sounds in four words, for a connector that learns to say them."""

from collections.abc import Mapping
from typing import Any

from ..timeline import NOTHING, SILENCE, STEP, steps_of

CELLS = (1, 2, 3, 4)  # of a still; each has the place of a half second


def half_second_words(line: Mapping[str, Any]) -> list[list[str]]:
    """Four words for each half second of an item: two for the eye, two for the ear.

    The first two are the colour and the shape that are seen (or lit); a word on the screen stands in place of the
    colour where there are none. The last two are what is heard in the two quarters of the half second; where a clip
    has colours and words on its screen, the fourth is that word. A still has a row for each of its four parts, and
    goes on with them while a sound lasts; signs are a colour and a word in the first two rows.

    Args:
        line: of `{split}_scenes.jsonl`, with `ground_truth` (seconds) and the labels of its task.
    """
    truth = line["ground_truth"]
    heard = bool(line.get("audio") or line.get("video"))
    steps = max(1, steps_of(truth["duration"])) if heard else 1
    still = "lit_colour" not in line and ("cell_1_colour" in line or "upper_sign_colour" in line)
    rows = -(-steps // len(CELLS)) * len(CELLS) if still else steps
    words = [[NOTHING] * 4 for _ in range(rows)]
    for step, row in enumerate(words):
        if heard:
            row[2:] = [_heard(truth, step * STEP + quarter) for quarter in (STEP / 4, 3 * STEP / 4)]
        _show(line, step, row)
    return words


def _show(line: Mapping[str, Any], step: int, row: list[str]) -> None:
    """Writes what is seen in a half second into its row."""

    def labels(*names: str, place: int = step) -> list[str]:
        return [line[name][place] or NOTHING for name in names]

    cell = CELLS[step % len(CELLS)]
    if "lit_colour" in line:
        row[:2] = labels("lit_colour", "lit_shape")
    elif "cell_1_colour" in line:
        row[:2] = labels(f"cell_{cell}_colour", f"cell_{cell}_shape", place=0)
    elif "upper_sign_colour" in line and step < 2:
        half = ("upper", "lower")[step]
        row[:2] = labels(f"{half}_sign_colour", f"{half}_sign_word", place=0)
    elif "colour" in line:
        row[:] = labels("colour", "shape", "sound", "screen_word")
    elif "screen_word" in line:
        row[:1] = labels("screen_word")


def _heard(truth: Mapping[str, Any], time: float) -> str:
    """The sound at a time; noise where a word is drowned in it."""
    drowned = [word.get("drowned", False) for word in truth.get("words", ())] or [False] * len(truth["events"])
    for event, unheard in zip(truth["events"], drowned, strict=True):
        if event["start"] <= time < event["end"]:
            return "noise" if unheard else event["word"] or event["kind"]
    return SILENCE
