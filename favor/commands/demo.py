# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor demo`: shows favor-135m real things, and favor-tiny clips that it was never trained on; scores the answers.

favor-135m is asked about files that come with the package (demo_real.py). For favor-tiny clips are rendered. Half of
the questions about them need picture and sound together ("What colour is the shape while the bell sounds?"). They are
asked twice, the second time with the sound muted: what the model loses then is what it had from hearing. Then come
some items of each of AVEB's eleven tasks; `favor eval` scores many of them.
"""

import argparse
import json
import random
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from favor.model_loading import BUNDLED_NAME, OWN_MODELS, PREPARED_NAME

from .demo_real import ABOUT, RealResult, ask_real, real_rows, real_summary
from .demo_tasks import TaskSample, ask_tasks, matches

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline
    from favor.worlds.mini.clip import Clip
    from favor.worlds.question import Question

DEMO_SEED = 2310  # no training run uses it
CLIPS, SPLIT = 24, "test"
QUESTIONS_PER_CLIP = 4
BOTH_STREAMS_PER_CLIP = 2
BOTH = "both"
MAX_NEW_TOKENS = 12
QUESTION_WIDTH = 56  # characters shown of a task's question
TASKS_FOLDER = "aveb-mini"  # of --out
MAX_SCENES_PER_CLIP = 50


@dataclass
class Sample:
    """A question about a clip, its reference, the answer, and for a both-streams question the answer without sound."""

    clip: str
    family: str
    streams: str
    question: str
    reference: str
    options: int
    answer: str = ""
    correct: bool = False
    muted_answer: str | None = None
    muted_correct: bool | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=OWN_MODELS, help="show this one only (default: both, one after the other)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the clips and results.json in this folder")
    tiny = parser.add_argument_group(f"clips of {BUNDLED_NAME}")
    tiny.add_argument("--clips", type=int, metavar="N", help=f"number of clips, at least 8 (default: {CLIPS})")
    tiny.add_argument("--seed", type=int, metavar="S", help=f"seed of the clips (default: {DEMO_SEED})")
    tiny.add_argument(
        "--split",
        choices=("validation", "test", "compositional"),
        help="combinations held out from training: none, colours with shapes (test, the default), or also colours "
        "with sounds",
    )


def run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    result: dict[str, Any] = {}
    if arguments.model != BUNDLED_NAME:
        result["real"] = show_real(arguments.json, required=arguments.model == PREPARED_NAME)
    if arguments.model != PREPARED_NAME:
        result = {**show_tiny(arguments), **result}
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(result, indent=2))


def show_real(as_json: bool, required: bool) -> dict[str, Any]:
    """Asks favor-135m and prints its answers, unless `as_json`; what is kept of them.

    If the model cannot be had it says so on one line, or raises the `OSError` if it is `required`.
    """
    from favor.model_loading import load_pipeline

    try:
        _progress(f"loading {PREPARED_NAME}")
        pipe = load_pipeline(PREPARED_NAME)
    except OSError as error:
        if required:
            raise
        _progress("")
        reason = " ".join(str(error).split())
        print(f"{PREPARED_NAME} is left out. {reason}", file=sys.stderr)
        return {"left_out": reason}
    started = time.monotonic()
    _progress(f"asking {PREPARED_NAME}")
    samples = ask_real(pipe)
    _progress("")
    result = RealResult(samples, round(time.monotonic() - started, 1))
    if not as_json:
        print(f"{PREPARED_NAME}. {ABOUT}\n")
        _print_table(real_rows(samples))
        print(f"\n{real_summary(result)}\n")
    return result.to_json()


def show_tiny(arguments: argparse.Namespace) -> dict[str, Any]:
    """Asks favor-tiny and prints its answers, unless they are wanted as JSON; what is kept of them."""
    from favor.model_loading import load_pipeline

    clips = CLIPS if arguments.clips is None else arguments.clips
    seed = DEMO_SEED if arguments.seed is None else arguments.seed
    split = arguments.split or SPLIT
    started = time.monotonic()
    _progress("loading the bundled model")
    pipe = load_pipeline()
    with nullcontext(arguments.out) if arguments.out else tempfile.TemporaryDirectory(prefix="favor-demo-") as out_dir:
        samples = render_samples(Path(out_dir), clips, seed, split)
        answer_samples(pipe, samples, Path(out_dir))
        result = {**score(samples), "seconds": round(time.monotonic() - started, 1)}
        _progress("asking about items of AVEB's eleven tasks")
        tasks = ask_tasks(pipe, Path(out_dir) / TASKS_FOLDER, seed, split)
        _progress("")
        result["tasks"] = [asdict(sample) for sample in tasks]
    if not arguments.json:
        if arguments.model is None:
            print(f"{BUNDLED_NAME}. Rendered clips of coloured shapes with beeps, bells and spoken words.\n")
        print_tasks(tasks)
        print()
        print_report(samples, result)
    return result


def _check(arguments: argparse.Namespace) -> None:
    given = [name for name in ("clips", "seed", "split") if getattr(arguments, name) is not None]
    if given and arguments.model == PREPARED_NAME:
        raise ValueError(
            f"--{given[0]} is of the clips of {BUNDLED_NAME}: {PREPARED_NAME} is asked about fixed files."
        )
    if arguments.clips is not None and arguments.clips < 8:
        raise ValueError(f"--clips must be at least 8; got {arguments.clips}.")
    if arguments.out is not None and arguments.out.exists() and any(arguments.out.iterdir()):
        raise ValueError(f"--out {arguments.out} is not empty: name another folder.")


def render_samples(out_dir: Path, clips: int, seed: int, split: str = "test") -> list[Sample]:
    """Renders `clips` videos of `split` under `out_dir` and picks the questions about them."""
    from favor.worlds.mini.moments import MomentsScene

    (out_dir / "media").mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    rendered = 0
    for index in range(clips * MAX_SCENES_PER_CLIP):
        scene = MomentsScene.sample(split, seed, index)
        questions = pick_questions(scene.clip)
        if not questions:
            continue
        rendered += 1
        _progress(f"rendering clip {rendered} of {clips}")
        scene.render(out_dir)
        for question in questions:
            (turn,), clip = question.turns, scene.media_paths["video"]
            options = _options(scene.clip, question)
            samples.append(Sample(clip, question.family, question.streams, turn.question, turn.answer, options))
        if rendered == clips:
            return samples
    raise ValueError(f"Seed {seed} gives only {rendered} clips with enough questions: take another --seed.")


def pick_questions(clip: "Clip") -> "list[Question]":
    """Four questions, two of which need both streams and cannot be answered by the only option; or none."""
    from favor.worlds.mini.questions import ask_all

    if clip.medium != "video":
        return []
    rng = random.Random(clip.seed)
    asked = ask_all(clip, rng)
    families = {name: rng.sample(questions, len(questions)) for name, questions in asked.items()}
    short = [name for name in rng.sample(sorted(families), len(families)) if not name.startswith("timeline")]
    both = [q for name in short for q in families[name] if q.streams == BOTH and _options(clip, q) > 1]
    single = [families[name][0] for name in short if families[name][0].streams != BOTH]
    if len(both) < BOTH_STREAMS_PER_CLIP or len(single) < QUESTIONS_PER_CLIP - BOTH_STREAMS_PER_CLIP:
        return []
    return both[:BOTH_STREAMS_PER_CLIP] + single[: QUESTIONS_PER_CLIP - BOTH_STREAMS_PER_CLIP]


def answer_samples(pipe: "VideoTextToTextPipeline", samples: list[Sample], out_dir: Path) -> None:
    """Lets `pipe` answer every question, and those that need both streams again without sound."""
    clips = list(dict.fromkeys(sample.clip for sample in samples))
    for number, clip in enumerate(clips, start=1):
        _progress(f"asking about clip {number} of {len(clips)}")
        own = [sample for sample in samples if sample.clip == clip]
        for sample, answer in zip(own, _ask(pipe, own, out_dir), strict=True):
            sample.answer, sample.correct = answer, matches(answer, sample.reference)
        both = [sample for sample in own if sample.streams == BOTH]
        for sample, answer in zip(both, _ask(pipe, both, out_dir, load_audio_from_video=False), strict=True):
            sample.muted_answer, sample.muted_correct = answer, matches(answer, sample.reference)


def score(samples: list[Sample]) -> dict[str, Any]:
    """Counts and accuracies; `chance` is what guessing among a clip's own colours, shapes or sounds would give."""
    both = [sample for sample in samples if sample.streams == BOTH]
    families = sorted({sample.family for sample in samples})
    by_family = {name: [sample.correct for sample in samples if sample.family == name] for name in families}
    return {
        "questions": len(samples),
        "correct": sum(sample.correct for sample in samples),
        "both_streams_accuracy": _mean([sample.correct for sample in both]),
        "muted_both_streams_accuracy": _mean([sample.muted_correct for sample in both]),
        "chance": _mean([1 / sample.options for sample in both]),
        "families": {name: {"questions": len(v), "correct": sum(v)} for name, v in by_family.items()},
        "samples": [asdict(sample) for sample in samples],
    }


def print_tasks(samples: Sequence[TaskSample]) -> None:
    """The table of items of AVEB's tasks; of several references the first."""
    rows = [("task", "file", "question", "reference", "answer", "ok")]
    for sample in samples:
        ok = "yes" if sample.correct else "NO"
        question = textwrap.shorten(sample.question, QUESTION_WIDTH, placeholder=" ...")
        rows.append((sample.task, sample.media, question, sample.references[0], sample.answer, ok))
    _print_table(rows)


def print_report(samples: list[Sample], result: dict[str, Any]) -> None:
    """The table of all questions, then the scores."""
    rows = [("clip", "question", "reference", "answer", "muted", "ok")]
    shown = ""
    for sample in samples:
        clip = "" if sample.clip == shown else Path(sample.clip).name
        shown = sample.clip
        ok = "yes" if sample.correct else "NO"
        rows.append((clip, sample.question, sample.reference, sample.answer, sample.muted_answer or "", ok))
    _print_table(rows)
    print()
    _print_table(
        [("family", "correct", "questions")]
        + [(name, str(counts["correct"]), str(counts["questions"])) for name, counts in result["families"].items()]
    )
    print(f"\n{result['correct']} of {result['questions']} questions answered correctly in {result['seconds']} s.")
    print(f"Questions that need picture and sound: {result['both_streams_accuracy']:.0%} correct, ", end="")
    print(f"{result['muted_both_streams_accuracy']:.0%} with the sound muted, {result['chance']:.0%} by chance.")


def _ask(pipe: "VideoTextToTextPipeline", samples: list[Sample], out_dir: Path, **options: Any) -> list[str]:
    questions = [{"video": str(out_dir / sample.clip), "text": sample.question} for sample in samples]
    answers = pipe(questions, batch_size=len(questions), max_new_tokens=MAX_NEW_TOKENS, **options)
    return [" ".join(answer[0]["generated_text"].split()) for answer in answers]


def _options(clip: "Clip", question: "Question") -> int:
    """How many different colours, shapes or sounds of the clip could be the answer."""
    if question.family.startswith("colour"):
        return len({segment.colour for segment in clip.segments})
    if question.family.startswith("shape"):
        return len({segment.shape for segment in clip.segments})
    return len({event.kind for event in clip.events})


def _mean(values: list) -> float:
    return round(sum(values) / len(values), 4)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _progress(message: str) -> None:
    """One line on stderr that the next message replaces; each on a line of its own where stderr is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)
    elif message:
        print(message, file=sys.stderr, flush=True)
