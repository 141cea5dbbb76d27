# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The page on the ablation study: what shows and what does not, by a stated rule, tables, and pictures."""

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from favor.evaluation.tasks import TASKS

from .ablations_claims import (
    CLAIMS,
    PAPER_ROWS,
    RULE,
    SIMILARITY,
    Comparison,
    gain_of,
    outcome,
    paper_gain,
    paper_value,
    verdict,
)
from .ablations_pictures import (
    DIFFERENCES,
    FIGURE_3,
    FIGURE_4,
    FIGURE_5,
    FRAME_RATES,
    WEIGHTS,
    WINDOWS,
    draw_pictures,
)
from .ablations_scores import Estimate, Study, metric_title

NOTHING = "-"
TRIED = "## What was tried"  # written by hand
MINUS = "\N{MINUS SIGN}"
SINGLE_MODAL = ("asr", "ac", "ic", "ocr", "vqa", "video_qa")  # table 9; the others are table 10
ROWS = (
    "without-causal-attention",
    "without-windows",
    "without-synchronisation",
    "without-diversity-loss",
    "video-llama-like",
    "audio-only",
    "visual-only",
)


def write_page(raw: Path, page: Path, pictures: Path) -> None:
    """Writes the page and its pictures.

    Args:
        raw: raw.json of the study.
        page: Markdown; of one that is there the section "What was tried", and what comes after it, is kept.
        pictures: folder for the pictures.

    Raises `ValueError` if the study has no full model.
    """
    study = Study(raw)
    page.parent.mkdir(parents=True, exist_ok=True)
    _, heading, tried = (page.read_text(encoding="utf-8") if page.is_file() else "").partition(f"\n{TRIED}\n")
    folder = relative(pictures, page)
    drawn = {title: f"![{title}]({folder}/{name})" for title, name in draw_pictures(study, pictures).items()}
    sections = ["# Ablations on AVEB-mini", introduction(study), claims_section(study)]
    sections += [differences_section(study), drawn.get(DIFFERENCES, ""), scores_section(study)]
    sections += [windows_section(study), frame_rates_section(study), drawn.get(FIGURE_3, "")]
    sections += [weights_section(study), drawn.get(FIGURE_4, ""), drawn.get(FIGURE_5, "")]
    sections += [raw_numbers(raw, page), f"{TRIED}\n\n{tried.strip()}" if heading else ""]
    page.write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")


def raw_numbers(raw: Path, page: Path) -> str:
    """The sentence that links a study's raw.json from a page."""
    return f"The raw numbers of each model and seed: [{raw.name}]({relative(raw, page)})."


def relative(path: Path, page: Path) -> str:
    """A path as a link in a page has it."""
    return Path(os.path.relpath(path.resolve(), page.parent.resolve())).as_posix()


def introduction(study: Study) -> str:
    """How the numbers came about."""
    return f"""The ablations of the paper's tables 5, 9 and 10 and its figures 3 to 5, on the rendered benchmark of
[aveb-mini.md](aveb-mini.md). A variant is `recipes/ablation.yaml` with other values in its config
(`assembly/presets.json`); encoders are favor-tiny's and frozen, the language model begins as favor-tiny's, and
the connector from random weights.

```bash
{study.raw["command"]}
```

{circumstances(study)}

Numbers are means over seeds with the half width of their 95 % t interval; of differences, Welch's. The interval says
what other seeds would change, not other questions: all runs answer the same. With few seeds it is wide, so that a
claim that does not show here may still hold. Intervals are not corrected for their number: of twenty comparisons
without any difference, one is expected to exclude zero. Plus is better and minus worse in all differences, also of
word error rates, but of cosines, which are as they are."""


def circumstances(study: Study) -> str:
    """Sizes, machine, time and versions."""
    seeds = study.distinct("seed")
    questions, period = span(study.distinct("n")), span(study.distinct("date"))
    trained = {(score["variant"], score["seed"]): score["seconds"] for score in study.scores}
    hours = sum(seconds for (variant, _), seconds in trained.items() if not variant.startswith("fps-")) / 3600
    versions = study.scores[0]["versions"]
    packages = [f"{name} {versions[name]}" for name in ("favor", "torch", "transformers") if name in versions]
    overrides = study.raw["settings"]["overrides"]
    changed = f", with {listed(f'`{entry}`' for entry in overrides)}" if overrides else ""
    return f"""{count(len(study.variants), "variant")}, {count(len(seeds), "seed")} ({listed(seeds)}),
{listed(study.distinct("steps"))} steps each{changed}; {questions} questions per task.
{listed(study.distinct("machine"))}, CPU, one thread per run, {period}; {hours:.1f} hours of training in all;
{listed(packages)}."""


def claims_section(study: Study) -> str:
    """Claim by claim: the measured differences with the paper's own, and the verdict."""
    rows = [
        (
            f"**{claim.title}** ({claim.source})",
            [
                shown_comparisons(study, claim.comparisons),
                f"**{verdict([outcome(study, comparison) for comparison in claim.comparisons])}**",
            ],
        )
        for claim in CLAIMS
    ]
    claims = table("claim", ["differences to the full model", "here"], rows)
    return f"## What the paper claims, and what shows here\n\n{RULE}\n\n{claims}"


def shown_comparisons(study: Study, comparisons: Sequence[Comparison]) -> str:
    """For example "`without-windows`: AVSR **-8.6 ± 2.2** (paper -0.4), Video QA ..."."""
    groups = groupby(comparisons, key=lambda comparison: comparison.variant)
    texts = [(variant, [shown_comparison(study, comparison) for comparison in group]) for variant, group in groups]
    return "; ".join(f"`{variant}`: {', '.join(parts)}" for variant, parts in texts)


def shown_comparison(study: Study, comparison: Comparison) -> str:
    gain = gain_of(study, comparison)
    title = TASKS[comparison.task].title + (", cosine" if comparison.quantity == SIMILARITY else "")
    here = "not measured" if gain is None else shown_gain(gain, comparison.quantity)
    if gain is not None and gain.half_width is None:
        here += " (one seed: no interval)"
    paper = paper_gain(comparison.variant, comparison.task) if comparison.quantity == "value" else None
    return f"{title} {here}" + ("" if paper is None else f" (paper {signed(paper)})")


def scores_section(study: Study) -> str:
    """Means over seeds, in two tables as the paper's."""
    parts = ["## Scores"]
    for tasks in task_groups(study):
        rows = [
            (variant, [shown(study.mean(variant, task)) for task in tasks])
            for variant in study.variants
            if not variant.startswith("fps-")
        ]
        rows += [
            (f"*paper, {PAPER_ROWS[variant]}*", [paper_number(variant, task) for task in tasks])
            for variant in PAPER_ROWS
            if variant in study.variants and any(paper_value(variant, task) is not None for task in tasks)
        ]
        parts.append(table("", [metric_title(study, task) for task in tasks], rows))
    other = [
        f"{TASKS[task].title} ({study.metrics[task]} here)"
        for task in study.tasks
        if study.metrics[task] != TASKS[task].answers.metrics[0]
    ]
    if other:
        parts.append(f"The paper's numbers are of other data, and of another metric for {listed(other)}.")
    return "\n\n".join(parts)


def differences_section(study: Study) -> str:
    """Differences to the full model; bold where the interval excludes zero, the paper's beside them."""
    parts = ["## Differences to the full model", "In points; **bold** where the interval excludes zero."]
    for tasks in task_groups(study):
        rows = []
        for variant in ROWS:
            if variant not in study.variants:
                continue
            rows.append((variant, [shown_gain(study.gain(variant, task)) for task in tasks]))
            paper = [paper_gain(variant, task) for task in tasks]
            if any(gain is not None for gain in paper):
                rows.append(("*paper*", [NOTHING if gain is None else f"*{signed(gain)}*" for gain in paper]))
        parts.append(table("", [TASKS[task].title for task in tasks], rows))
    return "\n\n".join(parts)


def windows_section(study: Study) -> str:
    def name(variant: str) -> str:
        queries = study.fact(variant, "num_query_tokens")
        return f"k {study.fact(variant, 'window_frames')}, N {queries}, {variant}"

    return sweep_section(study, "Window size with N / k fixed (figure 3 a, b)", WINDOWS, name)


def frame_rates_section(study: Study) -> str:
    title = "Pictures a second at inference (figure 3 c)"
    return sweep_section(study, title, FRAME_RATES, lambda variant: f"{study.fact(variant, 'fps'):g}, {variant}")


def weights_section(study: Study) -> str:
    """Scores along lambda, and the mean cosine of the queries of a window."""

    def name(variant: str) -> str:
        return f"{study.fact(variant, 'diversity_loss_weight'):g}, {variant}"

    scores = sweep_section(study, "Weight of the diversity loss, lambda (figures 4 and 5)", WEIGHTS, name)
    if not scores:
        return ""
    rows = [
        (name(variant), [shown(study.mean(variant, task, SIMILARITY), 3) for task in study.tasks])
        for variant in WEIGHTS
        if variant in study.variants
    ]
    titles = [TASKS[task].title for task in study.tasks]
    return f"{scores}\n\nMean cosine between the queries of a window:\n\n{table('', titles, rows)}"


def sweep_section(study: Study, title: str, variants: Sequence[str], name: Callable[[str], str]) -> str:
    """Scores along a sweep; empty if it was not run."""
    present = [variant for variant in variants if variant in study.variants]
    if len(present) < 2:
        return ""
    rows = [(name(variant), [shown(study.mean(variant, task)) for task in study.tasks]) for variant in present]
    return f"## {title}\n\n" + table("", [metric_title(study, task) for task in study.tasks], rows)


def task_groups(study: Study) -> list[list[str]]:
    groups = [
        [task for task in study.tasks if task in SINGLE_MODAL],
        [task for task in study.tasks if task not in SINGLE_MODAL],
    ]
    return [group for group in groups if group]


def paper_number(variant: str, task: str) -> str:
    value = paper_value(variant, task)
    return NOTHING if value is None else f"*{value:.1f}*"


def shown(estimate: Estimate | None, decimals: int = 1) -> str:
    if estimate is None:
        return NOTHING
    half_width = "" if estimate.half_width is None else f" ± {estimate.half_width:.{decimals}f}"
    return f"{estimate.mean:.{decimals}f}{half_width}"


def shown_gain(gain: Estimate | None, quantity: str = "value") -> str:
    if gain is None:
        return NOTHING
    decimals = 3 if quantity == SIMILARITY else 1
    half_width = "" if gain.half_width is None else f" ± {gain.half_width:.{decimals}f}"
    text = signed(gain.mean, decimals) + half_width
    return f"**{text}**" if gain.sign else text


def signed(value: float, decimals: int = 1) -> str:
    return f"{round(value, decimals) + 0.0:+.{decimals}f}".replace("-", MINUS)  # + 0.0: of -0.0 too


def table(corner: str, header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    lines = [f"| {corner} | {' | '.join(header)} |", "|---" * (len(header) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)])


def span(values: Sequence[object]) -> str:
    """Of sorted values: "200", or "198 to 200"."""
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def listed(entries: Iterable[object]) -> str:
    return ", ".join(str(entry) for entry in entries)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
