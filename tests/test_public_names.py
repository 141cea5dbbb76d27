# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The names that users import from `favor`: all there, and imported when they are used."""

import subprocess
import sys

import pytest

import favor


@pytest.mark.parametrize("name", favor.__all__)
def test_every_public_name_is_there(name):
    value = getattr(favor, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(favor)


def test_importing_favor_brings_in_neither_torch_nor_transformers():
    code = "import sys, favor; print([name for name in ('torch', 'transformers', 'av') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_the_same_names():
    """`__all__`, the table that is used at run time, and the imports under TYPE_CHECKING say the same."""
    assert sorted(favor._ROOM_OF) == sorted(favor.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="FavorNothing"):
        favor.FavorNothing  # noqa: B018


@pytest.mark.parametrize(
    ("name", "module"), [("FavorSFTTrainer", "trl"), ("load_manifest", "datasets"), ("FavorDataCollator", "datasets")]
)
def test_a_name_whose_packages_are_missing_says_what_to_install(name, module):
    code = f"import sys; sys.modules[{module!r}] = None; import favor; favor.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"favor.{name} needs the package {module}" in done.stderr and "pip install 'favor[train]'" in done.stderr
