# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A sample's text as tokens: media placeholders expanded, labels on the answers, a limit that never cuts media."""

from collections.abc import Mapping, Sequence
from typing import Any

from favor.modeling_favor.diversity_favor import IGNORED_LABEL
from favor.processing.items_favor import ItemSource

from .bad_samples import BadSampleError
from .media_turns import media_turns
from .prompt_turns import earlier_answers, sample_turns

SPACE_TOKENS = ("Ġ", "▁")  # a space alone, in byte-level BPE and in SentencePiece


def sample_items(processor: Any, sample: Mapping[str, Any]) -> list[ItemSource]:
    """The sample's audio-visual items with their instructions, as the processor finds them; none of text alone."""
    return processor.chat_items(media_messages(sample), load_audio_from_video=sample.get("use_own_audio") is not False)


def sample_item(processor: Any, sample: Mapping[str, Any]) -> ItemSource | None:
    """The sample's one audio-visual item with its instruction, as the processor finds it; None of text alone.

    Raises:
        BadSampleError: if the sample has several, or its template makes several of it.
    """
    items = sample_items(processor, sample)
    if len(items) > 1:
        raise BadSampleError(
            "malformed",
            f"one item was expected, a video or an image or a sound, but this sample has {len(items)}: "
            f"{', '.join(item.kind for item in items)}.",
            sample.get("origin") or "a sample",
        )
    return items[0] if items else None


def media_messages(sample: Mapping[str, Any]) -> list[dict]:
    """The sample's turns with its media as blocks (see [`media_turns`])."""
    return media_turns(sample_turns(sample), sample)


def tokenize_sample(
    processor: Any, sample: Mapping[str, Any], query_tokens: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Token ids with the items' placeholders expanded to so many query tokens each, and labels on the answers only."""
    prompt = processor.prompt_tokens(media_messages(sample), query_tokens, return_assistant_tokens_mask=True)
    return prompt.input_ids, answer_labels(processor, prompt.input_ids, prompt.answers, earlier_answers(sample))


def answer_labels(processor: Any, input_ids: list[int], answers: list[int], earlier: int = 0) -> list[int]:
    """The tokens of the answers but for so many earlier ones, [`IGNORED_LABEL`] elsewhere."""
    said = with_spaces_before(processor, input_ids, answers)
    labels = [token if is_answer else IGNORED_LABEL for token, is_answer in zip(input_ids, said, strict=True)]
    return without_first(labels, earlier)


def without_first(labels: Sequence[int], runs: int) -> list[int]:
    """Labels without those of the first answers, each of which is a run of labels."""
    kept, seen, before = [], 0, IGNORED_LABEL
    for label in labels:
        seen += label != IGNORED_LABEL and before == IGNORED_LABEL
        kept.append(label if seen > runs else IGNORED_LABEL)
        before = label
    return kept


def with_spaces_before(processor: Any, input_ids: list[int], answers: list[int]) -> list[int]:
    """Which tokens are answers, with the space before each that a tokenizer may have put there as a token of its own.

    A tokenizer whose words begin with a space splits a word that it does not know into the space and pieces. Before an
    answer, that space is no character of it, but it is not in a prompt for generation either: the model must learn to
    say it. Where prompts end with a space, it is theirs.
    """
    tokenizer = processor.tokenizer
    firsts = [place for place in range(1, len(answers)) if answers[place] and not answers[place - 1]]
    spaces = [place - 1 for place in firsts if tokenizer.convert_ids_to_tokens(input_ids[place - 1]) in SPACE_TOKENS]
    if not spaces:
        return answers
    asked = [{"role": "user", "content": "?"}]
    options = {"chat_template": processor.chat_template, "tokenize": False, "add_generation_prompt": True}
    if tokenizer.apply_chat_template(asked, **options)[-1].isspace():
        return answers
    return [1 if place in spaces else answer for place, answer in enumerate(answers)]


def limit_length(
    input_ids: list[int], labels: list[int], max_length: int | None, origin: str = "a sample"
) -> tuple[list[int], list[int]]:
    """The first `max_length` tokens, up to the last answer token among them.

    The media and the first question stand at the start, so text is cut from the end of the last answers; every label
    that is left has the context that it has in the whole sample.

    Raises `BadSampleError` if no answer token would be left.
    """
    if max_length is None or len(input_ids) <= max_length:
        return input_ids, labels
    kept = max((place + 1 for place, label in enumerate(labels[:max_length]) if label != IGNORED_LABEL), default=0)
    if kept == 0:
        needed = next((place for place, label in enumerate(labels) if label != IGNORED_LABEL), len(labels)) + 1
        raise BadSampleError(
            "too long",
            f"media and question take {needed - 1} tokens, and with the first of the answer {needed} are needed, but "
            f"max_length is {max_length}. Raise max_length, or use shorter clips.",
            origin,
        )
    return input_ids[:kept], labels[:kept]
