# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor sft`: how the command line changes a recipe, and its errors."""

import pytest

from favor.cli import main
from favor.commands.sft import parse_overrides


def test_overrides_are_pairs_of_key_and_value():
    assert parse_overrides([]) == {}
    given = ["--sft.max_steps", "100", "--seed=1", "--sft.learning_rate", "-1e-4"]
    assert parse_overrides(given) == {"sft.max_steps": "100", "seed": "1", "sft.learning_rate": "-1e-4"}


@pytest.mark.parametrize(
    ("given", "said"), [(["seed", "1"], "no --key"), (["--seed"], "has no value"), (["--a", "--b"], "has no value")]
)
def test_malformed_overrides_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        parse_overrides(given)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (None, "no such recipe"),
        ("- a list", "a recipe is a mapping"),
        ("{unclosed", "no valid YAML"),
        ("sead: 1", "unknown sead"),
    ],
)
def test_a_bad_recipe_ends_with_one_line(recipe, said, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    if recipe is not None:
        path.write_text(recipe)
    assert main(["sft", str(path), "--seed", "3"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("favor: error: ")
    assert said in error
    assert "\n" not in error
