# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""docs/options.md says what the code reads and refuses: signatures, typed dicts, tables of names, commands."""

import argparse
import importlib
import inspect
import re

import pytest

from favor.modeling_favor.pipeline_favor import MORE_OUTPUTS, OWN_TEXT_OPTIONS
from favor.modeling_favor.pipeline_inputs_favor import MEDIA_KEYWORDS, PLURALS
from favor.processing import load_media
from favor.processing.chat_favor import BLOCK_KEYS, CALL_OPTIONS
from favor.processing.media_names_favor import MEDIA_KINDS, RATE_KEYS, SOURCE_KEYS
from favor.processing.media_options_favor import (
    MEDIA_OPTIONS,
    READ_OPTIONS,
    REFUSED_OPTIONS,
    FavorProcessorKwargs,
    FavorVideosKwargs,
)
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "options.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Rows of the first table below a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def names(text: str) -> set[str]:
    return set(re.findall(r"`([A-Za-z_0-9]+)`", text))


def test_the_table_of_options_has_every_name_and_no_other():
    listed = [row[0].strip("`") for row in table("How files are read")]
    assert listed == ["fps", *MEDIA_OPTIONS, "load_audio_from_video", "sampling_rate"]
    assert set(MEDIA_OPTIONS) <= set(FavorVideosKwargs.__annotations__)
    assert set(MEDIA_OPTIONS) <= set(inspect.signature(load_media).parameters)
    assert "load_audio_from_video" in FavorProcessorKwargs.__annotations__


def test_what_blocks_refuse_and_media_options_hold():
    for option, _, _, defaults, block, _ in table("How files are read"):
        name = option.strip("`")
        assert bool(defaults) == (name in MEDIA_OPTIONS), name
        rate = name in RATE_KEYS.values()
        assert (
            block == ("of pictures in memory alone" if name == "fps" else "of a sound in memory alone")
            if rate
            else (block == "refused" and name in CALL_OPTIONS)
        )
    assert {"video_start", "video_end"} == set(CALL_OPTIONS) - {
        row[0].strip("`") for row in table("How files are read")
    }
    assert {"video_start", "video_end"} <= names(PAGE)


def test_sources_are_those_that_are_read():
    rows = {first: names(second) for first, second in table("Sources")}
    assert rows["block of a chat"] == {"type", *BLOCK_KEYS, *MEDIA_KINDS}
    assert rows["dict in a call or a data set"] == {*SOURCE_KEYS}
    assert RATE_KEYS["video"] in rows["of pictures in memory, both"]
    assert RATE_KEYS["audio"] in rows["of sound in memory, both"]
    assert rows["media by keyword, pipeline"] == {*MEDIA_KEYWORDS, *PLURALS}
    assert {"text", *MEDIA_KEYWORDS} <= rows["first argument of the pipeline"]


def test_refused_options_are_those_of_the_code():
    expected = []
    for name, (accepted, why) in REFUSED_OPTIONS.items():
        shown = f" [{', '.join(map(repr, accepted))}]" if accepted else ""
        expected.append([f"`{name}`{shown}", why])
    assert table("Refused by a processor call") == expected
    assert {*READ_OPTIONS, *OWN_TEXT_OPTIONS, *MORE_OUTPUTS} <= names(PAGE)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("ask", ["--on-error", "--no-audio"]),
        ("serve", ["--on-error", "--media-limit"]),
        ("app", ["--on-error"]),
        ("eval", ["--fps", "--on-error"]),
    ],
)
def test_commands_have_the_options_that_the_page_names(command, options):
    parser = argparse.ArgumentParser()
    importlib.import_module(f"favor.commands.{command}").add_arguments(parser)
    for option in options:
        assert option in parser.format_help() and option in PAGE
