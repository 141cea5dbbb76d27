# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An environment that holds transformers, torch, pillow, PyAV and jinja2 with what these require, and nothing else."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from favor.hub_upload.requirements import IMPORTED_BY_MODELS


def make_environment(folder: Path, more: tuple[str, ...] = ()) -> Path:
    """Makes a virtual environment in `folder` with links to the installed packages; returns its Python.

    `more`: packages beside `IMPORTED_BY_MODELS`.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    for distribution in required_distributions(more):
        for entry in {Path(file).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            link = site_packages / entry
            if not link.exists():
                link.symlink_to(Path(distribution.locate_file(entry)).resolve())
    return folder / "bin" / "python"


def required_distributions(more: tuple[str, ...] = ()) -> list[metadata.Distribution]:
    """The distributions of `IMPORTED_BY_MODELS` and `more` and, without extras, of everything that they require."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [*IMPORTED_BY_MODELS, *more]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())
