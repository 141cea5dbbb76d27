# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What there is in this world, and which of its combinations are held out.

Held-out combinations: some (colour, sound) and (colour, shape) pairs never occur at the same moment in the splits
"train" and "validation". The split "test" has the held-out (colour, shape) pairs, too; "compositional" is built to
contain many held-out pairs of both kinds: a model that answers there has combined what it sees with what it hears, not
recalled a pair.
"""

from typing import Protocol

SPLITS = ("train", "validation", "test", "compositional")
COLOURS = ("red", "green", "blue", "yellow", "white", "purple")
SHAPES = ("circle", "square", "triangle", "star")
SOUNDS = ("beep", "hum", "noise", "bell", "speech")
WORDS = ("apple", "seven", "river", "window", "tiger", "music", "pencil", "garden", "doctor", "banana")
# Not f2, f3 and f5: variants with "breath" differ from process to process, for eSpeak NG reads uninitialised memory.
VOICES = ("en-us", "en-us+f1", "en-us+f4", "en-us+linda", "en-us+m2", "en-us+m3", "en-us+m7", "en", "en+f4")
SPEECH_PITCHES = (30, 50, 70)  # on eSpeak's scale of 0-100

FRAME_RATE = 8
FRAME_SIZE = 128  # pixels, width and height
TEXT_BAND = 34  # pixels at the top or bottom that a screen word has for itself

Look = tuple[str, str]  # colour and shape


def is_held_out_sound(colour: str, sound: str) -> bool:
    """Whether `sound` (one of SOUNDS) never coincides with `colour` in training."""
    return (COLOURS.index(colour) + 2 * SOUNDS.index(sound)) % 5 == 0


def is_held_out_shape(colour: str, shape: str) -> bool:
    """Whether `shape` never has `colour` in training."""
    return (COLOURS.index(colour) + SHAPES.index(shape)) % 6 == 0


def is_allowed(look: Look, split: str) -> bool:
    """Whether the look can occur in the split."""
    return split in ("test", "compositional") or not is_held_out_shape(*look)


class _Coloured(Protocol):
    @property
    def colour(self) -> str: ...
    @property
    def shape(self) -> str: ...


class Seen:
    """What a thing with a `colour` and a `shape` can be asked."""

    @property
    def look(self: _Coloured) -> Look:
        return self.colour, self.shape

    @property
    def name(self: _Coloured) -> str:
        """Its name, "red circle"."""
        return f"{self.colour} {self.shape}"

    @property
    def held_out(self: _Coloured) -> bool:
        """Whether training does not show this shape in this colour."""
        return is_held_out_shape(self.colour, self.shape)
