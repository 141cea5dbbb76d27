# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Placeholders in prompts: which items a text names, what is asked about each, and how they become query tokens.

An *item* is a picture stream, a sound, or both, that become one run of query tokens. In the text, `<video>`, `<image>`
and `<audio>` name items; `<audio>` directly after `<video>` or `<image>` is the sound of that same item.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .media_names_favor import MEDIA_KINDS, PLACEHOLDERS

# The marks of Vicuna's turns, by which a text without a chat is cut into turns.
USER_MARKER = "USER:"
ASSISTANT_MARKER = "ASSISTANT:"
SANITIZED = (
    "\U000f0000",
    "\U000f0001",
)  # `sanitize_control_tokens` of transformers puts user text between these
IMAGE_TAGS = ("<Img>", "</Img>")
TOKEN_TYPES = {"image": 1, "video": 2, "audio": 3}  # transformers' `mm_token_type_ids`; text is 0


@dataclass
class PromptItem:
    """One item as the prompt names it.

    Attributes:
        kind (`"video"`, `"image"` or `"audio"`): what the first placeholder is.
        separate_audio (`bool`): an `<audio>` placeholder belongs to the item.
        start, end (`int`): characters of the placeholders in the text.
    """

    kind: str
    separate_audio: bool
    start: int = 0
    end: int = 0

    @property
    def placeholders(self) -> int:
        """How many stand for the item before expansion."""
        return 1 + (self.separate_audio and self.kind != "audio")


@dataclass(frozen=True)
class ChatInstructions:
    """What is asked about each medium of a batch of chats: the text of the message that holds its block.

    Attributes:
        texts (`list[dict[str, list[str]]]`): of each chat, by the block's kind, in the order of the blocks.
    """

    texts: list[dict[str, list[str]]]


def find_items(text: str) -> list[PromptItem]:
    """Finds the items that `text`, a prompt before expansion, names, in order."""
    video, image, audio = (re.escape(PLACEHOLDERS[kind]) for kind in ("video", "image", "audio"))
    pattern = re.compile(
        f"(?<!{SANITIZED[0]})(?:(?:(?P<video>{video})|(?P<image>{image}))(?P<sound>{audio})?|(?P<audio>{audio}))"
    )
    items = []
    for match in pattern.finditer(text):
        kind = next(kind for kind in MEDIA_KINDS if match[kind])
        items.append(PromptItem(kind, kind == "audio" or bool(match["sound"]), *match.span()))
    return items


def clean_instruction(text: str, special_tokens: Sequence[str] = ()) -> str:
    """A text as the visual Q-Former gets it: no placeholder, tag or special token in it, single spaces.

    Args:
        text (`str`): what is asked about an item.
        special_tokens (`list[str]`): those of the language model's tokenizer.
    """
    unwanted = [*PLACEHOLDERS.values(), *IMAGE_TAGS, *SANITIZED, *(token for token in special_tokens if token)]
    return " ".join(re.sub("|".join(map(re.escape, unwanted)), " ", text).split())


def turn_around(text: str, item: PromptItem, vicuna_marks: bool) -> str:
    """The part of a text without a chat that asks about one of its items.

    Between Vicuna's marks that stand around the item where the prompts are Vicuna's; else the whole text.
    """
    if not vicuna_marks:
        return text
    turn = text.rfind(USER_MARKER, 0, item.start)
    start = 0 if turn < 0 else turn + len(USER_MARKER)
    end = text.find(ASSISTANT_MARKER, item.end)
    return text[start : len(text) if end < 0 else end]


def texts_of_items(items: Sequence[PromptItem], texts: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The text that belongs to each item of a prompt; None if it has other placeholders than there are texts.

    A template keeps the order of the blocks of one kind: the third `<video>` of a prompt is the chat's third video.

    Args:
        items: of one prompt.
        texts: for each kind, of each of its placeholders (see [`ChatInstructions`]).
    """
    found = []
    seen: dict[str, int] = dict.fromkeys(MEDIA_KINDS, 0)
    for item in items:
        if seen[item.kind] >= len(texts[item.kind]):
            return None
        found.append(texts[item.kind][seen[item.kind]])
        seen[item.kind] += 1
        if item.separate_audio and item.kind != "audio":
            seen["audio"] += 1
    return found if all(seen[kind] == len(texts[kind]) for kind in MEDIA_KINDS) else None


def expand_items(text: str, items: Sequence[PromptItem], counts: Sequence[int], token: str) -> tuple[str, list[dict]]:
    """Replaces each item's placeholders by `count` copies of `token`.

    Returns:
        The text, and where the replacements are, in the form that transformers' assistant masks use.
    """
    pieces, offsets, last, grown = [], [], 0, 0
    for item, count in zip(items, counts, strict=True):
        replacement = token * count
        pieces += [text[last : item.start], replacement]
        offsets.append(
            {
                "type": item.kind,
                "span": (item.start, item.end),
                "new_span": (item.start + grown, item.start + grown + len(replacement)),
                "text": text[item.start : item.end],
                "replacement": replacement,
            }
        )
        grown += len(replacement) - (item.end - item.start)
        last = item.end
    return "".join([*pieces, text[last:]]), offsets


def token_types(ids: Sequence[int], items: Sequence[PromptItem], counts: Sequence[int], token_id: int) -> list[int]:
    """The `mm_token_type_ids` of an expanded prompt: an item's tokens are of its kind, whatever their id."""
    types = iter([TOKEN_TYPES[item.kind] for item, count in zip(items, counts, strict=True) for _ in range(count)])
    return [next(types) if token == token_id else 0 for token in ids]


def expanded_places(
    ids: Sequence[int], items: Sequence[PromptItem], counts: Sequence[int], placeholder_ids: Sequence[int]
) -> list[int]:
    """As [`expand_items`], for the tokens of a prompt: where each token of the expanded prompt comes from.

    Args:
        ids (`list[int]`): tokens of the prompt before expansion.
        items, counts: of the prompt, as in [`expand_items`].
        placeholder_ids (`list[int]`): the tokens of the placeholders.

    Returns:
        A place in `ids` for each token; whatever stands beside them (a mask, labels) is expanded by the same places.

    Raises:
        ValueError: if the tokens hold another number of placeholders than the items have.
    """
    named, found = sum(item.placeholders for item in items), sum(token in placeholder_ids for token in ids)
    if named != found:
        raise ValueError(
            f"The prompt names its media by {named} placeholders, but {found} are left after tokenization. "
            "The tokenizer must keep <video>, <image> and <audio> whole, and a template each block's placeholder."
        )
    # An item's first placeholder becomes its whole run, its second (the separate sound's) nothing.
    runs = iter([n for item, count in zip(items, counts, strict=True) for n in (count, 0)[: item.placeholders]])
    return [place for place, token in enumerate(ids) for _ in range(next(runs) if token in placeholder_ids else 1)]


__all__ = ["ChatInstructions", "PromptItem"]
