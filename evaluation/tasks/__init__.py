# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The tasks of the benchmark: one file each, whose TASKS this package collects.

To add a task, add a file that defines `TASKS = (EvalTask(...),)`.
"""

import importlib
import pkgutil

from ..task import EvalTask

PAPER_ORDER = "asr ac ic ocr vqa video_qa avsr avsd isqa avssd avm favd valor video_chatgpt"


def _place(file: str) -> int:
    order = PAPER_ORDER.split()
    return order.index(file) if file in order else len(order)


def _collect() -> dict[str, EvalTask]:
    """All tasks by name: in the order of the paper, then those of other files in the order of their names."""
    files = sorted(module.name for module in pkgutil.iter_modules(__path__))
    tasks: dict[str, EvalTask] = {}
    for file in sorted(files, key=_place):
        for task in importlib.import_module(f".{file}", __name__).TASKS:
            if task.name in tasks:
                raise ValueError(f"evaluation/tasks/{file}.py defines the task {task.name!r} again; rename it.")
            tasks[task.name] = task
    return tasks


TASKS = _collect()
