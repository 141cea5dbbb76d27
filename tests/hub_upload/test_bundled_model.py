# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The model folder that comes with the package is small; tests/test_rooms.py: its code is the package's."""

from favor.cli import main
from tests.conftest import REPOSITORY

BUNDLED = REPOSITORY / "favor" / "favor_tiny"
LARGEST = 25e6  # bytes


def test_bundled_folder_is_small():
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file()) <= LARGEST


def test_a_model_folder_can_be_refreshed_in_place(tiny_model_dir, tmp_path):
    folder = tmp_path / "model"
    assert main(["export", str(tiny_model_dir), str(folder)]) == 0
    (folder / "modeling_favor.py").write_text("# stale\n")
    assert main(["export", str(folder), str(folder), "--overwrite"]) == 0
    source = REPOSITORY / "modeling_favor" / "modeling_favor.py"
    assert (folder / "modeling_favor.py").read_bytes() == source.read_bytes()
