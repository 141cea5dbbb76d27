# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What favor-135m scored, as a table for its page, as results for its card, and as a picture."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from favor.evaluation.controls import Controls
from favor.evaluation.metrics import METRICS
from favor.evaluation.report.plots import COLOURS, STYLE
from favor.evaluation.results import MetricScore, RunResults, TaskResult, write_results
from favor.evaluation.sample_log import replace_file
from favor.evaluation.settings import RunSettings

from .favor_135m_scores import ScoreFile, SetScores, result_of
from .favor_135m_sets import ALL, BLIND, FAVOR, FULL, MUTED, NEIGHBOUR, TEXT_ONLY, WHISPER
from .model_measures import markdown

BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"
BASELINES = (WHISPER, NEIGHBOUR, TEXT_ONLY)
NOTHING = ""
BAR_COLOURS = {
    FAVOR: COLOURS[0],
    "without sound": COLOURS[5],
    "without pictures": "#b8cfe0",
    WHISPER: COLOURS[1],
    NEIGHBOUR: COLOURS[4],
    TEXT_ONLY: COLOURS[3],
}
ERROR_BARS = {"elinewidth": 0.8, "capsize": 2}
RESOLUTION = 130  # dots an inch


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: what is tested.
        set_name, part, metric: where its scores are.
        baseline_metric: what a baseline is scored by, if by something else.
        goal: in the metric's unit as shown, if there is one.
        drawn: in the picture.
    """

    title: str
    set_name: str
    metric: str
    part: str = ALL
    baseline_metric: str | None = None
    goal: str = NOTHING
    drawn: bool = False


ROWS = (
    Row(
        "spoken thing in a sentence, unseen voice",
        "test/spoken_thing",
        "whole_name",
        baseline_metric="name_said",
        goal="85",
        drawn=True,
    ),
    Row("the same, another unseen voice (Piper's joe)", "joe/spoken_thing", "whole_name", baseline_metric="name_said"),
    Row("people's single words", "people/asr", "exact_transcript", goal="within 10 of Whisper's decoder", drawn=True),
    Row("the same, asked for the thing", "people/spoken_thing", "whole_name", baseline_metric="name_said"),
    Row("pictures, unseen vendor, any word of the name", "test/name_picture", "name_word", goal="65", drawn=True),
    Row("the same, the whole name", "test/name_picture", "whole_name"),
    Row("photos of things trained as drawings, any word", "photos/name_picture", "name_word", drawn=True),
    Row("the same, the whole name", "photos/name_picture", "whole_name"),
    Row("sounds, unseen fold, ESC-10's ten", "test/name_sound", "whole_name", "ESC-10's ten", goal="85", drawn=True),
    Row("sounds, the stamps' three among them", "test/name_sound", "whole_name"),
    Row("AVM: matches what is said or heard", "test/avm", "yes_no", goal="80", drawn=True),
    Row("AVM, what is said", "test/avm", "yes_no", "what is said"),
    Row("AVM, what is heard", "test/avm", "yes_no", "what is heard"),
    Row("AVM, people's words", "people/avm", "yes_no"),
    Row("AVM, photos", "photos/avm", "yes_no"),
    Row("AVM, another unseen voice", "joe/avm", "yes_no"),
    Row("ISQA: spoken questions about stills", "test/isqa", "aveb_isqa", goal="65", drawn=True),
    Row("ISQA, what lies beside", "test/isqa", "aveb_isqa", "beside"),
    Row("ISQA, how many", "test/isqa", "aveb_isqa", "count"),
    Row("ISQA, is there", "test/isqa", "aveb_isqa", "is_there"),
    Row("ISQA, photos", "photos/isqa", "aveb_isqa"),
    Row("ISQA, another unseen voice", "joe/isqa", "aveb_isqa"),
    Row("Video QA", "test/video_qa", "choice_accuracy", goal="70", drawn=True),
    Row("Video QA, order of what is seen", "test/video_qa", "choice_accuracy", "order seen"),
    Row("Video QA, order of what is heard", "test/video_qa", "choice_accuracy", "order heard"),
    Row("Video QA, both streams", "test/video_qa", "choice_accuracy", "while", drawn=True),
    Row("Video QA, shown while", "test/video_qa", "choice_accuracy", "shown while"),
    Row("Video QA, heard while", "test/video_qa", "choice_accuracy", "heard while"),
    Row("free sentences, unseen voice, WER", "test/asr_free", "wer", goal="at most 30", drawn=True),
    Row("free sentences, another unseen voice, WER", "joe/asr_free", "wer"),
    Row("free sentences, people, WER", "people/asr_free", "wer", goal="at most 40"),
    Row("sentences of the world, unseen voice, WER", "test/asr", "wer", drawn=True),
    Row("sentences of the world, another unseen voice, WER", "joe/asr", "wer"),
    Row("VQA", "test/vqa", "qa_accuracy"),
    Row("VQA, photos", "photos/vqa", "qa_accuracy"),
    Row("OCR", "test/ocr", "qa_accuracy"),
    Row("AVSR, WER", "test/avsr", "wer"),
    Row("AVSSD", "test/avssd", "class_match"),
    Row("AVSD, last turn", "test/avsd", "qa_accuracy"),
    Row("AC, CIDEr-D", "test/ac", "cider_d"),
    Row("IC, CIDEr-D", "test/ic", "cider_d"),
)


def score_table(scores: ScoreFile) -> str:
    """The table, of the rows of which something is scored, with the command that measured it."""
    head = ["test", "favor-135m", "without sound", "without pictures", "baseline", "chance", "goal"]
    rows = []
    for row in ROWS:
        cells = [_cell(_score(scores, row, FAVOR, control), row.metric) for control in (FULL, MUTED, BLIND)]
        baselines = [
            f"{baseline}: {_cell(score, row.baseline_metric or row.metric)}"
            for baseline in BASELINES
            if (score := _score(scores, row, baseline, FULL)) is not None
        ]
        if any(cells) or baselines:
            guess = _chance(scores, row)
            cells += ["; ".join(baselines), NOTHING if guess is None else f"{100 * guess:.1f}", row.goal]
            rows.append([row.title, *cells])
    said = "Per cent; in brackets 95 % intervals by the harness's bootstrap"
    return f"{markdown(head, rows)}\n\n{said}.\n\n```bash\n{scores.command}\n```"


def write_block(page: Path, text: str) -> None:
    """Puts the text between the page's two marks; a page without them gets it, and the marks, at its end.

    Raises `ValueError` for a page with one of the marks, or with them in the wrong order.
    """
    content = page.read_text(encoding="utf-8") if page.exists() else ""
    block = f"{BEGIN}\n{text}\n{END}"
    counts = content.count(BEGIN), content.count(END)
    if counts == (0, 0):
        replace_file(page, f"{content.rstrip()}\n\n{block}\n".lstrip())
        return
    before, _, rest = content.partition(BEGIN)
    _, found, after = rest.partition(END)
    if counts != (1, 1) or not found:
        raise ValueError(f"{page} has {counts[0]} of {BEGIN} and {counts[1]} of {END}; it needs one each, in order.")
    replace_file(page, before + block + after)


def write_card_results(folder: Path, scores: ScoreFile) -> None:
    """Writes what the model itself scored to `folder/results.json`, of which `favor push` makes its card.

    Raises `ValueError` if the model is not measured.
    """
    tasks: dict[str, TaskResult] = {}
    measured: SetScores | None = None
    for row in ROWS:
        entry = scores.find(row.set_name, FAVOR)
        if entry is not None and row.part in entry.parts:
            measured = entry
            tasks[row.title] = result_of(entry, row.part, row.metric, row.title)
    if measured is None:
        raise ValueError(f"{scores.path} holds no scores of {FAVOR} for a card: measure it (--model).")
    settings = RunSettings(measured.model, model_revision=measured.revision)
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, RunResults(settings, tasks, measured_with=scores.command))


def _score(scores: ScoreFile, row: Row, system: str, controls: Controls) -> MetricScore | None:
    entry = scores.find(row.set_name, system, controls.name)
    metric = row.metric if system == FAVOR else row.baseline_metric or row.metric
    score = None if entry is None else entry.parts.get(row.part, {}).get(metric)
    return score if score is not None and score.value is not None else None


def _chance(scores: ScoreFile, row: Row) -> float | None:
    entries = [entry for entry in scores.scores.values() if entry.set_name == row.set_name]
    return next((entry.chance[row.part] for entry in entries if row.part in entry.chance), None)


def _cell(score: MetricScore | None, metric: str) -> str:
    if score is None or score.value is None:
        return NOTHING
    scale = METRICS[metric].scale
    interval = "" if score.ci95 is None else f" [{scale * score.ci95[0]:.1f}, {scale * score.ci95[1]:.1f}]"
    return f"{scale * score.value:.1f}{interval}"


def draw_picture(scores: ScoreFile, path: Path) -> None:
    """Draws bars with intervals: the model, without a stream, its baseline, and chance as a mark.

    Raises `ValueError` if nothing is scored that the picture shows.
    """
    rows = [row for row in ROWS if row.drawn and _bars(scores, row)]
    if not rows:
        raise ValueError(f"{scores.path} holds no scores that the picture shows.")
    with rc_context({name: value for name, value in STYLE.items() if not name.startswith("svg.")}):
        figure = Figure(figsize=(7.5, 1.0 + 0.62 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            _draw_row(axes, place, _bars(scores, row), _chance(scores, row))
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent, with 95 % intervals; of WER less is better")
        axes.grid(axis="x", color="#e5e5e5")
        axes.set_axisbelow(True)
        for name, colour in BAR_COLOURS.items():
            axes.barh([-9], [0], color=colour, label=name)  # outside: for the legend alone
        axes.plot([], [], "|", color="black", markersize=10, markeredgewidth=1.5, label="chance")
        figure.legend(loc="outside lower center", ncols=4)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=RESOLUTION, metadata={"Software": None})


def _bars(scores: ScoreFile, row: Row) -> dict[str, MetricScore]:
    """Scores by the name in the legend."""
    asked = [(FAVOR, FAVOR, FULL), ("without sound", FAVOR, MUTED), ("without pictures", FAVOR, BLIND)]
    asked += [(baseline, baseline, FULL) for baseline in BASELINES]
    found = {name: _score(scores, row, system, controls) for name, system, controls in asked}
    return {name: score for name, score in found.items() if score is not None}


def _draw_row(axes: Axes, place: int, bars: dict[str, MetricScore], guess: float | None) -> None:
    height = 0.8 / len(bars)
    for index, (name, score) in enumerate(bars.items()):
        value, (low, high) = score.value or 0.0, score.ci95 or (score.value or 0.0, score.value or 0.0)
        errors = [[100 * max(0.0, value - low)], [100 * max(0.0, high - value)]]
        at = place - 0.4 + (index + 0.5) * height
        axes.barh(at, 100 * value, height, color=BAR_COLOURS[name], xerr=errors, error_kw=ERROR_BARS)
    if guess is not None:
        axes.vlines(100 * guess, place - 0.42, place + 0.42, color="black", linewidth=1.5)
