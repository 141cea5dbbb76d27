# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a published model needs beside its own code, in the ranges that this package is tested with.

setup.cfg owns the ranges. Cards and model folders repeat them, so that nobody is promised a release that fails.
"""

from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

IMPORTED_BY_MODELS = ("transformers", "torch", "pillow", "av", "jinja2")  # what these require comes along
CHECKOUT = Path(__file__).resolve().parents[1]


def model_requirements(*more: str) -> list[str]:
    """Requirements of the code in a model repository, as `pip install` takes them ("torch>=2.13,<2.15").

    `more`: distributions beside those, of this package's extras.
    """
    stated = {requirement.name.lower(): requirement for requirement in map(Requirement, _stated_requirements())}
    return [_text(stated[name]) for name in (*IMPORTED_BY_MODELS, *more)]


def _stated_requirements() -> list[str]:
    """Those of setup.cfg in a checkout, whose installed metadata may be older; elsewhere those of the metadata."""
    file = CHECKOUT / "setup.cfg"
    if not file.is_file():
        return metadata.requires("favor") or []
    settings = ConfigParser()
    settings.read(file, encoding="utf-8")
    sections = [settings["options"]["install_requires"], *settings["options.extras_require"].values()]
    lines = [line.partition("#")[0].strip() for section in sections for line in section.splitlines()]
    return [line for line in lines if line and not line.startswith("favor[")]


def _text(requirement: Requirement) -> str:
    """Lower bound first; the metadata have them the other way round."""
    return requirement.name.lower() + ",".join(sorted(map(str, requirement.specifier), reverse=True))


__all__ = ["IMPORTED_BY_MODELS", "model_requirements"]
