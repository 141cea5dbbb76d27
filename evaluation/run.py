# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A run from annotations to `results.json`, in this process or shared by several."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta

import torch

from .answerer import Answerer
from .eval_run import EvalRun
from .judges import load_judge
from .results import RESULTS_FILE, RunResults, read_results
from .runner import TaskWork, answer_share, check_missing, environment_share, model_revision, pending, prepare_task
from .scoring import gather_results, score_task
from .settings import RunSettings, check_settings, write_settings
from .systems import SystemUnderTest
from .task import available_tasks

LoadAnswerer = Callable[[SystemUnderTest], Answerer]
LONGEST_WAIT = timedelta(days=14)  # of process 0 for the others


def evaluate(run: EvalRun, load_answerer: LoadAnswerer) -> RunResults | None:
    """Answers what has no answer yet, scores it, and writes the folder `run.out`.

    Args:
        load_answerer: loads the system where there is something to answer; a function of a module, which processes
            that are started can import.

    Returns:
        The content of `results.json`, or None in a process of torchrun that only helped.

    Raises:
        ValueError, OSError: annotations, media or answers that are missing or broken, or other settings than those of
            the answers in the folder.
        ChildProcessError: a process was killed.
    """
    tasks, not_run = available_tasks(run.tasks, run.annotations)
    works = [
        prepare_task(task, run.annotations, run.media_root, run.controls, run.limit, run.generation) for task in tasks
    ]
    check_missing(works, run.allow_missing)
    rank, num_processes = environment_share()
    if not_run and rank == 0:
        print(f"Not run, {run.annotations} has no annotations of them: {', '.join(not_run)}.", file=sys.stderr)
    run.out.mkdir(parents=True, exist_ok=True)
    settings = check_settings(run.out, run_settings(run), works)
    _check_earlier_results(run)
    if rank == 0:
        write_settings(run.out, settings)
    if num_processes > 1:
        _answer_share(run, load_answerer, works, rank, num_processes)
        _wait_for_all()
        if rank > 0:
            return None
    elif any(pending(work, run.out) for work in works):
        _answer_all(run, load_answerer, works)
    judge = None if run.judge is None else load_judge(run.judge)
    scored = {task.name: score_task(task, work, run.out, judge) for task, work in zip(tasks, works, strict=True)}
    return gather_results(run.out, scored, not_run)


def _check_earlier_results(run: EvalRun) -> None:
    """Raises `ValueError` if the folder's results, which this run's stand beside, are of other settings."""
    if not (run.out / RESULTS_FILE).exists():
        return
    before, now = read_results(run.out).settings, run_settings(run)
    if before.to_json() != now.to_json():
        raise ValueError(
            f"{run.out / RESULTS_FILE} holds results of {before.model} ({before.controls.name}), which were made with "
            f"other settings than those of {now.model} ({now.controls.name}) asked for now. Take another --out."
        )


def run_settings(run: EvalRun) -> RunSettings:
    """What decides on the answers of all tasks."""
    return RunSettings(
        model=run.system.shown_name,
        system=run.system.kind,
        controls=run.controls,
        model_revision=None if run.system.model is None else model_revision(run.system.model),
        fps=run.system.fps,
        on_error=run.system.on_error,
    )


def _answer_all(run: EvalRun, load_answerer: LoadAnswerer, works: Sequence[TaskWork]) -> None:
    """Answers in this process, or in several that are started for it."""
    if run.num_processes == 1:
        _answer_share(run, load_answerer, works, 0, 1)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")  # neither CUDA nor decoding threads survive a fork
    count = run.num_processes
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        shares = [pool.submit(_answer_share, run, load_answerer, works, rank, count) for rank in range(count)]
        try:
            for share in shares:
                share.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "A process was killed, perhaps for lack of memory. Start again to go on."
            ) from error


def _answer_share(
    run: EvalRun, load_answerer: LoadAnswerer, works: Sequence[TaskWork], rank: int, num_processes: int
) -> None:
    """What one of the processes does."""
    _take_device(int(os.environ.get("LOCAL_RANK", rank)), num_processes)
    if rank == 0:
        print("Loading the model ...", file=sys.stderr)
    answerer = load_answerer(run.system)
    answer_share(works, answerer, run.out, rank, num_processes, run.batch_size, allow_unreadable=run.allow_missing)


def _take_device(local_rank: int, num_processes: int) -> None:
    """Lets this process see one GPU only, or gives it its part of the cores."""
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
    from torch import distributed

    distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    distributed.barrier()
    distributed.destroy_process_group()
