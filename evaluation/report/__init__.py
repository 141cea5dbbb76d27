# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report on one run or several: `report.html`, `report.md`, `report.json`; our rows beside the published ones."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..sample_log import replace_file
from .markdown import markdown
from .page import html_page
from .runs import read_run, tasks_of
from .sweeps import control_table, find_sweeps
from .tables import score_tables

__all__ = ["write_report"]


def write_report(out_dir: Path, run_dirs: Sequence[Path]) -> Path:
    """Reports on finished runs, each a folder with `results.json`. Samples and query matrices are the first run's.

    Returns the path of the page.

    Raises:
        FileNotFoundError: a folder holds no results.
        ModuleNotFoundError: matplotlib is not installed.
    """
    runs = [read_run(folder) for folder in run_dirs]
    tasks = tasks_of(runs)
    tables, controls, sweeps = score_tables(runs, tasks), control_table(runs, tasks), find_sweeps(runs, tasks)
    replace_file(out_dir / "report.md", markdown(runs, tasks, tables, controls, sweeps))
    content = {
        "runs": [{"name": run.name, **run.results.to_json()} for run in runs],
        "tables": [table.to_json() for table in tables],
        "controls": None if controls is None else controls.to_json(),
        "sweeps": [sweep.to_json() for sweep in sweeps],
    }
    replace_file(out_dir / "report.json", json.dumps(content, indent=2) + "\n")
    page = out_dir / "report.html"
    replace_file(page, html_page(runs, tasks, tables, controls, sweeps))
    return page
