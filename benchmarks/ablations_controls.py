# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Section "Controls" of a page: what models score that learn and are tested without sound, pictures or both."""

import re
from collections.abc import Sequence
from pathlib import Path

from .ablations_page import NOTHING, circumstances, listed, raw_numbers, table
from .ablations_scores import FULL, Study, metric_title

CONTROLS = ("text-only", "audio-only", "visual-only", FULL)
NEED_BOTH = ("isqa", "avssd", "avm")  # of which one stream by itself says nothing
OBJECTS = "avssd"  # whose chance is among what is seen, and not in the text
SECTION = "## Controls"
CONNECTOR_KEPT = "fresh_parts=[]"  # the override with which models begin as favor-tiny, connector and all


def write_controls(raw: Path, page: Path) -> None:
    """Writes the page's section "Controls" anew.

    Args:
        raw: raw.json of a study with the variants `CONTROLS`, or some of them.
        page: Markdown with a section of that heading; its other sections stay as they are.

    Raises `ValueError` if the study has no full model, or the page no such section.
    """
    replace_section(page, SECTION, f"{controls_section(Study(raw))}\n\n{raw_numbers(raw, page)}")


def controls_section(study: Study) -> str:
    """What text alone and one stream alone score, for the page on the benchmark."""
    present = [variant for variant in CONTROLS if variant in study.variants]
    header = ["chance", *present, "questions"]
    rows = []
    for task in study.tasks:
        cells = [shown_control(study, variant, task) for variant in present]
        questions = max(entry["n"] for variant in present for entry in study.entries(variant, task))
        level = study.raw["chance"].get(task)
        rows.append(
            (metric_title(study, task), [NOTHING if level is None else f"{100 * level:.1f}", *cells, str(questions)])
        )
    beginning = (
        "They begin as favor-tiny, which can read pictures and sound, and learn\nto do with what is left of them."
        if CONNECTOR_KEPT in study.raw["settings"]["overrides"]
        else "Their connector begins from random weights."
    )
    return f"""Models that were trained, and are tested, with no more than their column says. {beginning}

```bash
{study.raw["command"]}
```

{circumstances(study)}

{table("task", header, rows)}

Means over seeds, with the half width of the wider of two 95 % intervals: over seeds (t), and over questions (mean of
the runs' bootstrap intervals). Chance is the mean of 1 / (number of options), 1 / 2 for yes or no, and for `avssd`
1 / (number of objects that light up), which the text does not name; the other answers are free.

{chr(10).join(control_findings(study, present))}"""


def control_findings(study: Study, present: Sequence[str]) -> list[str]:
    """What the controls say, decided by the wider interval."""
    chances = {task: 100 * level for task, level in study.raw["chance"].items() if task in study.tasks}
    from_text = [task for task in chances if task != OBJECTS]
    found = []
    if "text-only" in present and from_text:
        above = [task for task in from_text if low_end(study, "text-only", task) > chances[task]]
        found.append(f"- Above chance from the text alone: {listed(above) or 'none'} (of {listed(from_text)}).")
    for variant in ("audio-only", "visual-only"):
        both = [task for task in NEED_BOTH if task in study.tasks]
        if variant not in present or not both:
            continue
        guessed = [task for task in both if task in chances]
        above = [task for task in guessed if low_end(study, variant, task) > chances[task]]
        reached = [task for task in both if not separated(study, variant, task)]
        found.append(
            f"- Tasks that need both streams, {variant}: above chance {listed(above) or 'none'} "
            f"(of {listed(guessed)}); not below the full model {listed(reached) or 'none'} (of {listed(both)})."
        )
    return found


def separated(study: Study, variant: str, task: str) -> bool:
    """Whether the variant is below the full model, in a task where higher is better.

    Several seeds: by the interval over seeds of their difference. One seed: by intervals over questions that do not
    overlap.
    """
    gain = study.gain(variant, task)
    if gain is None or gain.half_width is not None:
        return gain is not None and gain.sign < 0
    return -gain.mean > wider(study, variant, task) + wider(study, FULL, task)


def low_end(study: Study, variant: str, task: str) -> float:
    mean = study.mean(variant, task)
    return float("-inf") if mean is None else mean.mean - wider(study, variant, task)


def wider(study: Study, variant: str, task: str) -> float:
    mean = study.mean(variant, task)
    over_seeds = mean.half_width if mean is not None and mean.half_width is not None else 0.0
    return max(over_seeds, study.question_half_width(variant, task))


def shown_control(study: Study, variant: str, task: str) -> str:
    mean = study.mean(variant, task)
    return NOTHING if mean is None else f"{mean.mean:.1f} ± {wider(study, variant, task):.1f}"


def replace_section(page: Path, heading: str, text: str) -> None:
    """Writes a section of a page anew. Raises `ValueError` if the page has none of that heading."""
    content = page.read_text(encoding="utf-8")
    pattern = rf"^{re.escape(heading)}\n.*?(?=^## |\Z)"
    if not re.search(pattern, content, re.MULTILINE | re.DOTALL):
        raise ValueError(f"{page} has no section {heading!r}.")
    written = re.sub(
        pattern, lambda _: f"{heading}\n\n{text.strip()}\n\n", content, count=1, flags=re.MULTILINE | re.DOTALL
    )
    page.write_text(written.rstrip() + "\n", encoding="utf-8")
