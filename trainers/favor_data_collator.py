# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Turns samples into batches: media decoded lazily, loss on the assistant's answers only."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, cast

import torch

from favor.processing import FavorProcessor

from .bad_samples import BadSample, BadSampleError, BadSampleLog, reading
from .prompt_turns import earlier_answers
from .sample_columns import Sample, check_sample_columns, media_files
from .sample_tokens import IGNORED_LABEL, answer_labels, limit_length, media_messages

MAX_SPARES = 100  # samples tried in place of a batch that is bad as a whole
TEXT_INPUTS = ("input_ids", "attention_mask", "labels")


class MediaInputs(TypedDict, total=False):
    """The model's arguments of audio-visual items; each is there if an item needs it."""

    pixel_values_videos: torch.Tensor
    video_frame_indices: torch.Tensor
    qformer_input_ids: torch.Tensor
    qformer_attention_mask: torch.Tensor
    input_features: torch.Tensor
    input_features_mask: torch.Tensor


class Batch(MediaInputs, total=False):
    """What collators make; `encoder_states` are the connector's arguments, in place of the media."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    completion_mask: torch.Tensor  # of preferences, in place of labels
    encoder_states: Mapping[str, torch.Tensor]


class TokenRow(TypedDict):
    """One sample's text."""

    input_ids: list[int]
    labels: list[int]


class PreparedSample(TokenRow, MediaInputs):
    """One sample's text and the media tensors of its items."""


@dataclass
class FavorDataCollator:
    """
    Collates samples through the processor; with loader workers, files are decoded there.

    Accepts rows with `messages` (contents are strings or lists of blocks), or with `prompt` and `completion` (strings
    or turns; answers in the prompt are not learnt), any of `video`, `image` and `audio` and
    lists of them in `videos`, `images` and `audios` (see [`media_source`] for their values), `use_own_audio` (False:
    videos' sound is left out) and `origin` (named in errors). Descriptive columns are passed over, and a column that
    looks like media but is none of these is an error. Media that no block asks for go before the text of the first
    user turn. Rows are not changed.

    Produces, padded on the right, `input_ids`, `attention_mask` and `labels` (batch, length) int64 (labels: the
    answers' tokens and their end token, -100 elsewhere), and of the batch's items what `FavorProcessor` returns.

    Example:

    ```python
    >>> collator = FavorDataCollator(processor, max_length=2048, on_bad_sample="skip")
    >>> batch = collator([{"messages": messages, "video": "clip.mp4"}])
    >>> sorted(batch)
    ['attention_mask', 'input_features', 'input_features_mask', 'input_ids', 'labels', 'pixel_values_videos', ...]
    >>> collator.skipped_samples
    0
    ```

    Args:
        processor: a `FavorProcessor`.
        max_length: cut text beyond this many tokens (see [`limit_length`]); media are never cut.
        on_bad_sample: "raise" ends training at a sample that cannot be used; "skip" leaves it out of the batch, and
            counts it in `bad_samples`.
        bad_sample_log: file that keeps the skipped samples; by default a temporary one.
        spares: samples (the training dataset) of which one is put into a batch that has no usable sample. Which one
            follows from the batch, not from chance. Without them such a batch is an error.
    """

    processor: FavorProcessor
    max_length: int | None = None
    on_bad_sample: Literal["raise", "skip"] = "raise"
    bad_sample_log: str | Path | None = None
    spares: Sequence[Sample] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.on_bad_sample not in ("raise", "skip"):
            raise ValueError(f"on_bad_sample must be 'raise' or 'skip', but it is {self.on_bad_sample!r}.")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be positive or None, but it is {self.max_length}.")
        self.log = BadSampleLog(self.bad_sample_log)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        prepared = []
        errors = []
        for sample in samples:
            try:
                prepared.append(self.prepare(sample))
            except BadSampleError as error:
                # Of wrong columns every sample suffers: skipping them would hide it.
                if self.on_bad_sample == "raise" or error.reason == "wrong columns":
                    raise
                self.log.add(error)
                errors.append(error)
        return self.join(prepared or [self.spare(errors)])

    @property
    def bad_samples(self) -> list[BadSample]:
        """The samples skipped so far, by this process and the loader workers."""
        return self.log.read()

    @property
    def skipped_samples(self) -> int:
        """How many samples were skipped so far."""
        return len(self.bad_samples)

    def prepare(self, sample: Sample) -> PreparedSample:
        """One sample's token lists and its items' media tensors.

        Raises `BadSampleError` that names the sample's origin and file.
        """
        check_sample_columns(sample)
        origin = sample.get("origin") or "a sample without origin"
        file = ", ".join(media_files(sample)) or None
        with reading(origin, file, before_media=True):
            messages = media_messages(sample)
        with reading(origin, file):
            inputs = self.processor.apply_chat_template(
                [messages],
                load_audio_from_video=sample.get("use_own_audio") is not False,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
                return_tensors="pt",
            )
        row = dict(inputs)
        ids, answers = row.pop("input_ids")[0].tolist(), row.pop("assistant_masks")
        # A sample alone has no padding: `pad_text` makes the batch's mask.
        row.pop("attention_mask")
        labels = answer_labels(self.processor, ids, torch.as_tensor(answers)[0].tolist(), earlier_answers(sample))
        row["input_ids"], row["labels"] = limit_length(ids, labels, self.max_length, origin)
        return cast(PreparedSample, row)

    def join(self, rows: Sequence[PreparedSample]) -> Batch:
        """Pads prepared samples to one batch; the media rows of a sample without items do not exist."""
        batch = dict(pad_text(rows, self.processor.tokenizer.pad_token_id))
        names = dict.fromkeys(name for row in rows for name in row if name not in TEXT_INPUTS)
        media = [cast(Mapping[str, torch.Tensor], row) for row in rows if any(name in row for name in names)]
        counts = [next(len(row[name]) for name in names if name in row) for row in media]
        # -1 shows nothing, where 0 would show the first picture.
        padding = {"video_frame_indices": -1}
        if getattr(self.processor, "qformer_tokenizer", None) is not None:
            padding["qformer_input_ids"] = self.processor.qformer_tokenizer.pad_token_id
        for name in names:
            batch[name] = pad_media([row.get(name) for row in media], counts, padding.get(name, 0))
        return cast(Batch, batch)

    def spare(self, errors: list[BadSampleError]) -> PreparedSample:
        """A usable sample in place of a batch that has none."""
        told = "; ".join(str(error) for error in errors[:3])
        if not self.spares:
            raise ValueError(
                f"None of the {len(errors)} samples of a batch can be used: {told}. Mend them, make batches larger, "
                "or give the collator `spares`."
            )
        # Not `hash()`, whose values differ from process to process.
        digest = hashlib.sha256("\n".join(str(error) for error in errors).encode()).digest()
        start = int.from_bytes(digest[:8], "big")
        for offset in range(min(MAX_SPARES, len(self.spares))):
            try:
                return self.prepare(self.spares[(start + offset) % len(self.spares)])
            except BadSampleError as error:
                last = error
        raise ValueError(f"None of {MAX_SPARES} samples in place of bad ones can be used; the last: {last}")


class TextCollator:
    """Collates rows of tokens alone into `input_ids`, `attention_mask` and `labels`, padded on the right."""

    def __init__(self, pad_token_id: int):
        self.pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[TokenRow], /) -> Batch:
        return pad_text(rows, self.pad_token_id)


def pad_text(rows: Sequence[TokenRow], pad_token_id: int) -> Batch:
    """`input_ids`, `attention_mask` and `labels`, (batch, length) int64, padded on the right."""
    pad = torch.nn.utils.rnn.pad_sequence
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    return {
        "input_ids": pad(ids, batch_first=True, padding_value=pad_token_id),
        "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad(labels, batch_first=True, padding_value=IGNORED_LABEL),
    }


def pad_media(tensors: Sequence[torch.Tensor | None], counts: Sequence[int], value: int) -> torch.Tensor:
    """Joins (count, ...) tensors of different sizes to (items, ...); None is `count` rows of padding."""
    known = [tensor for tensor in tensors if tensor is not None]
    sizes = [max(lengths) for lengths in zip(*(tensor.shape[1:] for tensor in known), strict=True)]
    joined = known[0].new_full((sum(counts), *sizes), value)
    first = 0
    for tensor, count in zip(tensors, counts, strict=True):
        if tensor is not None:
            joined[(slice(first, first + count), *(slice(length) for length in tensor.shape[1:]))] = tensor
        first += count
    return joined


__all__ = ["FavorDataCollator", "IGNORED_LABEL", "TextCollator", "media_messages", "pad_media", "pad_text"]
