# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Teaches the connector of a small model to say what it is shown, a word a query, before the language model learns.

The paper's connector learns from a language model that can read already. Learnt together from nothing, its queries
become alike, and the language model, which has nothing to read yet, does not tell them what to hold.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn

from .encoder_cache import EncodedCollator, join_states
from .tower_pretraining import NOT_LABELLED, balanced_batches, fit

FILLER = "nothing"  # what is said of a window's half seconds beyond a clip's end
LOGIT_GAP = 20.0  # between a word's own embedding and that of another, on average
SOURCES = ("video", "image", "audio")
OFF_WEIGHT = 4.0  # of the squared distance to the word, in units of that between two words
SETTINGS = {"scenes", "steps", "batch_size", "learning_rate", "diversity_loss_weight"}


def pretrain_connector(
    model: nn.Module,
    processor: Any,
    dataset: Dataset,
    rows: Dataset,
    collator: EncodedCollator,
    settings: dict[str, Any],
    seed: int,
) -> dict[str, float]:
    """Trains the connector alone; returns its share of right words over the last steps.

    Each query of a window is taught the embedding that the language model has for its word: the first queries those of
    the window's first half second, and so on.

    Args:
        dataset: samples of a manifest.
        rows, collator: these samples, encoded (see [`encode_dataset`]).
        settings: the recipe's `connector_pretraining` section: `scenes` (lines with `half_second_words`: so many words
            for each half second as the connector has queries for it), `steps`, `batch_size`, `learning_rate` and
            `diversity_loss_weight`.

    Raises `ValueError` for words that do not fit the queries or the tokenizer, and for samples without words.
    """
    words = words_of_samples(settings["scenes"], dataset, model.config.connector_config)
    vocabulary = sorted({FILLER, *(word for said in words for word in said)})
    place_of = {word: place for place, word in enumerate(vocabulary)}
    targets = [torch.tensor([place_of[word] for word in said]) for said in words]
    embeddings = model.get_input_embeddings().weight[word_tokens(processor.tokenizer, vocabulary)].detach()
    distances = torch.cdist(embeddings, embeddings).square()
    distance = distances[~torch.eye(len(vocabulary), dtype=torch.bool)].mean()
    connector = model.model.connector

    def loss_of(batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        output = connector(**join_states([collator.states(rows[place]) for place in batch.tolist()]))
        longest = output.embeddings.shape[1]
        target = torch.full((len(batch), longest), NOT_LABELLED)
        for row, place, tokens in zip(target, batch.tolist(), output.num_tokens.tolist(), strict=True):
            row[:tokens] = place_of[FILLER]
            row[: len(targets[place])] = targets[place][:tokens]
        said = target != NOT_LABELLED
        squared = torch.cdist(output.embeddings[said], embeddings).square() / distance  # (words said, vocabulary)
        logits = -LOGIT_GAP * squared
        # The cross-entropy leaves free whatever is at right angles to all words, which the language model would read.
        off = squared.gather(1, target[said][:, None]).mean()
        loss = nn.functional.cross_entropy(logits, target[said]) + OFF_WEIGHT * off
        right = (logits.argmax(-1) == target[said]).float().mean().item()
        return loss + settings["diversity_loss_weight"] * output.diversity_loss, {"words": right}

    generator = torch.Generator().manual_seed(seed)
    kinds = dataset["task"] if "task" in dataset.column_names else [""] * len(dataset)
    batches = balanced_batches(list(kinds), settings["batch_size"], generator)
    connector.train()
    parameters = list(connector.parameters())
    return fit("connector", parameters, loss_of, batches, settings["steps"], settings["learning_rate"])


def words_of_samples(path: str | Path, dataset: Dataset, config: Any) -> list[list[str]]:
    """The words of each sample's clip, from the lines of a scenes file, as many a half second as there are queries."""
    path = Path(path)
    words: dict[str, list[str]] = {}
    share = config.num_query_tokens / (config.window_frames or 1)
    for labels in labelled_lines(path):
        said = labels["half_second_words"]
        wrong = next((row for row in said if len(row) != share), None)
        if wrong is not None or config.window_frames is None:
            raise ValueError(
                f"{path}: {labels.get('scene')} has {len(wrong or said[0])} words a half second, but the connector "
                f"has {config.num_query_tokens} queries for a window of {config.window_frames} frames; set "
                "num_query_tokens to as many as a window's words."
            )
        source = next(labels[kind] for kind in SOURCES if labels.get(kind))
        words[str((path.parent / source).resolve())] = [word for row in said for word in row]
    columns = [dataset[kind] if kind in dataset.column_names else [None] * len(dataset) for kind in SOURCES]
    sources = [str(next((path for path in paths if path), None)) for paths in zip(*columns, strict=True)]
    unknown = next((source for source in sources if source not in words), None)
    if unknown is not None:
        raise ValueError(f"{path} has no words of {unknown}, which is in the training data.")
    return [words[source] for source in sources]


def words_of_scenes(path: str | Path) -> list[str]:
    """A text for each line of a scenes file, of all its words, for a tokenizer to learn."""
    said = (labels["half_second_words"] for labels in labelled_lines(Path(path)))
    return [" ".join(word for row in rows for word in row) for rows in said]


def labelled_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a scenes file; raises `ValueError` for one without words."""
    for line in path.read_text(encoding="utf-8").splitlines():
        labels = json.loads(line)
        if not labels.get("half_second_words"):
            raise ValueError(f"{path}: {labels.get('scene')} has no half_second_words; render the data anew.")
        yield labels


def word_tokens(tokenizer: Any, words: Sequence[str]) -> torch.Tensor:
    """(words,) the token of each word within a text."""
    tokens = [tokenizer(" " + word, add_special_tokens=False)["input_ids"] for word in words]
    long = next((word for word, ids in zip(words, tokens, strict=True) if len(ids) != 1), None)
    if long is not None:
        raise ValueError(
            f"half_second_words: {long!r} is more than one token; raise from_scratch.vocab_size until words are whole."
        )
    return torch.tensor(tokens)[:, 0]
