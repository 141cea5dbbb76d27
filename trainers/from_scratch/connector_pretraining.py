# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Teaches the connector of a small model to say what it is shown, a word per query, before both learn from media.

The paper's connector learns from a language model that can read already. Learnt together from nothing, its queries
become alike, and the language model, which has nothing to read yet, does not tell them what to hold.
"""

import torch
from datasets import Dataset
from torch import nn

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor

from ..embedding_alignment import OFF_WEIGHT, EmbeddedPieces
from ..encoder_cache import EncodedCollator
from ..recipe_sections import ConnectorPretraining
from .clip_words import FILLER, word_tokens, words_of_samples
from .tower_pretraining import NOT_LABELLED, balanced_batches, fit


def pretrain_connector(
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    dataset: Dataset,
    rows: Dataset,
    collator: EncodedCollator,
    settings: ConnectorPretraining,
    seed: int,
) -> dict[str, float]:
    """Trains the connector alone; returns its share of right words over the last steps, weighted as the loss is.

    Each query of a window is taught the embedding that the language model has for its word: the first queries those of
    the window's first half second, and so on.

    Args:
        dataset: samples of a manifest.
        rows, collator: these samples, encoded (see [`encode_dataset`]).

    Raises `ValueError` for words that do not fit the queries or the tokenizer, and for samples without words.
    """
    words = words_of_samples(settings.scenes, dataset, model.model.connector.config)
    vocabulary = sorted({FILLER, *(word for said in words for word in said)})
    place_of = {word: place for place, word in enumerate(vocabulary)}
    targets = [torch.tensor([place_of[word] for word in said]) for said in words]
    pieces = EmbeddedPieces(model.get_input_embeddings().weight[word_tokens(processor.tokenizer, vocabulary)])
    connector = model.model.connector

    def loss_of(batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        output = connector(**collator.connector_inputs([rows[place] for place in batch.tolist()]))
        longest = output.embeddings.shape[1]
        target = torch.full((len(batch), longest), NOT_LABELLED)
        for row, place, tokens in zip(target, batch.tolist(), output.num_tokens.tolist(), strict=True):
            row[:tokens] = place_of[FILLER]
            row[: len(targets[place])] = targets[place][:tokens]
        said = target != NOT_LABELLED
        weights = word_weights(target)[said]
        distances = pieces.distances(output.embeddings[said])  # (words said, vocabulary)
        logits = pieces.scores(distances)
        off = distances.gather(1, target[said][:, None])[:, 0]
        losses = nn.functional.cross_entropy(logits, target[said], reduction="none") + OFF_WEIGHT * off
        right = (logits.argmax(-1) == target[said]).float() @ weights
        loss = losses @ weights + settings.diversity_loss_weight * output.diversity_loss
        return loss, {"words": right.item()}

    generator = torch.Generator().manual_seed(seed)
    kinds = dataset["task"] if "task" in dataset.column_names else [""] * len(dataset)
    batches = balanced_batches(list(kinds), settings.batch_size, generator)
    connector.train().requires_grad_(True)  # a stage before may have frozen it
    rates = settings.learning_rate, settings.muon_learning_rate
    return fit("connector", connector, nn.ModuleList(), loss_of, batches, settings.steps, *rates)


def word_weights(target: torch.Tensor) -> torch.Tensor:
    """What each word weighs in the loss, (rows, tokens), summing to 1: each row as much, and in it each distinct word.

    Of a still with two signs most queries say "nothing", and of a batch most words are those of the long videos.

    Args:
        target: (rows, tokens) int64 words, `NOT_LABELLED` where there is none.
    """
    said = target != NOT_LABELLED
    same = (target[:, :, None] == target[:, None, :]).sum(-1)  # (rows, tokens): how often its word is in the row
    weights = said / same
    return weights / weights.sum(-1, keepdim=True).clamp(min=1) / said.any(-1).sum().clamp(min=1)
