# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers to samples of the evaluation data, generated during training and compared with the references."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import torch
from accelerate.utils import gather_object

from favor.processing.media_names_favor import MEDIA_KINDS

from .answer_log import add_answers
from .data_mixture import SampleDataset
from .favor_data_collator import Batch
from .sample_columns import Sample
from .sample_tokens import IGNORED_LABEL
from .trained_modules import favor_of

if TYPE_CHECKING:
    from .favor_sft_trainer import FavorSFTTrainer

_NOT_WORDS = re.compile(r"[^\w\s]")


class Answered(TypedDict):
    """A sample's answer, as `samples.jsonl` has it."""

    task: str | None
    media: list[str]
    prompt: str
    reference: str
    answer: str
    correct: bool


def evaluate_answers(trainer: "FavorSFTTrainer", dataset: SampleDataset, prefix: str) -> dict[str, float]:
    """Answers `args.eval_answers` samples, spread over the processes, and adds them to the log (see [`add_answers`]).

    Returns `{prefix}_exact_match`, the share of answers that equal the reference but for case and punctuation, and
    the same by the samples' `task` or `family`, if they have one. Greedy, so that no random number is drawn.
    """
    args, rank = trainer.args, trainer.accelerator.process_index
    own = list(chosen_samples(dataset, args.eval_answers))[rank :: trainer.accelerator.num_processes]
    answered = [answer_sample(trainer, sample, args.eval_max_new_tokens) for sample in own]
    entries = gather_object(answered) if trainer.accelerator.num_processes > 1 else answered
    if args.should_save:
        add_answers(Path(args.output_dir), trainer.state.global_step, prefix, entries)
    scores = defaultdict(list)
    for entry in entries:
        scores[f"{prefix}_exact_match"].append(entry["correct"])
        if entry["task"]:
            scores[f"{prefix}_exact_match/{entry['task']}"].append(entry["correct"])
    return {name: sum(values) / len(values) for name, values in scores.items()}


def chosen_samples(dataset: SampleDataset, count: int) -> Iterator[Sample]:
    """`count` samples, the same ones each time, in their order; of a stream the first ones.

    Those whose hashed places come first: an even choice of whatever kinds take turns in the data, which a larger count
    only adds to. (`favor eval --limit` hashes ids, which these rows do not have.)
    """
    if not hasattr(dataset, "__len__"):
        yield from islice(dataset, count)
        return
    for place in sorted(sorted(range(len(dataset)), key=_hashed_place)[:count]):
        yield dataset[place]


def _hashed_place(place: int) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()


def answer_sample(trainer: "FavorSFTTrainer", sample: Sample, max_new_tokens: int | None) -> Answered:
    """Question, reference and answer of a sample's last turn."""
    batch = trainer._prepare_inputs(trainer.data_collator([sample]))
    prompt, reference = prompt_and_reference(batch)
    model = favor_of(trainer.accelerator.unwrap_model(trainer.model))
    tokenizer = trainer.processing_class.tokenizer
    with torch.no_grad(), trainer.compute_loss_context_manager(), trainer.accelerator.autocast():
        answer = trainer.say(prompt, max_new_tokens)
    expected = tokenizer.decode(reference, skip_special_tokens=True).strip()
    files = [sample.get(key) for key in MEDIA_KINDS]
    return {
        "task": sample.get("task") or sample.get("family"),
        "media": [Path(file).name for file in files if isinstance(file, str) and file],
        "prompt": tokenizer.decode(
            [token for token in prompt["input_ids"][0].tolist() if token != model.config.video_token_id],
            skip_special_tokens=True,
        ).strip(),
        "reference": expected,
        "answer": answer,
        "correct": plain_words(answer) == plain_words(expected),
    }


def prompt_and_reference(batch: Batch) -> tuple[Batch, torch.Tensor]:
    """A collated sample cut before its last answer, and that answer's token ids."""
    answered = (batch["labels"][0] != IGNORED_LABEL).nonzero()[:, 0]
    gaps = (answered.diff() > 1).nonzero()[:, 0]
    start = int(answered[gaps[-1] + 1] if len(gaps) else answered[0])
    end = int(answered[-1]) + 1
    prompt = batch.copy()
    del prompt["labels"]
    prompt["input_ids"] = batch["input_ids"][:, :start]
    prompt["attention_mask"] = batch["attention_mask"][:, :start]
    return prompt, batch["labels"][0, start:end]


def plain_words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return _NOT_WORDS.sub(" ", text.casefold()).split()
