# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor eval`: scores of FAVOR or of a baseline, on AVEB or own questions, with intervals, controls and a report."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from favor.evaluation.systems import CONSTANT, FAVOR, SYSTEMS, SystemUnderTest

from .media_arguments import add_media_arguments, add_model_argument, set_media_options

if TYPE_CHECKING:
    from favor.evaluation.answerer import Answerer
    from favor.evaluation.controls import Controls
    from favor.evaluation.eval_run import EvalRun, JudgeChoice
    from favor.evaluation.json_fields import Json
    from favor.evaluation.results import RunResults

BUNDLED_TITLE = "favor-tiny (bundled)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "--tasks", metavar="NAMES", default="all", help="asr,avm,qa,... (default: all whose annotations are there)"
    )
    parser.add_argument("--media-root", type=Path, metavar="DIR", help="folder that the annotations' paths lie under")
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="DIR",
        help="annotation files, or one TASK.jsonl, by default of task qa (default: the media root)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="folder of the results; a rerun continues"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only N samples per task, an even choice")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="samples answered together (default: 8)"
    )
    parser.add_argument(
        "--num-processes", type=int, default=1, metavar="N", help="processes, one per GPU where there are"
    )
    parser.add_argument("--fps", type=float, metavar="HZ", help="frames per second (default: the model's own)")
    parser.add_argument(
        "--generate", action="append", default=[], metavar="KEY=VALUE", help="change a setting of generation"
    )
    parser.add_argument("--allow-missing", action="store_true", help="leave out samples whose media cannot be read")
    add_media_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--report-only", nargs="+", type=Path, metavar="DIR", help="report on finished runs together")
    controls = parser.add_argument_group("controls: what a system loses without them, it had used")
    controls.add_argument("--no-audio", action="store_true", help="withhold all sound")
    controls.add_argument("--no-video", action="store_true", help="withhold all pictures")
    controls.add_argument("--shuffle-audio", action="store_true", help="give each sample another one's sound")
    controls.add_argument("--seed", type=int, default=0, metavar="S", help="of --shuffle-audio (default: 0)")
    judge = parser.add_argument_group("judge, for the tasks that need one")
    judge.add_argument("--judge-url", metavar="URL", help="OpenAI-compatible endpoint; key in FAVOR_JUDGE_API_KEY")
    judge.add_argument("--judge-model", metavar="NAME", help="model at that endpoint; without it, a local model")
    judge.add_argument("--judge-replies", type=Path, metavar="FILE", help="replies recorded by an earlier run")
    judge.add_argument("--judge-concurrency", type=int, default=8, metavar="N", help="requests at a time (default: 8)")
    system = parser.add_argument_group("baselines")
    system.add_argument("--system", choices=SYSTEMS, default=FAVOR, help="what answers (default: %(default)s)")
    system.add_argument("--answer", metavar="TEXT", help="what --system constant says")


def run(arguments: argparse.Namespace) -> None:
    from favor.evaluation.report import write_report

    if arguments.report_only:
        arguments.out.mkdir(parents=True, exist_ok=True)
        print(write_report(arguments.out, arguments.report_only))
        return
    from favor.evaluation.run import evaluate

    results = evaluate(eval_run(arguments), load_answerer)
    if results is None:
        return
    write_report(arguments.out, [arguments.out])
    print(json.dumps(results.to_json(), indent=2) if arguments.json else _table(results))
    print(f"Report: {arguments.out / 'report.html'}", file=sys.stderr)


def eval_run(arguments: argparse.Namespace) -> "EvalRun":
    """What the command line asks for. Raises `ValueError` for options that contradict each other."""
    from favor.evaluation.eval_run import EvalRun

    annotations = arguments.annotations or arguments.media_root
    if annotations is None:
        raise ValueError("No data: give --media-root DIR, and --annotations DIR if they lie elsewhere.")
    return EvalRun(
        system=_system(arguments),
        out=arguments.out,
        annotations=annotations,
        media_root=arguments.media_root,
        tasks=arguments.tasks,
        controls=_controls(arguments),
        generation=parse_generation(arguments.generate),
        judge=_judge(arguments),
        limit=arguments.limit,
        batch_size=arguments.batch_size,
        num_processes=arguments.num_processes,
        allow_missing=arguments.allow_missing,
    )


def load_answerer(system: SystemUnderTest) -> "Answerer":
    """The system under test; processes that the run starts load their own."""
    if system.kind == FAVOR:
        from favor.evaluation.answerer import FavorAnswerer
        from favor.model_loading import load_pipeline

        pipe = load_pipeline(system.model)
        set_media_options(pipe, system.on_error)
        return FavorAnswerer(pipe, system.fps)
    from favor.evaluation.baselines import load_baseline

    return load_baseline(system)


def parse_generation(entries: list[str]) -> "dict[str, Json]":
    """`["num_beams=1"]` as `{"num_beams": 1}`; values are JSON, or else text. Raises `ValueError` without `=`."""
    generation: dict[str, Json] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--generate {entry!r} is not KEY=VALUE: write for example --generate num_beams=1.")
        try:
            generation[key] = json.loads(value)
        except ValueError:
            generation[key] = value
    return generation


def _system(arguments: argparse.Namespace) -> SystemUnderTest:
    kind, model, name = arguments.system, arguments.model, None
    if kind == CONSTANT:
        model = None
    elif kind == FAVOR or model is not None:
        from favor.model_loading import is_bundled, model_source

        name = BUNDLED_TITLE if is_bundled(model) else model
        model = model_source(model)
    return SystemUnderTest(kind, model, name, arguments.fps, arguments.answer, arguments.on_error)


def _controls(arguments: argparse.Namespace) -> "Controls":
    from favor.evaluation.controls import Controls

    if arguments.no_audio and arguments.shuffle_audio:
        raise ValueError("--no-audio and --shuffle-audio contradict each other: give one of them.")
    audio = "off" if arguments.no_audio else "shuffled" if arguments.shuffle_audio else "on"
    return Controls(audio, "off" if arguments.no_video else "on", arguments.seed)


def _judge(arguments: argparse.Namespace) -> "JudgeChoice | None":
    from favor.evaluation.eval_run import JudgeChoice

    given = (arguments.judge_url, arguments.judge_model, arguments.judge_replies)
    return JudgeChoice(*given, arguments.judge_concurrency) if any(given) else None


def _table(results: "RunResults") -> str:
    """One line per task: metric, value, interval, number of samples."""
    from favor.evaluation.report.tables import headline_note, shown_interval, shown_value

    rows = [
        (name, entry.metric, shown_value(entry), shown_interval(entry), f"n {entry.headline.n}")
        for name, entry in results.tasks.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{name}: {note}" for name, entry in results.tasks.items() if (note := headline_note(entry))]
    return "\n".join([*lines, *notes])
