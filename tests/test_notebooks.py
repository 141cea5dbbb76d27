# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The notebooks run from their first cell to their last, with smaller numbers in the cell of parameters."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

SMALL = {
    "own-clips.ipynb": 'CLIPS, STEPS = 2, 2\nBASE = "favor-tiny"\nREPOSITORY = "your-name/own-clips"\n',
}
NOTEBOOKS = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))


def code_of(file, parameters):
    """The code cells one after the other."""
    notebook = json.loads(file.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in cells) == 1
    sources = ["".join(cell["source"]) for cell in cells]
    return "\n".join([parameters, *sources[1:]])


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_runs(file, tmp_path):
    script = tmp_path / "cells.py"
    script.write_text(f"if __name__ == '__main__':\n    exec({code_of(file, SMALL[file.name])!r})\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "expected:" in done.stdout and "adapter_model.safetensors" in done.stdout
    assert (tmp_path / "clips" / "page.html").is_file()
    assert (tmp_path / "runs" / "own" / "adapter_model.safetensors").is_file()


def test_there_are_notebooks():
    assert {file.name for file in NOTEBOOKS} == set(SMALL)
