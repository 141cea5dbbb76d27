# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is seen and heard in each half second of a clip, in words, which a language model can read in its place.

A small language model that begins with random weights learns the answers' logic from words, before the connector's
queries mean anything. The paper's language model needs no such lessons: it can read.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from favor.modeling_favor import FavorCausalQFormerConfig
from favor.processing import FavorProcessor
from favor.processing.media_names_favor import MEDIA_KINDS

from ..favor_data_collator import TextCollator
from ..sample_tokens import IGNORED_LABEL, tokenize_sample

FILLER = "nothing"  # what is said of a window's half seconds beyond a clip's end


class Scene(TypedDict, total=False):
    """A line of a scenes file, as far as it is read here; one of the media names the clip."""

    scene: str
    video: str
    image: str
    audio: str
    half_second_words: list[list[str]]


def tell_in_words(
    processor: FavorProcessor, dataset: Dataset, scenes: str | Path, config: FavorCausalQFormerConfig
) -> tuple[Dataset, TextCollator]:
    """The dataset with `input_ids`, `labels` and `length`, in which words stand in place of the media.

    Args:
        processor: whose tokenizer has each word as one token.
        dataset: samples of a manifest.
        scenes: file with a line of `half_second_words` for each of their clips.
        config: the connector's: a window has as many words as it will have query tokens.

    Raises `ValueError` for words that do not fit the queries or the tokenizer, and for samples without words.
    """
    words = words_of_samples(scenes, dataset, config)
    vocabulary = sorted({FILLER, *(word for said in words for word in said)})
    token_of = dict(zip(vocabulary, word_tokens(processor.tokenizer, vocabulary).tolist(), strict=True))
    columns: dict[str, list[object]] = {"input_ids": [], "labels": [], "length": []}
    texts: dict[tuple, tuple[list[int], list[int]]] = {}  # most are asked of many clips
    for sample, said in zip(dataset, words, strict=True):
        key = (json.dumps(sample["messages"]), *(sample.get(kind) is not None for kind in MEDIA_KINDS))
        if key not in texts:
            texts[key] = tokenize_sample(processor, sample, [1])
        ids, labels = texts[key]
        place = ids.index(processor.video_token_id)
        told = [token_of[word] for word in said] + [token_of[FILLER]] * (-len(said) % config.num_query_tokens)
        columns["input_ids"].append([*ids[:place], *told, *ids[place + 1 :]])
        columns["labels"].append([*labels[:place], *[IGNORED_LABEL] * len(told), *labels[place + 1 :]])
        columns["length"].append(len(ids) - 1 + len(told))
    return Dataset.from_dict(columns), TextCollator(processor.tokenizer.pad_token_id)


def words_of_samples(path: str | Path, dataset: Dataset, config: FavorCausalQFormerConfig) -> list[list[str]]:
    """The words of each sample's clip, from the lines of a scenes file, as many a half second as there are queries."""
    path = Path(path)
    words: dict[str, list[str]] = {}
    share = config.num_query_tokens / (config.window_frames or 1)
    for labels in labelled_lines(path):
        said = labels["half_second_words"]
        wrong = next((row for row in said if len(row) != share), None)
        if wrong is not None or config.window_frames is None:
            raise ValueError(
                f"{path}: {labels.get('scene')} has {len(wrong or said[0])} words per half second, but the connector "
                f"has {config.num_query_tokens} queries for a window of {config.window_frames} frames; set "
                "num_query_tokens to as many as a window's words."
            )
        source = next(labels[kind] for kind in MEDIA_KINDS if labels.get(kind))
        words[str((path.parent / source).resolve())] = [word for row in said for word in row]
    columns = [dataset[kind] if kind in dataset.column_names else [None] * len(dataset) for kind in MEDIA_KINDS]
    sources = [str(next((path for path in paths if path), None)) for paths in zip(*columns, strict=True)]
    unknown = next((source for source in sources if source not in words), None)
    if unknown is not None:
        raise ValueError(f"{path} has no words of {unknown}, which is in the training data.")
    return [words[source] for source in sources]


def words_of_scenes(path: str | Path) -> list[str]:
    """A text for each line of a scenes file, of all its words, for a tokenizer to learn."""
    said = (labels["half_second_words"] for labels in labelled_lines(Path(path)))
    return [" ".join(word for row in rows for word in row) for rows in said]


def labelled_lines(path: Path) -> Iterator[Scene]:
    """The lines of a scenes file; raises `ValueError` for one without words."""
    for line in path.read_text(encoding="utf-8").splitlines():
        labels = json.loads(line)
        if not labels.get("half_second_words"):
            raise ValueError(f"{path}: {labels.get('scene')} has no half_second_words; render the data anew.")
        yield labels


def word_tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> torch.Tensor:
    """(words,) the token of each word within a text."""
    tokens = [tokenizer(" " + word, add_special_tokens=False)["input_ids"] for word in words]
    long = next((word for word, ids in zip(words, tokens, strict=True) if len(ids) != 1), None)
    if long is not None:
        raise ValueError(
            f"half_second_words: {long!r} is more than one token; raise from_scratch.vocab_size until words are whole."
        )
    return torch.tensor(tokens)[:, 0]
