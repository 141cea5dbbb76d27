# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""DPO of favor-tiny on its own captions, of which those with fewer wrong details are preferred.

    python -m benchmarks.preferences --out docs/preferences.json            # three seeds
    python -m benchmarks.preferences --pairs data/pairs/pairs.jsonl         # the pairs alone, for a recipe

A caption's wrong details are the coloured shapes that it names and the still does not show, and those that the still
shows and it does not name. For each still several captions are sampled; the one with fewest wrong details is chosen,
the one with most rejected, and stills whose captions are equally wrong are left out. No caption is written by anybody
else. As in `benchmarks.rewards`, two of the four pairs of colour and shape that AVEB-mini keeps out of training are in
the stills of this training, and two are in none.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from .rewards import PARTITIONS, Split, answers, held_out_pairs, interval, load_split, right_answers, train, write

SAMPLED = 6  # captions of a still
TEMPERATURE = 1.3


def wrong_details(caption: str, shown: Collection[tuple[str, str]]) -> int:
    """Coloured shapes that a caption names and the still does not show, and the other way round."""
    from favor.worlds.mini.world import COLOURS, SHAPES

    named = set(re.findall(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})\b", caption.lower()))
    return len(named ^ set(shown))


def make_pairs(trainer: Any, split: Split, places: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """A row of `FavorDPOTrainer` for each still of which captions differ in their wrong details."""
    import torch

    torch.manual_seed(seed)
    repeated = [place for place in places for _ in range(SAMPLED)]
    said = answers(trainer, split, repeated, do_sample=True, temperature=TEMPERATURE, top_k=0)
    rows = []
    for number, place in enumerate(places):
        captions = said[number * SAMPLED : (number + 1) * SAMPLED]
        wrong = {caption: wrong_details(caption, split.shown[place]) for caption in captions if caption}
        ranked = sorted(wrong, key=wrong.__getitem__)
        if not ranked or wrong[ranked[0]] == wrong[ranked[-1]]:
            continue
        turns = split.rows[place]["messages"][:-1]
        row = {name: value for name, value in split.rows[place].items() if name != "messages"}
        rows.append({"prompt": turns, "chosen": ranked[0], "rejected": ranked[-1], **row})
    return rows


def prefer(pairs: list[dict[str, Any]], split: Split, seed: int, options: argparse.Namespace) -> Any:
    """A model after DPO on these pairs, in a trainer that answers."""
    from datasets import Dataset

    from favor import load_pipeline
    from favor.trainers import FavorDPOConfig, FavorDPOTrainer, FavorPreferenceCollator

    pipe = load_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        arguments = FavorDPOConfig(
            output_dir=folder,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=5,
            beta=options.beta,
            max_grad_norm=1.0,
            activation_checkpointing=False,
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        )
        trainer = FavorDPOTrainer(
            model=pipe.model,
            args=arguments,
            processing_class=pipe.processor,
            data_collator=FavorPreferenceCollator(pipe.processor, states=split.states),
            train_dataset=Dataset.from_list(pairs),
        )
        trainer.train()
    return trainer


def study(folder: Path, options: argparse.Namespace) -> None:
    """All runs, each with what it does to captions of new stills and to every other question."""
    from favor import load_pipeline

    pipe = load_pipeline()
    splits = {
        name: load_split(folder / name, *arguments, pipe.model, pipe.processor)
        for name, arguments in {
            "captions": ("compositional", options.scenes, 401, "ic"),
            "new captions": ("compositional", options.scenes, 402, "ic"),
            "test": ("test", 200, 2, "all"),
        }.items()
    }
    grpo = argparse.Namespace(
        steps=0, batch_size=8, answers=8, learning_rate=0.0, temperature=1.0, beta=0.0, train_only=None
    )
    answerer = train(splits["captions"], range(8), 0, grpo)  # not trained
    new = splits["new captions"]

    def wrong() -> list[int]:
        said = answers(answerer, new, range(len(new.rows)))
        return [wrong_details(caption, shown) for caption, shown in zip(said, new.shown, strict=True)]

    before, right_before = wrong(), right_answers(answerer, splits["test"])
    untrained = {name: tensor.clone() for name, tensor in answerer.unwrapped_favor().state_dict().items()}
    looks, runs = held_out_pairs(), []
    for seed in options.seeds:
        places = PARTITIONS[seed]
        trained_on = [looks[place] for place in places]
        tested = [look for look in looks if look not in trained_on]
        answerer.unwrapped_favor().load_state_dict(untrained)
        stills = [n for n, shown in enumerate(splits["captions"].shown) if not shown & set(tested)]
        pairs = make_pairs(answerer, splits["captions"], stills, seed)
        trainer = prefer(pairs, splits["captions"], seed, options)
        answerer.unwrapped_favor().load_state_dict(trainer.unwrapped_favor().state_dict())
        after, right_after = wrong(), right_answers(answerer, splits["test"])
        groups: dict[str, list[int]] = {}
        for number, still in enumerate(new.shown):
            kind = "never trained on" if still & set(tested) else "of this training" if still & set(looks) else "known"
            groups.setdefault(f"new stills, pairs {kind}", []).append(number)
        run: dict[str, Any] = {"seed": seed, "trained on": trained_on, "tested": tested, "pairs": len(pairs)}
        logged = [entry for entry in trainer.state.log_history if "rewards/accuracies" in entry]
        run["margins"] = [round(entry["rewards/margins"], 3) for entry in logged]
        run["seconds"] = round(trainer.state.log_history[-1]["train_runtime"], 1)
        run["wrong details a caption"] = {name: compared(before, after, numbers) for name, numbers in groups.items()}
        every = range(len(right_before))
        run["right answers, test"] = compared(right_before, right_after, every)
        runs.append(run)
        write(options.out, options, runs)
        print(json.dumps(run), flush=True)


def compared(before: Sequence[float], after: Sequence[float], places: Sequence[int]) -> dict[str, Any]:
    """Means before and after, and the interval of the difference."""
    ours, theirs = [before[n] for n in places], [after[n] for n in places]
    means = {"n": len(ours), "before": statistics.mean(ours), "after": statistics.mean(theirs)}
    return {**means, "difference": interval(ours, theirs)}


def write_pairs(file: Path, options: argparse.Namespace, folder: Path) -> None:
    """The pairs of seed 0 as a file of rows, with the stills beside it."""
    from favor import load_pipeline

    pipe = load_pipeline()
    split = load_split(folder / "captions", "compositional", options.scenes, 401, "ic", pipe.model, pipe.processor)
    grpo = argparse.Namespace(
        steps=0, batch_size=8, answers=8, learning_rate=0.0, temperature=1.0, beta=0.0, train_only=None
    )
    answerer = train(split, range(8), 0, grpo)
    rows = make_pairs(answerer, split, range(len(split.rows)), 0)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as opened:
        for row in rows:
            image = os.path.relpath(row["image"], file.parent)
            line = {"prompt": row["prompt"], "chosen": row["chosen"], "rejected": row["rejected"], "image": image}
            opened.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{len(rows)} pairs: {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file of the raw numbers")
    parser.add_argument("--pairs", type=Path, help="only writes the pairs, and keeps the stills beside them")
    parser.add_argument("--folder", type=Path, help="keeps the rendered stills and their states")
    parser.add_argument("--seeds", nargs="+", type=int, choices=range(len(PARTITIONS)), default=[0, 1, 2])
    parser.add_argument("--scenes", type=int, default=120, help="stills to train on, and to score")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16, help="pairs a step")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--beta", type=float, default=0.1)
    options = parser.parse_args()
    if options.pairs is not None:
        write_pairs(options.pairs, options, options.folder or options.pairs.parent)
        return
    if options.out is None:
        parser.error("give --out or --pairs")
    with tempfile.TemporaryDirectory() as folder:
        study(options.folder or Path(folder), options)


if __name__ == "__main__":
    main()
