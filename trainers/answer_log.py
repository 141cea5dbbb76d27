# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers of a run as it trains: `samples.jsonl`, and the last of them as a page, `samples.html`."""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from .local_page import local_page

LOG, PAGE = "samples.jsonl", "samples.html"
ON_PAGE = 200  # answers: all of a long run would be drawn again each time
STYLE = """
body{max-width:80rem} table{border-collapse:collapse;width:100%;table-layout:fixed}
th,td{border-top:1px solid #ccc;padding:.4rem;text-align:left;vertical-align:top}
.right{background:#d9ead3} .wrong{background:#f4dcd8}
"""


def add_answers(folder: Path, step: int, split: str, answers: Iterable[Mapping[str, Any]]) -> None:
    """Adds the answers that were given at a step, and draws the page again; a reader never sees half a page.

    Args:
        folder: the run's `output_dir`.
        split: what was asked: `train`, or the prefix of the evaluation's metrics.
        answers: each with `prompt` and `answer`, and what there is of `reference`, `correct`, `task`, `media`,
            `rewards` and `advantage`.
    """
    with open(folder / LOG, "a", encoding="utf-8") as file:
        for answer in answers:
            file.write(json.dumps({"step": step, "split": split, **answer}, ensure_ascii=False) + "\n")
    draw_page(folder)


def forget_answers_after(folder: Path, step: int) -> None:
    """Takes out what an earlier attempt said after the step at which training now begins: it is said again."""
    log = folder / LOG
    if not log.is_file():
        return
    with open(log, encoding="utf-8") as file:
        lines = list(file)
    kept = [line for line in lines if (entry := _entry(line)) is not None and entry["step"] <= step]
    if kept != lines:
        _write(log, "".join(kept))
        draw_page(folder)


def draw_page(folder: Path) -> None:
    """Writes `samples.html` of the last answers in `samples.jsonl`."""
    with open(folder / LOG, encoding="utf-8") as file:
        last = deque(file, maxlen=ON_PAGE)
    _write(folder / PAGE, answers_page([entry for line in last if (entry := _entry(line)) is not None]))


def answers_page(entries: Iterable[Mapping[str, Any]]) -> str:
    """The page of answers, those of the last step first."""
    turns = [(step, split, list(said)) for (step, split), said in groupby(entries, lambda e: (e["step"], e["split"]))]
    body = "\n".join(_section(step, split, said) for step, split, said in reversed(turns))
    return local_page("Answers in training", f'<p class="where">The last {ON_PAGE} at most.</p>\n{body}', STYLE)


def _section(step: int, split: str, entries: list[Mapping[str, Any]]) -> str:
    verdicts = [entry["correct"] for entry in entries if "correct" in entry]
    score = f": {sum(verdicts)} of {len(verdicts)} as the reference" if verdicts else ""
    rows = "\n".join(_row(entry) for entry in entries)
    return (
        f"<h2>step {step}, {escape(split)}{score}</h2>\n"
        f"<table><tr><th>question</th><th>reference</th><th>answer</th><th>verdict</th></tr>\n{rows}</table>"
    )


def _row(entry: Mapping[str, Any]) -> str:
    where = ", ".join(str(part) for part in [entry.get("task"), *entry.get("media", ())] if part)
    shown = ("right" if entry["correct"] else "wrong") if "correct" in entry else ""
    question = f'<div class="where">{escape(where)}</div><div class="said">{escape(str(entry["prompt"]))}</div>'
    cells = [question, *(f'<div class="said">{escape(str(entry.get(k, "")))}</div>' for k in ("reference", "answer"))]
    verdict = "<br>".join(escape(line) for line in _verdicts(entry))
    return f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}<td class="{shown}">{verdict}</td></tr>'


def _verdicts(entry: Mapping[str, Any]) -> Iterator[str]:
    if "correct" in entry:
        yield "right" if entry["correct"] else "wrong"
    for name, value in entry.get("rewards", {}).items():
        yield f"{name}: {'says nothing' if value is None else f'{value:.4g}'}"
    if "advantage" in entry and math.isfinite(entry["advantage"]):
        yield f"advantage: {entry['advantage']:.4g}"


def _entry(line: str) -> dict[str, Any] | None:
    """An answer; None of a line that a killed process did not write to the end."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and "step" in entry else None


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


__all__ = ["LOG", "PAGE", "add_answers", "answers_page", "forget_answers_after"]
