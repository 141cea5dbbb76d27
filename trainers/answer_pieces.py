# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A sample's answer as the tokenizer's pieces, in which a connector learns to say it: whole words, or spelt."""

from collections import Counter
from collections.abc import Iterable, Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from .data_mixture import SampleDataset
from .sample_tokens import IGNORED_LABEL, SPACE_TOKENS

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class AnswerPieces:
    """
    The pieces that answers are made of.

    Args:
        tokenizer: the language model's.
        texts: the answers of the training data.
        most: so many of the commonest pieces are said whole, and rarer ones are spelt; None: all.

    Attributes:
        tokens: the tokens of all pieces; the first, a space alone, is said where nothing is.

    Raises `ValueError` for a tokenizer without a token for a space.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], most: int | None = None):
        self.tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        blank = next((vocabulary[token] for token in SPACE_TOKENS if token in vocabulary), None)
        if blank is None:
            raise ValueError(
                f"The tokenizer has no token for a space alone ({' or '.join(SPACE_TOKENS)}), which a connector would "
                "say where nothing is; connectors cannot be aligned with its language model."
            )
        counts: Counter[int] = Counter()
        for text in texts:
            counts.update(self.split(text))
        common = {token for token, _ in counts.most_common(most)}
        spelling = {token for letter in LETTERS for token in (*self.split(letter), *self.split(letter, first=False))}
        if most is not None:
            spelling |= {piece for token in {*counts} - common for piece in self.spell(token)}
        self.tokens = [blank, *sorted((common | spelling) - {blank})]
        self.place_of = {token: place for place, token in enumerate(self.tokens)}
        self._known: dict[str, list[int]] = {}

    def split(self, text: str, first: bool = True) -> list[int]:
        """The tokens of a text within another; `first`: with a space before it."""
        return self.tokenizer(" " + text if first else text, add_special_tokens=False)["input_ids"]

    def spell(self, token: int) -> list[int]:
        """A token's characters as tokens, the first with the space before it, if it has one."""
        text = self.tokenizer.decode([token])
        spelt = self.split(text.lstrip()[:1]) if text[:1] == " " else []
        rest = text.lstrip()[1:] if spelt else text
        return [*spelt, *(piece for letter in rest for piece in self.split(letter, first=False))]

    def places(self, text: str) -> list[int]:
        """The places in `tokens` of a text's pieces, in their order; what cannot even be spelt is left out."""
        if text not in self._known:
            found: list[int] = []
            for token in self.split(text.strip()):
                pieces = [token] if token in self.place_of else self.spell(token)
                found += [self.place_of[piece] for piece in pieces if self.place_of.get(piece)]
            self._known[text] = found
        return self._known[text]

    def text(self, said: Sequence[int]) -> str:
        """What outputs say that are nearest to these places: repetitions count once, then blanks are left out."""
        kept = [place for before, place in zip([0, *said], said, strict=False) if place != before and place]
        return self.tokenizer.decode([self.tokens[place] for place in kept]).strip()


def outputs_needed(places: Sequence[int]) -> int:
    """The fewest outputs that can say these pieces in order: a blank stands between two that are alike."""
    return len(places) + sum(before == place for before, place in zip(places, places[1:], strict=False))


def answer_text(tokenizer: PreTrainedTokenizerBase, labels: Sequence[int]) -> str:
    """The answers of a sample in words, without special tokens."""
    answers: list[list[int]] = [[]]
    for label in labels:
        if label != IGNORED_LABEL:
            answers[-1].append(label)
        elif answers[-1]:
            answers.append([])
    return " ".join(tokenizer.decode(answer, skip_special_tokens=True).strip() for answer in answers).strip()


def answer_texts(tokenizer: PreTrainedTokenizerBase, dataset: SampleDataset) -> list[str]:
    """The answers of all samples, of rows with `labels` or with `messages`."""
    if isinstance(dataset, Dataset) and "labels" in dataset.column_names:
        return [answer_text(tokenizer, labels) for labels in dataset["labels"]]
    return [messages_answer(sample["messages"]) for sample in dataset]


def messages_answer(messages: Sequence[dict]) -> str:
    """The answers of a sample's turns."""
    return " ".join(turn["content"].strip() for turn in messages if turn["role"] == "assistant")


__all__ = ["AnswerPieces", "answer_text", "answer_texts", "messages_answer", "outputs_needed"]
