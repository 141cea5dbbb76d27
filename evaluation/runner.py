# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs a system over tasks: reads and selects samples, shares them among processes, and logs every answer as it comes.

A run can be killed at any time and started again: what is in its folder is not asked again, and a folder whose answers
were made with other settings is refused. Samples are shared out by their place in the order of ids, so that any number
of processes gives the same files.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from favor.processing import load_media

from .answerer import Answerer
from .controls import Controls, apply_controls
from .json_fields import Json, JsonObject
from .query_similarity import measure_queries, queries_path
from .sample import EvalSample, missing_media
from .sample_log import SampleLog, SampleRecord, read_samples, replace_file

if TYPE_CHECKING:
    from .task import EvalTask

FACTS_FILE = "model.json"
SHOWN_FILES = 5  # missing files named in an error


@dataclass(frozen=True)
class TaskWork:
    """A task's samples, ready to be answered.

    Attributes:
        task: name of the task.
        samples: those to answer, sorted by id, media withheld as the controls say.
        generation: arguments of `generate()`.
        missing: media files that do not exist; their samples are left out.
        missing_samples: how many samples were left out for that.
        prompts: fingerprint of what all samples of the task ask.
        own_data: folder and name of the annotation file, if that is one of the user's own.
    """

    task: str
    samples: list[EvalSample]
    generation: JsonObject
    missing: list[str]
    missing_samples: int
    prompts: str
    own_data: str | None = None


def prepare_task(
    task: "EvalTask",
    annotations: Path,
    media_root: Path | None,
    controls: Controls,
    limit: int | None = None,
    generation: JsonObject | None = None,
) -> TaskWork:
    """Reads a task's annotations and selects its samples.

    Args:
        annotations: folder of the annotation files.
        media_root: folder that the media paths of the annotations are relative to.
        limit: answer only so many samples: those whose hashed ids come first, so that any limit is an even choice and
            a smaller one is part of a larger one.
        generation: arguments of `generate()` to change.

    Raises:
        FileNotFoundError: the annotation file is missing.
        ValueError: it is broken, or two samples have the same id.
    """
    path = task.annotation_path(annotations)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}, the annotations of task {task.name}, does not exist. Name their folder with --annotations."
        )
    samples = sorted(task.read_samples(path, media_root), key=lambda sample: sample.id)
    _check_ids(samples, path)
    missing = missing_media(samples)
    present = [sample for sample in samples if sample.id not in missing]
    # Before the limit: sounds are shuffled among all samples of the task, however few are asked.
    shown = apply_controls(present, controls) if present else []
    # Chosen among all samples: a file that is missing changes no other choice.
    chosen = {sample.id for sample in sorted(samples, key=_hashed_id)[:limit]}
    return TaskWork(
        task=task.name,
        samples=[sample for sample in shown if sample.id in chosen],
        generation={**task.answers.generation, **(generation or {})},
        missing=sorted({file for key, files in missing.items() if key in chosen for file in files}),
        missing_samples=len(chosen & set(missing)),
        # Of all samples: a run that goes on with a higher limit is still the same run.
        prompts=_fingerprint([_asked(sample) for sample in samples]),
        own_data=f"{path.absolute().parent.name}/{path.name}" if task.is_own(path) else None,
    )


def check_missing(works: Sequence[TaskWork], allowed: bool) -> None:
    """Raises `ValueError` if media are missing and that is not `allowed`, or if no sample is left."""
    files = sorted({file for work in works for file in work.missing})
    if files and not allowed:
        more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
        raise ValueError(
            f"{sum(work.missing_samples for work in works)} samples lack their media: "
            f"{', '.join(files[:SHOWN_FILES])}{more}. Check --media-root, or leave them out with --allow-missing."
        )
    for work in works:
        if not work.samples:
            raise ValueError(f"Task {work.task} has no sample to answer ({work.missing_samples} lack their media).")


def pending(work: TaskWork, out_dir: Path, rank: int = 0, num_processes: int = 1) -> list[EvalSample]:
    """The samples of process `rank` that have no answer yet."""
    done = {key for key, record in read_samples(out_dir, work.task).items() if record.error is None}
    return [sample for sample in work.samples[rank::num_processes] if sample.id not in done]


def answer_share(
    works: Sequence[TaskWork],
    answerer: Answerer,
    out_dir: Path,
    rank: int = 0,
    num_processes: int = 1,
    batch_size: int = 1,
    allow_unreadable: bool = False,
    progress: bool = True,
) -> None:
    """Answers what is pending of every `num_processes`-th sample, and logs it batch by batch.

    Process 0 also writes what is worth knowing about the system: its facts, and the similarity of its queries.

    Raises:
        ValueError, OSError: a media file cannot be read and that is not allowed (else it is logged as an error, is
            not scored, and is tried again by the next run), or another process writes the same file.
    """
    from tqdm import tqdm

    if rank == 0:
        replace_file(out_dir / FACTS_FILE, json.dumps(answerer.facts, indent=2, sort_keys=True) + "\n")
    for work in works:
        if rank == 0 and not queries_path(out_dir, work.task).exists():
            readable = (sample for sample in work.samples if not allow_unreadable or _is_readable(sample))
            queries = measure_queries(answerer, readable)
            # `null` for a system without queries: the file tells that it was asked.
            content = None if queries is None else queries.to_json()
            replace_file(queries_path(out_dir, work.task), json.dumps(content) + "\n")
        with SampleLog(out_dir, work.task, rank) as log:
            waiting = pending(work, out_dir, rank, num_processes)
            share = len(work.samples[rank::num_processes])
            label = work.task if num_processes == 1 else f"{work.task} (process 1 of {num_processes})"
            with tqdm(
                total=share, initial=share - len(waiting), desc=label, unit="sample", disable=not progress or rank > 0
            ) as bar:
                for start in range(0, len(waiting), batch_size):
                    batch = waiting[start : start + batch_size]
                    log.append(_answer_batch(answerer, batch, work.generation, allow_unreadable))
                    bar.update(len(batch))


def model_revision(model: str) -> str:
    """What identifies the weights: a fingerprint of a folder's files, or a Hub repository's commit.

    Of large files only size, first and last MiB are read: other training changes every weight.
    """
    folder = Path(model)
    if not folder.is_dir():
        from transformers.utils import cached_file
        from transformers.utils.hub import extract_commit_hash

        return extract_commit_hash(cached_file(model, "config.json"), None) or "unknown"
    parts = [
        (file.relative_to(folder).as_posix(), file.stat().st_size, _ends(file))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix in (".json", ".safetensors", ".bin", ".jinja", ".model")
    ]
    return _fingerprint(parts)


def environment_share() -> tuple[int, int]:
    """Rank and number of processes as torchrun tells them, or (0, 1)."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _answer_batch(
    answerer: Answerer, batch: list[EvalSample], generation: JsonObject, allow_unreadable: bool
) -> list[SampleRecord]:
    try:
        answers = answerer.answer(batch, generation)
    except (ValueError, OSError) as error:
        if not allow_unreadable:
            raise
        # One file spoils its batch: asked one by one, only its own sample is lost.
        if len(batch) > 1:
            return [record for sample in batch for record in _answer_batch(answerer, [sample], generation, True)]
        # Then the system is at fault, not the file; that is no reason to go on.
        if _is_readable(batch[0]):
            raise
        return [SampleRecord(batch[0].id, error=" ".join(str(error).split()))]
    return [SampleRecord(sample.id, answer.text, answer.seen) for sample, answer in zip(batch, answers, strict=True)]


def _is_readable(sample: EvalSample) -> bool:
    try:
        for path in sample.media.values():
            load_media(path)
    except (ValueError, OSError):
        return False
    return True


def _check_ids(samples: Sequence[EvalSample], path: Path) -> None:
    for sample, following in zip(samples, samples[1:], strict=False):
        if sample.id == following.id:
            raise ValueError(f"{path}: two samples have the id {sample.id!r}. Remove one, or give it another id.")


def _hashed_id(sample: EvalSample) -> str:
    """Of a pair of questions that are judged together, the first's: a limit keeps them together."""
    return hashlib.sha256((sample.fact("pair_of") or sample.id).encode()).hexdigest()


def _asked(sample: EvalSample) -> Json:
    """What a system is asked, without the folder that the media lie in."""
    media = {kind: os.path.basename(path) for kind, path in sorted(sample.media.items())}
    return [sample.id, sample.messages, sample.choices, media, sample.use_own_audio]


def _fingerprint(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _ends(file: Path, size: int = 1 << 20) -> str:
    with file.open("rb") as handle:
        digest = hashlib.sha256(handle.read(size))
        handle.seek(max(0, file.stat().st_size - size))
        digest.update(handle.read(size))
    return digest.hexdigest()
