# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads training data as training would, to count it, to find what is broken, and to show it as the model sees it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from favor.processing import FavorProcessor
from favor.processing.items_favor import MediaItem

from .bad_samples import BadSampleError, reading
from .data_mixture import load_training_data
from .manifest import is_manifest, normalise_sample, read_samples
from .prompt_turns import earlier_answers
from .sample_columns import Sample, check_sample_columns, media_files
from .sample_tokens import IGNORED_LABEL, answer_labels, media_messages

TEXT_ALONE = "text alone"


@dataclass(frozen=True)
class SeenItem:
    """
    One item of a sample, as the processor reads it.

    Args:
        kind: "video", "image" or "audio".
        pictures: (F, H, W, 3) uint8, the distinct ones, at the size of the vision tower; None without any.
        audio: (S,) float32 mono; None without a sound.
        seconds_seen, seconds_heard: its length; a still has none.
        query_tokens: how many the model gets for it.
    """

    kind: str
    pictures: np.ndarray | None
    audio: np.ndarray | None
    seconds_seen: float
    seconds_heard: float
    query_tokens: int


@dataclass(frozen=True)
class SeenSample:
    """
    A sample as the model sees it.

    Args:
        origin: where it stands.
        files: names of its media.
        items: of its media.
        texts: the tokens as text, in pieces, and whether a piece is learnt; of an item's tokens, their number.
        tokens: of all.
    """

    origin: str
    files: list[str]
    items: list[SeenItem]
    texts: list[tuple[str, bool]]
    tokens: int


@dataclass
class DataSurvey:
    """
    What was found in training data.

    Args:
        kinds: samples by the kinds of their items, such as "image + audio".
        tasks: samples by `task` or `family`.
        seen, heard: seconds of each item that has pictures over time, or a sound.
        tokens: of each sample.
        broken: the samples that training could not use.
        shown: some of the others, evenly chosen.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    seen: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    broken: list[BadSampleError] = field(default_factory=list)
    shown: list[SeenSample] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """How many were read, the broken ones among them."""
        return len(self.tokens) + len(self.broken)

    def add(self, sample: Mapping[str, Any], seen: SeenSample, show: bool) -> None:
        """Counts a sample, and keeps it if it is to be shown."""
        kinds = [item.kind for item in seen.items]
        counted = [kind if kinds.count(kind) == 1 else f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
        self.kinds[" + ".join(counted) or TEXT_ALONE] += 1
        task = sample.get("task") or sample.get("family")
        if task:
            self.tasks[str(task)] += 1
        self.seen += [item.seconds_seen for item in seen.items if item.seconds_seen]
        self.heard += [item.seconds_heard for item in seen.items if item.seconds_heard]
        self.tokens.append(seen.tokens)
        if show:
            self.shown.append(seen)


def survey(
    data: str, processor: FavorProcessor, limit: int | None = None, show: int = 0, progress: Any = iter
) -> DataSurvey:
    """Reads every sample of training data, or the first `limit`, and decodes its media.

    Args:
        data: a manifest, a folder or an id of the Hub (see [`load_training_data`]).
        show: so many good samples are kept with their pictures and sounds.
        progress: wraps the samples, as tqdm does.

    Raises `ValueError` if the data cannot be opened at all.
    """
    found = DataSurvey()
    rows = list(islice(each_row(data), limit))
    places = {int(place) for place in np.linspace(0, len(rows) - 1, min(show, len(rows))).round()} if rows else set()
    for place, row in enumerate(progress(rows)):
        try:
            if isinstance(row, BadSampleError):
                raise row
            found.add(row, see(processor, row), place in places)
        except BadSampleError as error:
            found.broken.append(error)
    return found


def each_row(data: str) -> Iterator[Sample | BadSampleError]:
    """The samples of training data; of a manifest, lines that cannot be read are errors among them."""
    path = Path(data)
    if not path.is_file() or not is_manifest(path):
        yield from load_training_data(data, check_files=False, repeat_streams=False)
        return
    for number, line in read_samples(path):
        try:
            yield normalise_sample(line, path, number)
        except BadSampleError as error:
            yield error
        except ValueError as error:
            where, _, detail = str(error).partition(": ")
            yield BadSampleError("malformed", detail or where, where)


def see(processor: FavorProcessor, sample: Mapping[str, Any]) -> SeenSample:
    """A sample as the model sees it. Raises `BadSampleError` as [`FavorDataCollator.prepare`] does."""
    check_sample_columns(sample)
    origin, files = sample.get("origin") or "a sample without origin", media_files(sample)
    with reading(origin, ", ".join(files) or None, before_media=True):
        messages = media_messages(sample)
    with reading(origin, ", ".join(files) or None):
        sources = processor.chat_items(messages, load_audio_from_video=sample.get("use_own_audio") is not False)
        media = [processor.load_item(source) for source in sources]
        counts = processor.media_inputs(media)[1] if media else []
        prompt = processor.prompt_tokens(messages, counts, return_assistant_tokens_mask=True)
    labels = answer_labels(processor, prompt.input_ids, prompt.answers or [], earlier_answers(sample))
    items = [
        _seen_item(processor, source.kind, item, count)
        for source, item, count in zip(sources, media, counts, strict=True)
    ]
    return SeenSample(origin, files, items, _pieces(processor, prompt.input_ids, labels), len(prompt.input_ids))


def _seen_item(processor: FavorProcessor, kind: str, item: MediaItem, query_tokens: int) -> SeenItem:
    steps = 0 if item.still or item.frame_indices is None else len(item.frame_indices)
    heard = 0.0 if item.audio is None else len(item.audio) / processor.feature_extractor.sampling_rate
    return SeenItem(kind, item.frames, item.audio, steps / processor.frame_rate, heard, query_tokens)


def _pieces(processor: FavorProcessor, ids: Iterable[int], labels: Iterable[int]) -> list[tuple[str, bool]]:
    """The tokens as text: runs that are learnt, that are not, and of an item's tokens."""
    media = processor.video_token_id
    pieces = []
    runs = groupby(zip(ids, labels, strict=True), key=lambda pair: (pair[0] == media, pair[1] != IGNORED_LABEL))
    for (is_media, learnt), run in runs:
        tokens = [token for token, _ in run]
        text = f"[{len(tokens)} query tokens]" if is_media else processor.tokenizer.decode(tokens)
        pieces.append((text, learnt))
    return pieces


__all__ = ["DataSurvey", "SeenItem", "SeenSample", "see", "survey"]
