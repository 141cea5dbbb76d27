# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The ablation study: trains and scores every variant of FAVOR with several seeds, and draws what came out.

    python -m benchmarks.ablations run OUT --train MANIFEST --test ANNOTATIONS [--limit N] [--variants full ...]
    python -m benchmarks.ablations draw OUT/raw.json --page docs/ablations.md --pictures docs/pictures
    python -m benchmarks.ablations controls OUT/raw.json --page docs/aveb-mini.md

`run` trains by recipes/ablation.yaml, scores by `favor eval`, each in a process of its own, and goes on where it was
stopped. A variant is the recipe with the config changes of that name in assembly/presets.json. Beside them:

- `full`: nothing is changed.
- `text-only`: trained on the same questions without their media (`allow_text_only`), scored without media.
- `fps-...`: no training; the `full` models scored at another frame rate.

In OUT: `raw.json` (all results), `runs/VARIANT-seedN/` (model, `log.txt`, `eval/`), `encoder_states/` (what the frozen
encoders say, made once before the runs begin), `text-only.jsonl`.
"""

import argparse
import datetime
import fcntl
import functools
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from favor.evaluation.results import MetricScore

REPOSITORY = Path(__file__).parents[1]
RECIPE = REPOSITORY / "recipes" / "ablation.yaml"
PRESET = "favor-tiny"
FULL, TEXT_ONLY = "full", "text-only"
# Names of presets.json: rows of tables 5, 9 and 10; one stream; figure 3 (a, b); figure 4.
ROWS = (
    "without-causal-attention",
    "without-windows",
    "without-synchronisation",
    "without-diversity-loss",
    "video-llama-like",
)
STREAMS = ("audio-only", "visual-only")
WINDOWS = ("half-windows", "double-windows", "fourfold-windows")
WEIGHTS = ("diversity-loss-0.1", "diversity-loss-1")
FRAME_RATES = {"fps-0.5": 0.5, "fps-1": 1.0, "fps-4": 4.0}  # figure 3 (c): scored, not trained
VARIANTS = (FULL, *ROWS, *STREAMS, TEXT_ONLY, *WINDOWS, *WEIGHTS, *FRAME_RATES)
# Tasks whose own headline needs a judge. Answers of AVEB-mini are few fixed words, which can be compared.
JUDGE_FREE = {"avsd": "exact_match", "avssd": "class_match"}
MEDIA = ("video", "image", "audio")
SHOWN_MATRICES = "video_qa"  # whose queries' similarities are kept as a matrix, for figure 5
TRAINED = "trained.json"  # written when a training is over
LOG_END = 2000  # characters of a log that an error shows


def run(arguments: argparse.Namespace) -> None:
    """Trains and scores what is not in OUT/raw.json yet."""
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out):
        run_missing(arguments, out)


def run_missing(arguments: argparse.Namespace, out: Path) -> None:
    raw = read_raw(out / "raw.json", study_settings(arguments))
    raw.setdefault("chance", chance_levels(arguments.test))
    raw["command"] = command_line(arguments.command_line)
    done = {(score["variant"], score["seed"]) for score in raw["scores"]}
    jobs: dict[tuple[int, str], list[str]] = {}  # seed and what is trained: what is scored
    for seed in arguments.seeds:  # outermost, so that a study that is stopped has whole rounds
        for variant in arguments.variants:
            if (variant, seed) not in done:
                jobs.setdefault((seed, FULL if variant in FRAME_RATES else variant), []).append(variant)
    write_raw(out / "raw.json", raw)
    fill_cache(arguments, out, [variant for _, variant in jobs])
    failures = []
    with ThreadPoolExecutor(arguments.processes) as pool, tqdm(total=len(jobs), unit="run") as bar:
        futures = [pool.submit(run_job, arguments, out, variant, seed, jobs[seed, variant]) for seed, variant in jobs]
        for future in as_completed(futures):
            try:
                for name, entries in zip(("scores", "similarities"), future.result(), strict=True):
                    fresh = {(entry["variant"], entry["seed"]) for entry in entries}
                    kept = [entry for entry in raw[name] if (entry["variant"], entry["seed"]) not in fresh]
                    raw[name] = kept + entries
                write_raw(out / "raw.json", raw)  # by this thread alone
            except RuntimeError as error:
                failures.append(str(error))
            bar.update()
    if failures:
        summary = f"{len(failures)} of {len(jobs)} runs failed; start again to go on."
        raise RuntimeError("\n\n".join([summary, *failures]))


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keeps other studies out of a folder for as long as this one or a process that it started lives.

    Raises `RuntimeError` if one is there.
    """
    with (out / "lock").open("a") as file:
        os.set_inheritable(file.fileno(), True)  # the lock is held until the last process that has it is gone
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"A study, or a run that a killed one has left behind, is at work in {out}: wait for it, or end it."
            ) from None
        yield


def fill_cache(arguments: argparse.Namespace, out: Path, variants: Iterable[str]) -> None:
    """Runs the encoders once for each choice of streams: runs side by side would each do all of it."""
    streams = dict.fromkeys(variant if variant in STREAMS else FULL for variant in variants if variant != TEXT_ONLY)
    for variant in tqdm(streams, "encoder states", unit="pass", disable=not streams):
        folder = out / "encoding" / variant
        if not (folder / TRAINED).is_file():
            train(arguments, out, variant, 0, folder, {"sft.max_steps": 1})


def run_job(
    arguments: argparse.Namespace, out: Path, variant: str, seed: int, scored: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Trains one model, unless it is there, and scores it; returns entries of `scores` and of `similarities`."""
    from favor.evaluation.query_similarity import read_queries

    folder = out / "runs" / f"{variant}-seed{seed}"
    if not (folder / TRAINED).is_file():
        train(arguments, out, variant, seed, folder, {})
    scores, similarities = [], []
    for name in scored:
        results_dir = folder / ("eval" if name == variant else f"eval-{name}")
        command = ["eval", "--model", folder, "--tasks", "all", "--annotations", arguments.test.resolve()]
        command += ["--out", results_dir]
        command += ["--limit", arguments.limit] if arguments.limit else []
        command += ["--fps", FRAME_RATES[name]] if name in FRAME_RATES else []
        command += ["--no-audio", "--no-video"] if name == TEXT_ONLY else []
        run_favor([str(part) for part in command], folder / "log.txt")
        facts = {**json.loads((folder / TRAINED).read_text()), **run_facts(folder)}
        scores += [{"variant": name, "seed": seed, **score, **facts} for score in read_scores(results_dir)]
        matrix = read_queries(results_dir, SHOWN_MATRICES)
        if matrix is not None and seed == min(arguments.seeds):
            similarities.append({"variant": name, "seed": seed, "task": SHOWN_MATRICES, **matrix.to_json()})
    return scores, similarities


def train(
    arguments: argparse.Namespace, out: Path, variant: str, seed: int, folder: Path, options: dict[str, Any]
) -> None:
    """One training by the recipe; its folder then has a `trained.json` with the seconds that it took."""
    shutil.rmtree(folder, ignore_errors=True)  # of a training that was stopped
    folder.mkdir(parents=True)
    manifest = arguments.train.resolve()
    entries: dict[str, Any] = config_changes(variant)
    if variant == TEXT_ONLY:
        manifest = without_media(manifest, out / "text-only.jsonl")
        entries["sft.allow_text_only"] = True
    cache_dir = str(out / "encoder_states")
    entries |= {"train_data": str(manifest), "output_dir": str(folder), "seed": seed}
    entries |= {"cache_encoder_states.cache_dir": cache_dir}
    shown = [part for key, value in entries.items() for part in (f"--{key}", json.dumps(value))]
    given = [part for entry in arguments.override for part in override_parts(entry)]
    more = [part for key, value in options.items() for part in (f"--{key}", json.dumps(value))]
    seconds = run_favor(["sft", str(RECIPE), *shown, *given, *more], folder / "log.txt")
    (folder / TRAINED).write_text(json.dumps({"seconds": round(seconds, 1), "date": f"{datetime.date.today()}"}))


def run_favor(arguments: list[str], log: Path) -> float:
    """Runs a `favor` command in a process of its own and returns its seconds; what it prints goes to the log."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    start = time.perf_counter()
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ favor {shlex.join(arguments)}\n")
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "favor", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            close_fds=False,  # for the lock of `alone_in`
        )
    if done.returncode:
        end = log.read_text(encoding="utf-8", errors="replace")[-LOG_END:]
        raise RuntimeError(f"favor {arguments[0]} ended with {done.returncode}; {log} says why:\n{end}")
    return time.perf_counter() - start


def config_changes(variant: str) -> dict[str, Any]:
    """What a variant changes in the config of favor-tiny, by dotted key of the recipe."""
    from favor.assembly.presets import preset_values

    if variant in (FULL, TEXT_ONLY):
        return {}
    return dict(_differences(preset_values(PRESET), preset_values(PRESET, variant), "config"))


def _differences(before: dict[str, Any], after: dict[str, Any], section: str) -> Iterator[tuple[str, Any]]:
    for key, value in after.items():
        if isinstance(value, dict):
            yield from _differences(before.get(key) or {}, value, f"{section}.{key}")
        elif key not in before or before[key] != value:
            yield f"{section}.{key}", value


def override_parts(entry: str) -> tuple[str, str]:
    """`KEY=VALUE` as `--KEY VALUE`. Raises `ValueError` without `=`."""
    key, equals, value = entry.partition("=")
    if not equals:
        raise ValueError(f"--override {entry!r} is not KEY=VALUE: write for example --override sft.max_steps=2000.")
    return f"--{key}", value


def without_media(manifest: Path, target: Path) -> Path:
    """A manifest of the same questions and answers without their media."""
    if manifest.suffix != ".jsonl":
        raise ValueError(
            f"{TEXT_ONLY} needs a manifest, one JSON line per sample (.jsonl), but --train is {manifest}."
        )
    partial = target.with_name(f"{target.name}.{os.getpid()}-{time.monotonic_ns()}")  # several seeds may be at it
    with manifest.open(encoding="utf-8") as lines, partial.open("w", encoding="utf-8") as file:
        for line in lines:
            if line.strip():
                sample = {key: value for key, value in json.loads(line).items() if key not in MEDIA}
                file.write(json.dumps(sample) + "\n")
    partial.replace(target)
    return target


def read_scores(results_dir: Path) -> list[dict[str, Any]]:
    """The score of each task of an evaluation: the headline, or what takes its place without a judge."""
    from favor.evaluation.query_similarity import read_queries
    from favor.evaluation.results import read_results

    results = read_results(results_dir)
    scores = []
    for task, entry in results.tasks.items():
        metric = JUDGE_FREE.get(task, entry.metric)
        found = exact_match(results_dir, task) if metric == "exact_match" else entry.metrics[metric]
        if found.value is None:
            raise RuntimeError(f"{results_dir}: {task} has no {metric}, which was {found.reason}.")
        queries = read_queries(results_dir, task)
        scores.append(
            {
                "task": task,
                "metric": metric,
                **found.to_json(),
                "mean_similarity": queries.mean_similarity if queries else None,
                "facts": results.facts,
            }
        )
    return scores


def exact_match(results_dir: Path, task: str) -> "MetricScore":
    """Share of answers whose words are a reference's and no others, the rule of multiple choice; with its interval."""
    from favor.evaluation.bootstrap import confidence_interval
    from favor.evaluation.metrics.accuracy import Accuracy
    from favor.evaluation.metrics.choices import score_exact_choice
    from favor.evaluation.results import MetricScore
    from favor.evaluation.sample import EvalSample
    from favor.evaluation.sample_log import read_samples

    metric = Accuracy("exact_match", score_exact_choice)
    scored = {key: record.scored for key, record in sorted(read_samples(results_dir, task).items()) if record.scored}
    samples = [EvalSample(key, [], {}, answer.references) for key, answer in scored.items()]
    statistics = metric.sample_statistics(samples, [answer.answer for answer in scored.values()])
    interval = confidence_interval(metric, statistics)
    return MetricScore(metric.aggregate(statistics), interval, len(samples), metric.higher_is_better)


def run_facts(folder: Path) -> dict[str, Any]:
    """Steps and versions of a training, and the machine."""
    record = json.loads((folder / "training_record.json").read_text(encoding="utf-8"))
    return {"steps": record["optimisation steps"], "versions": record["versions"], "machine": machine()}


@functools.cache
def machine() -> str:
    """For example "2 cores, AMD EPYC"."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else 'unknown processor'}"


def chance_levels(annotations: Path) -> dict[str, float]:
    """Accuracy of guessing, for the tasks where it is defined: options, yes or no, and the objects that light up."""
    from favor.evaluation.task import available_tasks

    levels = {}
    for task in available_tasks("all", annotations)[0]:
        samples = task.read_samples(task.annotation_path(annotations), None)
        options = [_options(sample) for sample in samples]
        if all(options):
            levels[task.name] = sum(1 / count for count in options) / len(options)
    objects = [
        len(scene["ground_truth"]["lamps"])
        for file in annotations.glob("*_scenes.jsonl")
        for scene in map(json.loads, file.read_text(encoding="utf-8").splitlines())
        if scene["scene"].startswith("avssd")
    ]
    return {**levels, "avssd": sum(1 / count for count in objects) / len(objects)} if objects else levels


def _options(sample: Any) -> int:
    """Between how many answers a sample lets choose; 0 if the answer is free."""
    return len(sample.choices or ()) or 2 * ({reference.lower() for reference in sample.references} <= {"yes", "no"})


def study_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What all results of a study have in common. Raises `ValueError` for an override that no recipe knows."""
    from favor.evaluation.runner import model_revision
    from favor.recipes import open_recipe

    overrides = dict(override_parts(entry) for entry in arguments.override)
    recipe = open_recipe(RECIPE, {key.removeprefix("--"): value for key, value in overrides.items()})
    return {
        "model": model_revision(str(recipe.model)),  # whose encoders and tokenisers all runs have
        "train": _fingerprint(arguments.train),
        "test": {file.name: _fingerprint(file) for file in sorted(arguments.test.glob("*.jsonl"))},
        "recipe": _recipe_fingerprint(RECIPE),
        "overrides": sorted(arguments.override),
        "limit": arguments.limit,
    }


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _recipe_fingerprint(path: Path) -> str:
    """Of what the recipe says: its comments do not change a result."""
    from favor.trainers.recipe import read_recipe

    return hashlib.sha256(json.dumps(dict(read_recipe(path).given), sort_keys=True).encode()).hexdigest()[:16]


def read_raw(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The results so far. Raises `ValueError` if they were made of other data, or by another recipe."""
    if not path.is_file():
        return {"settings": settings, "scores": [], "similarities": []}
    raw = json.loads(path.read_text(encoding="utf-8"))
    different = sorted(name for name, value in settings.items() if raw["settings"].get(name) != value)
    if different:
        raise ValueError(f"{path} has results of another {', '.join(different)}; take another folder for these.")
    return raw


def write_raw(path: Path, raw: dict[str, Any]) -> None:
    """Writes all results at once: a study that is killed leaves the file whole."""
    raw["scores"].sort(key=lambda score: (VARIANTS.index(score["variant"]), score["seed"], score["task"]))
    lines = {name: value for name, value in raw.items() if name not in ("scores", "similarities")}
    text = json.dumps(lines, indent=1)[:-2]
    for name in ("scores", "similarities"):  # one line a result
        text += f',\n "{name}": [\n  ' + ",\n  ".join(map(json.dumps, raw[name])) + "\n ]"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text + "\n}\n", encoding="utf-8")
    partial.replace(path)


def command_line(arguments: list[str]) -> str:
    """The command as it was given, without the folders of absolute paths."""
    shown = [Path(part).name if Path(part).is_absolute() else part for part in arguments]
    return shlex.join(["python", "-m", "benchmarks.ablations", *shown])


def draw(arguments: argparse.Namespace) -> None:
    from .ablations_page import write_page

    write_page(arguments.raw, arguments.page, arguments.pictures)


def controls(arguments: argparse.Namespace) -> None:
    from .ablations_controls import write_controls

    write_controls(arguments.raw, arguments.page)


def parse(command_line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run", help="train and score; goes on where it was stopped")
    running.set_defaults(function=run)
    running.add_argument("out", type=Path, metavar="OUT", help="folder of the study")
    running.add_argument("--train", type=Path, required=True, metavar="MANIFEST", help="as `favor synth` writes it")
    running.add_argument("--test", type=Path, required=True, metavar="DIR", help="annotations, as `favor eval` reads")
    running.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    running.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S")
    running.add_argument("--limit", type=int, metavar="N", help="score N samples per task")
    running.add_argument("--processes", type=int, default=2, metavar="N", help="runs side by side, a thread each")
    running.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="change in the recipe")
    drawing = commands.add_parser("draw", help="page and pictures")
    drawing.set_defaults(function=draw)
    drawing.add_argument("raw", type=Path, metavar="RAW_JSON")
    drawing.add_argument("--page", type=Path, required=True, metavar="FILE", help='its "What was tried" is kept')
    drawing.add_argument("--pictures", type=Path, required=True, metavar="DIR")
    controlling = commands.add_parser("controls", help="write a page's section Controls anew")
    controlling.set_defaults(function=controls)
    controlling.add_argument("raw", type=Path, metavar="RAW_JSON")
    controlling.add_argument("--page", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args(command_line)
    arguments.command_line = sys.argv[1:] if command_line is None else command_line
    return arguments


def main(command_line: list[str] | None = None) -> None:
    arguments = parse(command_line)
    try:
        arguments.function(arguments)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
