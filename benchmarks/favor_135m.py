# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Measures favor-135m and its baselines on test sets never trained on: `python -m benchmarks.favor_135m DATA ...`.

    python -m benchmarks.favor_135m data/real --model favor-135m --parts models/favor-135m-parts \\
        --whisper models/whisper-base --language-model models/smollm2-135m --train data/real/train \\
        --scores runs/favor-135m/scores.json --page docs/favor-135m.md --card runs/favor-135m/card \\
        --picture docs/pictures/favor-135m.png --processes 2

DATA holds the rendered sets, `SPLIT/TASK.jsonl` (`favor synth DATA/SPLIT --world real`) or `SPLIT/TASK/TASK.jsonl`;
those that are not there are left out and named. What the file of scores holds already, of the same weights and items,
is not measured again: without `--model` only the baselines are, and the same command with it adds the model's rows.
Every set is written as soon as it is scored, every answer as soon as it is given.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .favor_135m_scores import Run, ScoreFile, SetScores, score_set
from .favor_135m_sets import SETS, TEST_SETS, TestSet
from .favor_135m_systems import CONTROLS, Sources, Systems, runs_of

BAD_INPUT = 2


@dataclass(frozen=True)
class Job:
    """One system on one set, with all controls: so its encoders read each file once."""

    set_name: str
    system: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Work:
    """What every process needs beside its jobs."""

    sources: Sources
    data: Path
    answers: Path
    limit: int | None
    batch_size: int


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes and draws what the arguments say; one line on stderr and 2 for bad input."""
    arguments = _parser().parse_args(argv)
    try:
        _measure(arguments)
    except (ValueError, OSError) as error:
        print(f"favor_135m: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.favor_135m", description="Scores of favor-135m.")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of SPLIT/TASK.jsonl")
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE", help="JSON that is added to")
    parser.add_argument("--model", metavar="PATH_OR_ID", help="the trained model (default: baselines alone)")
    parser.add_argument("--parts", metavar="PATH", help="model folder whose towers the nearest neighbour uses")
    parser.add_argument("--whisper", metavar="PATH_OR_ID", help="the whole Whisper, with its decoder")
    parser.add_argument("--language-model", metavar="PATH_OR_ID", help="the bare language model")
    parser.add_argument("--train", type=Path, metavar="DIR", help="training data of the nearest neighbour")
    parser.add_argument("--sets", metavar="NAMES", help="SPLIT/TASK,... (default: all that are there)")
    parser.add_argument("--limit", type=int, metavar="N", help="only N samples of each set, an even choice")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="of one thread each (default: 1)")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--page", type=Path, metavar="FILE", help="Markdown page whose marked block becomes the table")
    parser.add_argument("--card", type=Path, metavar="DIR", help="folder of a results.json for `favor push`")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of the same")
    return parser


def _measure(arguments: argparse.Namespace) -> None:
    from .favor_135m_page import draw_picture, score_table, write_block, write_card_results

    if min(arguments.processes, arguments.batch_size, arguments.limit or 1) < 1:
        raise ValueError("--processes, --batch-size and --limit must be at least 1.")
    sources = Sources(
        *(arguments.model, arguments.parts, arguments.whisper, arguments.language_model),
        train=arguments.train,
        dtype=arguments.dtype,
    )
    answers = arguments.scores.with_name(f"{arguments.scores.stem}-answers")
    work = Work(sources, arguments.data, answers, arguments.limit, arguments.batch_size)
    command = shlex.join(["python", "-m", "benchmarks.favor_135m", *sys.argv[1:]])
    scores = ScoreFile.open(arguments.scores, command)
    jobs = pending_jobs(chosen_sets(arguments.sets, arguments.data), work, scores)
    for entry in _results(jobs, work, arguments.processes):
        scores.add(entry)
        print(_line(entry), flush=True)
    table = score_table(scores)
    print(table)
    if arguments.page is not None:
        write_block(arguments.page, table)
    if arguments.card is not None:
        write_card_results(arguments.card, scores)
    if arguments.picture is not None:
        draw_picture(scores, arguments.picture)


def chosen_sets(names: str | None, data: Path) -> list[TestSet]:
    """The sets asked for; without names all that are in the folder, and those that are not are named on stderr.

    Raises `ValueError` for an unknown name, `FileNotFoundError` for a set that is not there.
    """
    if names is not None:
        wanted = [name.strip() for name in names.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in SETS]
        if unknown or not wanted:
            raise ValueError(f"--sets {names!r}: no such set; choose from {', '.join(SETS)}.")
        for name in wanted:
            if not SETS[name].annotation(data).is_file():
                raise FileNotFoundError(f"{SETS[name].annotation(data)}, of --sets {name}, does not exist.")
        return [SETS[name] for name in wanted]
    there = [test_set for test_set in TEST_SETS if test_set.annotation(data).is_file()]
    if not there:
        raise FileNotFoundError(f"{data} holds none of the test sets, for example {TEST_SETS[0].annotation(data)}.")
    missing = [test_set.name for test_set in TEST_SETS if test_set not in there]
    if missing:
        print(f"Not measured, {data} does not hold them: {', '.join(missing)}.", file=sys.stderr)
    return there


def pending_jobs(sets: Iterable[TestSet], work: Work, scores: ScoreFile) -> list[Job]:
    """What the file of scores does not hold: by system, so that a process loads few of them."""
    jobs: list[Job] = []
    for test_set in sets:
        runs: dict[str, list[Run]] = {}
        for system, control in runs_of(test_set, work.sources):
            revision, model = work.sources.revision(system, test_set), work.sources.of(system) or ""
            run = Run(test_set.name, system, CONTROLS[control], Path(model).name, revision)
            if not scores.holds(run, work.data, work.limit):
                runs.setdefault(system, []).append(run)
        jobs += [Job(test_set.name, system, tuple(of_system)) for system, of_system in runs.items()]
    systems = list(dict.fromkeys(job.system for job in jobs))
    return sorted(jobs, key=lambda job: systems.index(job.system))


def _results(jobs: list[Job], work: Work, processes: int) -> Iterator[SetScores]:
    """Each run's scores as they come."""
    if processes == 1 or len(jobs) < 2:
        worker = Worker(work)
        for job in jobs:
            yield from worker.scores(job)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(work,)) as pool:
        for done in as_completed([pool.submit(_scores_of, job) for job in jobs]):
            yield from done.result()


_workers: list["Worker"] = []  # of a process that was started: one


def _start_worker(work: Work) -> None:
    _workers.append(Worker(work))


def _scores_of(job: Job) -> list[SetScores]:
    return list(_workers[0].scores(job))


class Worker:
    """One process with its systems."""

    def __init__(self, work: Work):
        import torch

        torch.set_num_threads(1)  # two processes of one thread do more than one of two
        self.work, self.systems = work, Systems(work.sources)

    def scores(self, job: Job) -> Iterator[SetScores]:
        """The scores of a job's runs, each as soon as it is there."""
        answerer = self.systems.answerer(job.system, SETS[job.set_name])
        for run in job.runs:
            work = self.work
            yield score_set(run, answerer, work.data, work.answers, work.limit, work.batch_size)


def _line(entry: SetScores) -> str:
    scores = next(iter(entry.parts.values()))
    shown = ", ".join(f"{name} {score.value:.3f}" for name, score in scores.items() if score.value is not None)
    count = max(score.n or 0 for score in scores.values())
    return f"{time.strftime('%H:%M:%S')} {entry.key}: {shown} (n {count}, {entry.cpu_seconds} CPU s)"


if __name__ == "__main__":
    sys.exit(main())
