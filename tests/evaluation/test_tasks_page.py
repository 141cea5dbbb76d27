# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The page on tasks and metrics names every task with its prompt's settings, and every metric."""

from favor.evaluation.metrics import METRICS
from favor.evaluation.tasks import TASKS
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "aveb-tasks.md").read_text(encoding="utf-8")


def test_the_page_has_every_task_as_it_is():
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for task in TASKS.values():
        cells = [cell.strip() for cell in rows[task.name].split("|")]
        assert f"`{task.data.annotation}`" in cells[3]
        assert cells[4] == str(task.answers.generation["max_new_tokens"])
        assert cells[5] == ", ".join(f"`{metric}`" for metric in task.answers.metrics)


def test_the_page_has_every_metric():
    assert all(f"**`{name}`**" in PAGE for name in METRICS)
