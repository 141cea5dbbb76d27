# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The model folder that comes with the package is small, and its code is the package's."""

from favor.cli import main
from tests.conftest import REPOSITORY

BUNDLED = REPOSITORY / "favor" / "favor_tiny"
REFRESH = "refresh it: favor export favor/favor_tiny favor/favor_tiny --overwrite"
LARGEST = 25e6  # bytes


def test_bundled_code_is_the_packages():
    for file in BUNDLED.glob("*.py"):
        sources = [REPOSITORY / package / file.name for package in ("modeling_favor", "processing")]
        source = next((candidate for candidate in sources if candidate.is_file()), None)
        assert source is not None, f"{file.name} is in no package any more; {REFRESH}"
        assert file.read_bytes() == source.read_bytes(), f"{file.name} differs; {REFRESH}"


def test_bundled_folder_is_small():
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file()) <= LARGEST


def test_a_model_folder_can_be_refreshed_in_place(tiny_model_dir, tmp_path):
    folder = tmp_path / "model"
    assert main(["export", str(tiny_model_dir), str(folder)]) == 0
    (folder / "modeling_favor.py").write_text("# stale\n")
    assert main(["export", str(folder), str(folder), "--overwrite"]) == 0
    source = REPOSITORY / "modeling_favor" / "modeling_favor.py"
    assert (folder / "modeling_favor.py").read_bytes() == source.read_bytes()
