# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Draws what a run logged over its steps: `curves.svg`, which any browser opens."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from transformers import TrainerCallback

FILE = "curves.svg"
# What tells how well training goes; of evaluation by the name of one of several sets, too, as `eval_photos_loss`.
LOGGED = re.compile(
    r"reward|loss|cross_entropy|(diversity|said)_loss$|off$|kl|entropy|completions/mean_length"
    r"|eval_(.+_)?(reward|loss|exact_match)"
)
PAUSE = 50  # times what drawing took: at most 2 % of the time goes into it, however many steps there are
PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 360, 150, 46  # pixels
STYLE = (
    "text{font:11px sans-serif;fill:#333}polyline{fill:none;stroke:#1f5fa8;stroke-width:1.5}"
    "rect{fill:none;stroke:#bbb}"
)
Points = list[tuple[float, float]]


class DrawCurves(TrainerCallback):
    """Writes `curves.svg` into `output_dir` when something was logged, and at the end.

    Of a run that is resumed, the curves go on: the trainer's state has what was logged before.
    """

    def __init__(self) -> None:
        self.rests_until = 0.0

    def on_log(self, args, state, control, **kwargs) -> None:
        started = time.monotonic()
        if state.is_world_process_zero and started >= self.rests_until:
            write_curves(Path(args.output_dir), state.log_history)
            now = time.monotonic()
            self.rests_until = now + PAUSE * (now - started)

    def on_train_end(self, args, state, control, **kwargs) -> None:
        if state.is_world_process_zero:
            write_curves(Path(args.output_dir), state.log_history)


def write_curves(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes the curves of a run, unless nothing was logged twice; a reader never sees half a file."""
    curves = curves_of(history)
    if curves:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{FILE}.partial"
        partial.write_text(drawn(curves), encoding="utf-8")
        partial.replace(folder / FILE)


def curves_of(history: Sequence[Mapping[str, float]]) -> dict[str, Points]:
    """(step, value) of each value that says how well training goes and was logged at two steps at least.

    In an order of their own, training first: a resumed run has another order of what was logged.
    """
    found: dict[str, Points] = {}
    for entry in history:
        for name, value in entry.items():
            if LOGGED.match(name) and isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((entry["step"], float(value)))
    names = sorted(found, key=lambda name: (name.startswith("eval_"), name))
    return {name: found[name] for name in names if len({step for step, _ in found[name]}) > 1}


def drawn(curves: Mapping[str, Points]) -> str:
    """Panels, two beside each other, as SVG."""
    rows = math.ceil(len(curves) / 2)
    width, height = 2 * (PANEL_WIDTH + 2 * MARGIN), rows * (PANEL_HEIGHT + 2 * MARGIN)
    panels = []
    for number, (name, points) in enumerate(curves.items()):
        row, column = divmod(number, 2)
        x, y = MARGIN + column * (PANEL_WIDTH + 2 * MARGIN), MARGIN + row * (PANEL_HEIGHT + 2 * MARGIN)
        panels.append(f'<g transform="translate({x},{y})">{panel(name, points)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>'
        f"{''.join(panels)}</svg>\n"
    )


def panel(name: str, points: Points) -> str:
    """One curve in its frame, with its least and greatest value and step."""
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    span, length = (high - low) or 1.0, (max(steps) - min(steps)) or 1.0
    places = [
        f"{PANEL_WIDTH * (step - min(steps)) / length:.1f},{PANEL_HEIGHT * (1 - (value - low) / span):.1f}"
        for step, value in points
    ]
    return (
        f'<rect width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}"/><text y="-8" font-weight="bold">{escape(name)}</text>'
        f'<polyline points="{" ".join(places)}"/>'
        f'<text x="-6" y="8" text-anchor="end">{high:.3g}</text>'
        f'<text x="-6" y="{PANEL_HEIGHT}" text-anchor="end">{low:.3g}</text>'
        f'<text y="{PANEL_HEIGHT + 16}">step {min(steps):g}</text>'
        f'<text x="{PANEL_WIDTH}" y="{PANEL_HEIGHT + 16}" text-anchor="end">{max(steps):g}</text>'
    )
