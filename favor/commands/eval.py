# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor eval`: AVEB scores of FAVOR or of a baseline, with intervals, controls and a report."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from favor.evaluation.answerer import Answerer
    from favor.evaluation.judges import Judge
    from favor.evaluation.runner import TaskWork

SYSTEMS = ("favor", "whisper", "instructblip", "chat", "text-only", "constant")
BUNDLED_NAME = "favor-tiny (bundled)"
LONGEST_WAIT_DAYS = 14  # of process 0 for the others


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="PATH_OR_ID", help="model folder or Hub id (default: bundled favor-tiny)")
    parser.add_argument(
        "--tasks", metavar="NAMES", default="all", help="asr,avm,... (default: all whose annotations are there)"
    )
    parser.add_argument("--media-root", type=Path, metavar="DIR", help="folder that the annotations' paths lie under")
    parser.add_argument("--annotations", type=Path, metavar="DIR", help="annotation files (default: the media root)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="folder of the results; a rerun continues"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only N samples a task, an even choice")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="samples answered together (default: 8)"
    )
    parser.add_argument(
        "--num-processes", type=int, default=1, metavar="N", help="processes, one a GPU where there are"
    )
    parser.add_argument("--fps", type=float, metavar="HZ", help="frames a second (default: the model's own)")
    parser.add_argument(
        "--generate", action="append", default=[], metavar="KEY=VALUE", help="change a setting of generation"
    )
    parser.add_argument("--allow-missing", action="store_true", help="leave out samples whose media cannot be read")
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
    system.add_argument("--system", choices=SYSTEMS, default="favor", help="what answers (default: favor)")
    system.add_argument("--answer", metavar="TEXT", help="what --system constant says")


def run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    from favor.evaluation.report import write_report

    if arguments.report_only:
        arguments.out.mkdir(parents=True, exist_ok=True)
        print(write_report(arguments.out, arguments.report_only))
        return
    results = evaluate(arguments)
    if results is None:
        return
    write_report(arguments.out, [arguments.out])
    print(json.dumps(results, indent=2) if arguments.json else _table(results))
    print(f"Report: {arguments.out / 'report.html'}", file=sys.stderr)


def evaluate(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Answers and scores; returns `results.json`'s content, or None in a process that only helped."""
    from favor.evaluation.runner import (
        check_missing,
        check_settings,
        environment_share,
        pending,
        prepare_task,
        write_settings,
    )
    from favor.evaluation.scoring import score_task, write_results
    from favor.evaluation.task import available_tasks

    generation = parse_generation(arguments.generate)
    annotations = arguments.annotations or arguments.media_root
    tasks, not_run = available_tasks(arguments.tasks, annotations)
    controls = _controls(arguments)
    works = [
        prepare_task(task, annotations, arguments.media_root, controls, arguments.limit, generation) for task in tasks
    ]
    check_missing(works, arguments.allow_missing)
    judge_settings = _check_judge(arguments)
    rank, num_processes = environment_share()
    if not_run and rank == 0:
        print(f"Not run, {annotations} has no annotations of them: {', '.join(not_run)}.", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = check_settings(arguments.out, _run_settings(arguments), works)
    if rank == 0:
        write_settings(arguments.out, settings)
    if num_processes > 1:
        _answer_share(arguments, works, rank, num_processes)
        _wait_for_all()
        if rank > 0:
            return None
    elif any(pending(work, arguments.out) for work in works):
        _answer_all(arguments, works)
    judge = _judge(arguments) if judge_settings else None
    entries = {
        task.name: score_task(task, work, arguments.out, judge) for task, work in zip(tasks, works, strict=True)
    }
    return write_results(arguments.out, entries, not_run)


def load_answerer(arguments: argparse.Namespace) -> "Answerer":
    """The system under test."""
    if arguments.system == "favor":
        from favor.evaluation.answerer import FavorAnswerer
        from favor.model_loading import load_pipeline

        return FavorAnswerer(load_pipeline(arguments.model), arguments.fps)
    from favor.evaluation import baselines

    if arguments.system == "constant":
        return baselines.ConstantAnswerer(arguments.answer)
    kinds: dict[str, Any] = {
        "whisper": baselines.WhisperAnswerer,
        "instructblip": baselines.InstructBlipAnswerer,
        "chat": baselines.ChatAnswerer,
        "text-only": baselines.TextOnlyAnswerer,
    }
    return kinds[arguments.system].from_pretrained(arguments.model)


def parse_generation(entries: list[str]) -> dict[str, Any]:
    """`["num_beams=1"]` as `{"num_beams": 1}`; values are JSON, or else text. Raises `ValueError` without `=`."""
    generation: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--generate {entry!r} is not KEY=VALUE: write for example --generate num_beams=1.")
        try:
            generation[key] = json.loads(value)
        except ValueError:
            generation[key] = value
    return generation


def _check(arguments: argparse.Namespace) -> None:
    for name in ("limit", "batch_size", "num_processes", "judge_concurrency"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1; got {value}.")
    if arguments.fps is not None and not (arguments.fps > 0 and arguments.system == "favor"):
        raise ValueError("--fps must be a positive number, and goes with --system favor.")
    if arguments.no_audio and arguments.shuffle_audio:
        raise ValueError("--no-audio and --shuffle-audio contradict each other: give one of them.")
    if (arguments.system == "constant") != (arguments.answer is not None):
        raise ValueError("--system constant and --answer TEXT go together.")
    if arguments.system not in ("favor", "constant") and arguments.model is None:
        raise ValueError(f"--system {arguments.system} needs --model PATH_OR_ID.")
    if arguments.report_only is None and arguments.annotations is None and arguments.media_root is None:
        raise ValueError("No data: give --media-root DIR, and --annotations DIR if they lie elsewhere.")


def _check_judge(arguments: argparse.Namespace) -> bool:
    """Whether a judge is wanted. Raises `ValueError` for options that contradict each other, before anything runs."""
    if arguments.judge_replies is not None and (arguments.judge_url or arguments.judge_model):
        raise ValueError("--judge-replies goes without --judge-url and --judge-model.")
    if arguments.judge_url and not arguments.judge_model:
        raise ValueError("--judge-url needs --judge-model, the model's name there.")
    if arguments.judge_replies is not None and not arguments.judge_replies.is_file():
        raise FileNotFoundError(f"--judge-replies {arguments.judge_replies} does not exist.")
    return arguments.judge_replies is not None or arguments.judge_model is not None


def _judge(arguments: argparse.Namespace) -> "Judge":
    from favor.evaluation.judges import EndpointJudge, LocalJudge, RecordedJudge

    if arguments.judge_replies is not None:
        return RecordedJudge(arguments.judge_replies)
    if arguments.judge_url:
        return EndpointJudge(arguments.judge_url, arguments.judge_model, arguments.judge_concurrency)
    return LocalJudge.from_pretrained(arguments.judge_model)


def _controls(arguments: argparse.Namespace) -> Any:
    from favor.evaluation.controls import Controls

    audio = "off" if arguments.no_audio else "shuffled" if arguments.shuffle_audio else "on"
    return Controls(audio, "off" if arguments.no_video else "on", arguments.seed)


def _run_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What decides on the answers of all tasks, in the results and compared by a rerun."""
    from favor.evaluation.runner import model_revision
    from favor.model_loading import bundled_model_path

    settings: dict[str, Any] = {"system": arguments.system, "controls": _controls(arguments).to_dict()}
    if arguments.system == "constant":
        return {**settings, "model": f"constant answer {arguments.answer!r}"}
    source = arguments.model or str(bundled_model_path())
    settings |= {"model": arguments.model or BUNDLED_NAME, "model_revision": model_revision(source)}
    return settings if arguments.fps is None else {**settings, "fps": arguments.fps}


def _answer_all(arguments: argparse.Namespace, works: "list[TaskWork]") -> None:
    """Answers in this process, or in several that are started for it."""
    if arguments.num_processes == 1:
        _answer_share(arguments, works, 0, 1)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")  # neither CUDA nor decoding threads survive a fork
    count = arguments.num_processes
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        shares = [pool.submit(_answer_share, arguments, works, rank, count) for rank in range(count)]
        try:
            for share in shares:
                share.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "A process was killed, perhaps for lack of memory. Start again to go on."
            ) from error


def _answer_share(arguments: argparse.Namespace, works: "list[TaskWork]", rank: int, num_processes: int) -> None:
    """What one of the processes does."""
    from favor.evaluation.runner import answer_share

    _take_device(int(os.environ.get("LOCAL_RANK", rank)), num_processes)
    if rank == 0:
        print("Loading the model ...", file=sys.stderr)
    answer_share(
        works,
        load_answerer(arguments),
        arguments.out,
        rank,
        num_processes,
        arguments.batch_size,
        allow_unreadable=arguments.allow_missing,
    )


def _take_device(local_rank: int, num_processes: int) -> None:
    """Lets this process see one GPU only, or gives it its part of the cores."""
    import torch

    if num_processes == 1:
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = listed.split(",") if listed else [str(index) for index in range(torch.cuda.device_count())]
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[local_rank % len(devices)]
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // num_processes))


def _wait_for_all() -> None:
    """Returns when every process that torchrun started has come here."""
    from datetime import timedelta

    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(days=LONGEST_WAIT_DAYS))
    distributed.barrier()
    distributed.destroy_process_group()


def _table(results: dict[str, Any]) -> str:
    """One line a task: metric, value, interval, number of samples."""
    from favor.evaluation.report.tables import headline_note, shown_interval, shown_value

    rows = [
        (name, entry["metric"], shown_value(entry), shown_interval(entry), f"n {entry['n']}")
        for name, entry in results["tasks"].items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{name}: {note}" for name, entry in results["tasks"].items() if (note := headline_note(entry))]
    return "\n".join([*lines, *notes])
