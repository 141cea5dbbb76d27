# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Recipes as the package runs them: the name of the bundled model stands for its folder."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .model_loading import model_source

if TYPE_CHECKING:
    from favor.trainers.recipe_sections import Recipe


def open_recipe(path: str | Path, overrides: Mapping[str, str] | None = None) -> "Recipe":
    """A recipe of [`read_recipe`] whose model can be loaded; its records keep the name that was given.

    Raises:
        FileNotFoundError: no such recipe, or a model that is neither a folder nor on the Hub.
        ValueError: as [`read_recipe`].
    """
    from favor.trainers.recipe import read_recipe

    recipe = read_recipe(path, overrides)
    if recipe.model is None:
        return recipe
    opened = dataclasses.replace(recipe, model=model_source(recipe.model))
    object.__setattr__(opened, "given", recipe.given)
    return opened
