# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples in which pieces of their answers stand in place of media, with the faults of a connector's first sayings.

The language model (a LoRA on it) learns to read pieces with blanks between them, wrong ones and gaps, before or while
the connector learns to say them; nothing is decoded, so that there may be many more such samples than clips.
"""

import random
from collections.abc import Sequence

from datasets import Dataset

from favor.modeling_favor import FavorCausalQFormerConfig
from favor.processing import FavorProcessor

from .answer_pieces import AnswerPieces, answer_texts, messages_answer
from .data_mixture import SampleDataset
from .favor_data_collator import TextCollator
from .recipe_sections import AnswersForMedia
from .sample_tokens import IGNORED_LABEL, tokenize_sample


def tell_answers(
    processor: FavorProcessor,
    dataset: SampleDataset,
    settings: AnswersForMedia,
    config: FavorCausalQFormerConfig,
    seed: int,
) -> tuple[Dataset, TextCollator]:
    """The dataset with `input_ids`, `labels` and `length`, in which an answer's pieces stand in place of the media.

    Args:
        dataset: samples with media each, whose files need not exist.
        settings: how faulty the pieces are.
        config: the connector's: pieces are filled up with blanks to a whole number of its windows.
        seed: of the faults, the same for a sample in every epoch.

    Raises `ValueError` for a sample without media.
    """
    pieces = AnswerPieces(processor.tokenizer, answer_texts(processor.tokenizer, dataset), settings.pieces)
    window = getattr(config, "num_query_tokens", 1)
    rng = random.Random(seed)
    columns: dict[str, list[object]] = {"input_ids": [], "labels": [], "length": []}
    for sample in dataset:
        ids, labels = tokenize_sample(processor, sample, [1])
        if processor.video_token_id not in ids:
            raise ValueError(f"{sample.get('origin')}: answers_for_media needs samples with media, but it has none.")
        place = ids.index(processor.video_token_id)
        said = faulty(pieces.places(messages_answer(sample["messages"])), len(pieces.tokens), settings, rng)
        told = [pieces.tokens[piece] for piece in said + [0] * (-len(said) % window or window * (not said))]
        columns["input_ids"].append([*ids[:place], *told, *ids[place + 1 :]])
        columns["labels"].append([*labels[:place], *[IGNORED_LABEL] * len(told), *labels[place + 1 :]])
        columns["length"].append(len(ids) - 1 + len(told))
    return Dataset.from_dict(columns), TextCollator(processor.tokenizer.pad_token_id)


def faulty(places: Sequence[int], count: int, settings: AnswersForMedia, rng: random.Random) -> list[int]:
    """The pieces with blanks (0) around them; some of `count` others in their place, some left out."""
    said: list[int] = []
    for place in places:
        said += [0] * blanks(settings.blanks / 2, rng)
        if rng.random() >= settings.errors:
            said.append(place)
        elif rng.random() < 0.5:
            said.append(rng.randrange(1, count))
        said += [0] * blanks(settings.blanks / 2, rng)
    return said


def blanks(mean: float, rng: random.Random) -> int:
    """A number that is `mean` on average: geometric, as pauses are."""
    number = 0
    while rng.random() < mean / (1 + mean):
        number += 1
    return number


__all__ = ["faulty", "tell_answers"]
