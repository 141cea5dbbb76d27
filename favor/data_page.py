# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A survey of training data as text, and as one HTML file: pictures are inside it, no script is, text is escaped."""

from collections.abc import Sequence
from html import escape

from favor.evaluation.report.thumbnails import peaks, picture_urls
from favor.trainers.data_survey import DataSurvey, SeenItem, SeenSample
from favor.trainers.local_page import local_page

BINS = 10
BAR = 40  # characters of the longest
LISTED_BROKEN = 20
PICTURES = 8  # of an item
BAR_WIDTH, BAR_HEIGHT = 3, 40  # pixels of a sound's peaks
STYLE = """
pre{background:#f5f5f3;padding:.8rem;overflow:auto}
section{border-top:1px solid #ccc;padding:.8rem 0} img{height:72px;margin:0 2px 2px 0} svg{display:block}
.learnt{background:#d9ead3} rect{fill:#1f5fa8}
"""


def survey_lines(name: str, survey: DataSurvey) -> list[str]:
    """What was found, a line each."""
    lines = [f"{name}: {survey.samples} samples, {len(survey.broken)} of them broken"]
    lines += _counted("media", survey.kinds) + _counted("task", survey.tasks)
    lines += _spread("seconds seen", survey.seen) + _spread("seconds heard", survey.heard)
    lines += _spread("tokens", survey.tokens) + histogram(survey.tokens)
    for error in survey.broken[:LISTED_BROKEN]:
        lines.append(f"broken ({error.reason}): {error}")
    if len(survey.broken) > LISTED_BROKEN:
        lines.append(f"... and {len(survey.broken) - LISTED_BROKEN} broken samples more")
    return lines


def histogram(values: Sequence[int]) -> list[str]:
    """Equal bins of whole numbers, each with a bar and its count."""
    if not values:
        return []
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // BINS))
    counts = [0] * ((high - low) // width + 1)
    for value in values:
        counts[(value - low) // width] += 1
    digits = len(str(high))
    return [
        f"  {low + n * width:{digits}d} to {low + (n + 1) * width - 1:{digits}d} "
        f"{'#' * -(-BAR * count // max(counts))} {count}"
        for n, count in enumerate(counts)
    ]


def _counted(name: str, counts: dict[str, int]) -> list[str]:
    return [f"{name}: " + ", ".join(f"{count} {key}" for key, count in sorted(counts.items()))] if counts else []


def _spread(name: str, values: Sequence[float]) -> list[str]:
    if not values:
        return []
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return [f"{name}: {ordered[0]:g} to {ordered[-1]:g}, median {middle:g}, {sum(ordered):g} in all"]


def survey_page(name: str, survey: DataSurvey) -> str:
    """The whole page: the lines, and some samples as the model sees them."""
    shown = "\n".join(_section(sample) for sample in survey.shown)
    lines = escape("\n".join(survey_lines(name, survey)))
    body = (
        f"<pre>{lines}</pre>\n<h2>Samples as the model sees them</h2>\n"
        '<p>Pictures have the size that the encoder gets; <span class="learnt">so marked</span> is what is learnt.</p>'
        f"{shown}"
    )
    return local_page(name, body, STYLE)


def _section(sample: SeenSample) -> str:
    said = "".join(f'<span class="learnt">{escape(t)}</span>' if learnt else escape(t) for t, learnt in sample.texts)
    files = ", ".join(sample.files)
    return (
        f'<section><p class="where">{escape(sample.origin)}{": " if files else ""}{escape(files)}</p>'
        f"{''.join(map(_item, sample.items))}"
        f'<p class="said">{said}</p><p class="where">{sample.tokens} tokens</p></section>'
    )


def _item(item: SeenItem) -> str:
    pictures = [] if item.pictures is None else picture_urls(item.pictures, PICTURES)
    images = "".join(f'<img alt="" src="{url}">' for url in pictures)
    lasts = [
        f"{seconds:g} s {name}"
        for seconds, name in ((item.seconds_seen, "seen"), (item.seconds_heard, "heard"))
        if seconds
    ]
    return f"<p>{images}</p>{_sound(item)}<p>{', '.join([item.kind, *lasts, f'{item.query_tokens} query tokens'])}</p>"


def _sound(item: SeenItem) -> str:
    """The peaks of a sound as bars."""
    heights = [] if item.audio is None else peaks(item.audio)
    bars = "".join(
        f'<rect x="{n * BAR_WIDTH}" y="{BAR_HEIGHT - high:.1f}" width="{BAR_WIDTH - 1}" height="{high:.1f}"/>'
        for n, high in enumerate(BAR_HEIGHT * height for height in heights)
    )
    return f'<svg width="{len(heights) * BAR_WIDTH}" height="{BAR_HEIGHT}">{bars}</svg>' if heights else ""


__all__ = ["histogram", "survey_lines", "survey_page"]
