# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""GRPO of favor-tiny with AVEB-mini's exact rewards: what it does to pairs of colour and shape never seen in training.

    python -m benchmarks.rewards --out docs/rewards.json      # three seeds, two ways

Of the four pairs that AVEB-mini keeps out of training, two are rewarded, and two are shown neither in supervised
training nor in this one: these say whether what was learnt of the one pair helps with another. Each seed rewards
another two. Ways:

- `two held-out pairs`: GRPO on questions about stills (VQA, ISQA), none of which shows one of the other two pairs.
- `trained pairs`: the same on stills of the split `train`, which shows no held-out pair: what more training does.

Scored, greedily, before and after: questions about held-out pairs in new stills (split `compositional`, another seed),
and every question of the split `test` (seed 2, that of docs/favor-tiny.md).
"""

import argparse
import json
import platform
import random
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PARTITIONS = ((0, 1), (2, 3), (1, 2))  # the rewarded pairs of seeds 0, 1, 2; the other two are tested
WAYS = ("two held-out pairs", "trained pairs")
TASKS = "vqa,isqa"
KINDS = ("colour", "shape", "relation", "exists")
ASKED_FAMILIES = (*(f"{task}_{kind}" for task in ("vqa", "isqa") for kind in KINDS), "ic")  # of stills
ROWS = 400
OTHERS = 100
A_TASK = 20  # scored questions of each task of the split `test`
BATCH = 64
RESAMPLES = 1000
Look = tuple[str, str]  # colour and shape


def held_out_pairs() -> list[Look]:
    from favor.worlds.mini.world import COLOURS, SHAPES, is_held_out_shape

    return [(colour, shape) for colour in COLOURS for shape in SHAPES if is_held_out_shape(colour, shape)]


def asked_pair(question: str, answer: str) -> Look | None:
    """The colour and the shape that a question about a still and its answer name; None unless it is one pair."""
    from favor.worlds.mini.world import COLOURS, SHAPES

    named = re.search(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", answer)
    words = re.findall(r"\w+", named.group(0) if named else f"{question} {answer}".lower())
    colours, shapes = ([word for word in words if word in known] for known in (COLOURS, SHAPES))
    return (colours[0], shapes[0]) if len(colours) == 1 and len(shapes) == 1 else None


@dataclass(frozen=True)
class Split:
    """
    Rendered questions, with the encoders' states of their media.

    Args:
        rows: of the manifest.
        states: of `encode_prompts`.
        pairs: what each question is about, if it is one colour and one shape.
        shown: the looks that each question's still shows.
    """

    rows: Any
    states: Any
    pairs: list[Look | None]
    shown: list[set[Look]]


def load_split(folder: Path, name: str, count: int, seed: int, tasks: str, model: Any, processor: Any) -> Split:
    """Renders a split, unless it is there, and encodes it."""
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.trainers import encode_prompts, load_manifest
    from favor.worlds.mini.dataset import write_split

    if not (folder / f"{name}.jsonl").is_file():
        write_split(folder, name, count, seed, tasks, workers=1, progress=False, prompts=AVEB_PROMPTS)
    rows = load_manifest(folder / f"{name}.jsonl")
    rows = rows.select(chosen_rows(rows, tasks))
    lines = (folder / f"{name}_scenes.jsonl").read_text(encoding="utf-8").splitlines()
    truths = {scene["scene"]: scene["ground_truth"] for scene in map(json.loads, lines)}
    pairs, shown = [], []
    for row in rows:
        truth, turns = truths[row["scene"]], row["messages"]
        pieces = truth.get("pieces") or []
        shown.append({(piece["colour"], piece["shape"]) for piece in pieces})
        spoken = " ".join(event["word"] or "" for event in truth.get("events", ())) if row["task"] == "isqa" else ""
        about_still = row["family"].startswith(("vqa_", "isqa_"))
        pairs.append(asked_pair(f"{turns[-2]['content']} {spoken}", turns[-1]["content"]) if about_still else None)
    rows, states = encode_prompts(
        model, processor, rows, cache_dir=folder / "states", dtype="float32", workers=0, progress=False
    )
    return Split(rows, states, pairs, shown)


def chosen_rows(rows: Any, tasks: str) -> list[int]:
    """Of stills, the questions that are rewarded or scored; of everything, so many of each task, spread evenly."""
    if tasks != "all":
        return [number for number, family in enumerate(rows["family"]) if family in ASKED_FAMILIES]
    by_task: dict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(rows["task"]):
        by_task[task].append(number)
    return sorted(
        n for numbers in by_task.values() for n in random.Random(0).sample(numbers, min(A_TASK, len(numbers)))
    )


def trained_rows(split: Split, rewarded: Sequence[Look], tested: Sequence[Look], seed: int) -> list[int]:
    """Questions about the rewarded pairs, and as many others; none about a still that shows a tested pair.

    Without any about them, of a split that does not show them, ROWS others.
    """
    allowed = [number for number, shown in enumerate(split.shown) if not shown & set(tested)]
    about = [number for number in allowed if split.pairs[number] in rewarded]
    others = [number for number in allowed if split.pairs[number] not in rewarded]
    return sorted(about + random.Random(seed).sample(others, min(len(about) or ROWS, len(others))))


def train(split: Split, chosen: Sequence[int], seed: int, options: argparse.Namespace) -> Any:
    """A trainer after GRPO on these rows."""
    from favor import load_pipeline
    from favor.rewards import reward_function
    from favor.trainers import FavorGRPOConfig, FavorGRPOTrainer

    pipe = load_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        arguments = FavorGRPOConfig(
            output_dir=folder,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            num_generations=options.answers,
            learning_rate=options.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=5,
            temperature=options.temperature,
            beta=options.beta,
            max_completion_length=8,
            max_grad_norm=1.0,
            train_only=options.train_only,
            activation_checkpointing=False,
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        )
        trainer = FavorGRPOTrainer(
            model=pipe.model,
            args=arguments,
            reward_funcs=reward_function("exact_match"),
            processing_class=pipe.processor,
            train_dataset=split.rows.select(chosen),
            encoder_states=split.states,
        )
        if options.steps:
            trainer.train()
    return trainer


def right_answers(trainer: Any, split: Split) -> list[bool]:
    """Whether each question is answered with the reference's words, greedily."""
    from favor.rewards import reward_function

    said = answers(trainer, split, range(len(split.rows)))
    scores = reward_function("exact_match")(completions=said, messages=list(split.rows["messages"]))
    return [score == 1.0 for score in scores]


def answers(trainer: Any, split: Split, places: Sequence[int], **sampling: Any) -> list[str]:
    """What the model of a `FavorGRPOTrainer` says to these rows; greedily, unless `sampling` says how."""
    import torch

    model, tokenizer = trainer.unwrapped_favor().eval(), trainer.processing_class.tokenizer
    trainer.encoder_states = split.states
    said: list[str] = []
    for start in range(0, len(places), BATCH):
        asked = [trainer.ask(split.rows[number]) for number in places[start : start + BATCH]]
        longest = max(len(prompt.input_ids) for prompt in asked)
        ids = [[tokenizer.pad_token_id] * (longest - len(p.input_ids)) + p.input_ids for p in asked]
        mask = [[0] * (longest - len(p.input_ids)) + [1] * len(p.input_ids) for p in asked]
        with torch.no_grad():
            tokens = model.generate(
                input_ids=torch.tensor(ids),
                attention_mask=torch.tensor(mask),
                max_new_tokens=96,
                **(sampling or {"do_sample": False}),
                **trainer.media_of(asked),
            )
        said += tokenizer.batch_decode(tokens[:, longest:], skip_special_tokens=True)
    return [text.strip() for text in said]


def part_of(split: Split, places: Sequence[int]) -> Split:
    """Some of a split's questions."""
    pairs, shown = ([values[place] for place in places] for values in (split.pairs, split.shown))
    return Split(split.rows.select(places), split.states, pairs, shown)


def scored_places(split: Split, pairs: Sequence[Look]) -> list[int]:
    """All questions about these pairs, and OTHERS about anything else."""
    about = [number for number, pair in enumerate(split.pairs) if pair in pairs]
    others = [number for number, pair in enumerate(split.pairs) if pair not in pairs]
    return sorted(about + random.Random(0).sample(others, min(OTHERS, len(others))))


def known_answers(folder: Path, name: str, splits: dict[str, Split], options: argparse.Namespace) -> list[bool]:
    """What the bundled model has right of a split; answered once, and kept beside the splits."""
    file = folder / f"before-{name.replace(' ', '-')}.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    if len(known) != len(splits[name].rows):
        untrained = train(splits["plain"], range(8), 0, argparse.Namespace(**{**vars(options), "steps": 0}))
        known = right_answers(untrained, splits[name])
        file.write_text(json.dumps(known), encoding="utf-8")
    return known


def groups_of(split: Split, rewarded: Sequence[Look], tested: Sequence[Look], of: str) -> dict:
    """Names of groups of questions -> their places."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(split.rows):
        pair = split.pairs[number]
        if pair in rewarded:
            groups[f"{of}: {row['task']}, rewarded pairs"].append(number)
        elif pair in tested:
            groups[f"{of}: {row['task']}, pairs never trained on"].append(number)
        else:
            groups[f"{of}: {row['task']}, all else"].append(number)
    return dict(groups)


def interval(before: Sequence[bool], after: Sequence[bool], seed: int = 0) -> list[float]:
    """95 % bootstrap interval of the difference, over questions."""
    rng, places = random.Random(seed), range(len(before))
    differences = []
    for _ in range(RESAMPLES):
        drawn = rng.choices(places, k=len(places))
        differences.append(sum(after[n] - before[n] for n in drawn) / len(places))
    differences.sort()
    return [differences[int(0.025 * RESAMPLES)], differences[int(0.975 * RESAMPLES)]]


def study(folder: Path, options: argparse.Namespace) -> None:
    """All runs; each question's result before and after goes into the means by group."""
    from favor import load_pipeline

    pipe = load_pipeline()
    splits = {
        name: load_split(folder / name, *arguments, pipe.model, pipe.processor)
        for name, arguments in {
            "rewarded": ("compositional", options.scenes, 101, TASKS),
            "plain": ("train", options.scenes, 303, TASKS),
            "new stills": ("compositional", options.scenes // 2, 202, TASKS),
            "test": ("test", 200, 2, "all"),
        }.items()
    }
    pairs, runs = held_out_pairs(), []
    splits["new stills"] = part_of(splits["new stills"], scored_places(splits["new stills"], pairs))
    scored = ("new stills", "test")
    for seed in options.seeds:
        places = PARTITIONS[seed]
        rewarded = [pairs[place] for place in places]
        tested = [pair for pair in pairs if pair not in rewarded]
        for way in options.ways:
            split = splits["rewarded" if way == WAYS[0] else "plain"]
            chosen = trained_rows(split, rewarded, tested, seed)
            trainer = train(split, chosen, seed, options)
            after = {name: right_answers(trainer, splits[name]) for name in scored}
            before = {name: known_answers(folder, name, splits, options) for name in scored}
            logged = [entry for entry in trainer.state.log_history if "reward" in entry]
            run = {"way": way, "seed": seed, "rewarded": rewarded, "tested": tested, "questions": len(chosen)}
            run["reward"] = [round(entry["reward"], 3) for entry in logged]
            run["seconds"] = round(trainer.state.log_history[-1]["train_runtime"], 1)
            run["scores"] = {
                group: {
                    "n": len(numbers),
                    "before": statistics.mean(before[name][n] for n in numbers),
                    "after": statistics.mean(after[name][n] for n in numbers),
                    "difference": interval([before[name][n] for n in numbers], [after[name][n] for n in numbers]),
                }
                for name in scored
                for group, numbers in groups_of(splits[name], rewarded, tested, name).items()
            }
            runs.append(run)
            write(options.out, options, runs)
            shown = {name: (found["n"], found["before"], found["after"]) for name, found in run["scores"].items()}
            print(way, seed, json.dumps(shown), flush=True)


def write(out: Path, options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    """The raw numbers so far: a study that is stopped leaves what it has."""
    machine = platform.processor() or platform.machine()
    kept = {name: value for name, value in vars(options).items() if name not in ("out", "folder", "pairs")}
    out.write_text(json.dumps({"machine": machine, "options": kept, "runs": runs}, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the raw numbers")
    parser.add_argument("--folder", type=Path, help="keeps the rendered stills and their states")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, choices=range(len(PARTITIONS)), default=[0, 1, 2])
    parser.add_argument("--scenes", type=int, default=600, help="stills of each task to train on")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64, help="answers a step")
    parser.add_argument("--answers", type=int, default=8, help="to each question")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--temperature", type=float, default=1.5)
    parser.add_argument("--beta", type=float, default=0.02)
    parser.add_argument("--train-only", nargs="+", help="by default all but the encoders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study(options.folder or Path(folder), options)


if __name__ == "__main__":
    main()
