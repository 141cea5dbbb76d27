# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A prompt's media as tensors, its answers as tokens: for trainers that ask about one context several times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from datasets import Dataset

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor

from .bad_samples import reading
from .encoder_cache import EncodedCollator, ItemStates, encode_dataset
from .favor_data_collator import MediaInputs, TokenRow
from .media_features import undecoded
from .preference_rows import check_row, origin_of, prompt_chat
from .sample_columns import media_files
from .sample_tokens import answer_labels, limit_length
from .trained_modules import TrainedModel, favor_of


@dataclass(frozen=True)
class PromptMedia:
    """
    The media of a prompt.

    Args:
        inputs: the model's arguments, a row for each item; empty where the encoders' states are kept.
        query_tokens: of each item.
    """

    inputs: MediaInputs
    query_tokens: list[int]


def read_media(processor: FavorProcessor, chat: Sequence[dict], row: Mapping[str, Any]) -> PromptMedia:
    """Opens a prompt's media once, however many answers there are to it.

    Args:
        chat: turns with the media as blocks.
        row: that they come from; with `query_tokens`, of [`encode_prompts`], nothing is opened.

    Raises `BadSampleError` for media that cannot be read.
    """
    if row.get("query_tokens") is not None:
        return PromptMedia({}, list(row["query_tokens"]))
    file = ", ".join(media_files(row)) or None
    with reading(origin_of(row), file):
        items = processor.chat_items(chat, load_audio_from_video=row.get("use_own_audio") is not False)
        media, counts = processor.media_inputs([processor.load_item(item) for item in items])
        media |= processor.instruction_inputs([item.instruction for item in items])
    return PromptMedia(cast(MediaInputs, media), counts)


def answer_row(
    processor: FavorProcessor,
    prompt: Sequence[dict],
    answer: Sequence[dict],
    query_tokens: Sequence[int],
    max_length: int | None,
    origin: str,
) -> TokenRow:
    """The tokens of a prompt with an answer, tokenised as a whole; labels on that answer, not on earlier ones.

    Raises `BadSampleError` if `max_length` leaves nothing of the answer.
    """
    tokens = processor.prompt_tokens([*prompt, *answer], query_tokens, return_assistant_tokens_mask=True)
    earlier = sum(turn["role"] == "assistant" for turn in prompt)
    labels = answer_labels(processor, tokens.input_ids, tokens.answers or [], earlier)  # asked for above
    ids, labels = limit_length(tokens.input_ids, labels, max_length, origin)
    return {"input_ids": ids, "labels": labels}


def encode_prompts(
    model: TrainedModel,
    processor: FavorProcessor,
    dataset: Dataset,
    *,
    cache_dir: str | Path | None = None,
    dtype: str | torch.dtype = torch.float16,
    identify_files_by: Literal["stat", "content"] = "stat",
    workers: int = 2,
    progress: bool = True,
) -> tuple[Dataset, EncodedCollator]:
    """Runs the encoders once over the media of preference or reward rows; arguments as of [`encode_dataset`].

    The cache is the one of supervised training: what it encoded of the same files and questions is not encoded again.

    Returns the rows with `visual_states`, `audio_states` (keys or None) and `query_tokens`, and what finds the states.

    Raises `ValueError` for a row whose media cannot be read.
    """
    dataset = undecoded(dataset)
    samples = [cached_sample(row, f"row {number} of the dataset") for number, row in enumerate(dataset)]
    encoded, collator = encode_dataset(
        model if not hasattr(model, "get_base_model") else favor_of(model),
        processor,
        samples,
        cache_dir=cache_dir,
        dtype=dtype,
        identify_files_by=identify_files_by,
        workers=workers,
        progress=progress,
    )
    for name in ("visual_states", "audio_states", "query_tokens"):
        dataset = dataset.add_column(name, encoded[name])
    return dataset, collator


def cached_sample(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A row as [`encode_dataset`] takes it: its turns with its media as blocks, and something said."""
    row = {**row, "origin": row.get("origin") or name}
    check_row(row)
    said = {"role": "assistant", "content": "-"}  # the encoders read no answer
    return {"messages": [*prompt_chat(row), said], **{key: row.get(key) for key in ("use_own_audio", "origin")}}


def plain_prompt(row: Mapping[str, Any]) -> str | list[dict[str, str]]:
    """What rewards and logs get of a row's prompt: the string, or the turns, with texts as contents."""
    if isinstance(row.get("prompt"), str):
        return row["prompt"]
    return [{"role": turn["role"], "content": said_in(turn)} for turn in prompt_chat(row)]


def said_in(turn: Mapping[str, Any]) -> str:
    """The text of a turn, without its media."""
    content = turn["content"]
    if isinstance(content, str):
        return content
    return " ".join(block["text"].strip() for block in content if block.get("type") == "text").strip()


@torch.no_grad()
def item_states(model: FavorForConditionalGeneration, inputs: Mapping[str, torch.Tensor]) -> list[ItemStates]:
    """The encoders' states of each item of media tensors, without padding."""
    states = model.model.encode_media(**inputs)
    items = len(next(iter(states.values())))
    columns: list[list[torch.Tensor | None]] = []
    for name, count in (("visual", "num_visual_frames"), ("audio", "num_audio_vectors")):
        if name not in states:
            columns.append([None] * items)
            continue
        columns.append([row[: int(n)] for row, n in zip(states[name], states[count], strict=True)])
    return list(zip(*columns, strict=True))


__all__ = ["PromptMedia", "answer_row", "encode_prompts", "item_states", "plain_prompt", "read_media"]
