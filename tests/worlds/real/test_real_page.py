# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""docs/real-world.md: its commands run on the stand-in, its tables name what the code has."""

import re
import shlex
from pathlib import Path

import pytest

from favor.cli import main
from favor.commands import synth
from favor.worlds.real.assets import SPLITS, Assets
from favor.worlds.real.dataset import EXTRA_SCENES, TASK_SCENES
from favor.worlds.real.packages import PACKAGES
from favor.worlds.real.voices import VOICES
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "real-world.md").read_text(encoding="utf-8")


def test_the_commands_run(
    assets: Assets, speakers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(synth, "default_assets", lambda: Path(assets.root))
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("favor ")]
    assert len(commands) == 7
    for words in commands:
        words[words.index("--count") + 1] = "2"
        assert main([*words[1:], "--workers", "1"]) == 0, capsys.readouterr().err
    assert {path.name for path in tmp_path.glob("data/real/*")} == {"train", "test", "speech", "people"}
    assert {path.name for path in tmp_path.glob("data/scored/*")} == {"test", "photos", "people"}


def test_the_tables_name_all_there_is() -> None:
    for package in PACKAGES:
        assert f"`{package.name}`" in PAGE and package.licence in PAGE, package.name
    assert re.findall(
        r"^\| `([a-z_]+)` \| (?![\d.]+ \|)", PAGE.partition("## Tasks")[2].partition("## What")[0], re.M
    ) == [
        *TASK_SCENES,
        *EXTRA_SCENES,
    ]
    splits = PAGE.partition("## Splits")[2].partition("## Tasks")[0]
    assert all(f"`{split}`" in splits for split in SPLITS)
    for voice in {voice for voices in VOICES.values() for voice in voices if voice.engine == "flite"}:
        assert voice.name in splits
