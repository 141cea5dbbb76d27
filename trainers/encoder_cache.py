# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs frozen encoders once over a dataset, so that training reads their outputs instead of files.

The audio tower and the vision tower run once per clip, the instruction-aware visual Q-Former once per question, each
for one clip at a time: what is stored does not depend on what else is in the dataset, and in float32 it is bit by bit
what the encoders give for the sample alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from .bad_samples import BadSample, BadSampleError, BadSampleLog
from .data_mixture import mixture_of
from .decoded_clips import DecodedClip, clip_key, media_item, one_thread
from .favor_data_collator import Batch, TokenRow, pad_text
from .feature_cache import FeatureCache
from .feature_keys import FeatureKeys
from .media_features import undecoded
from .sample_columns import MEDIA_LISTS, check_sample_columns, media_files, media_of_turns
from .sample_tokens import limit_length, sample_items, tokenize_sample

FRAMES = "/frames"  # suffix of the key under which the picture of each time step is stored
AS_LONG_AS_THE_SOUND = -1  # in place of those indices: a still
CLIPS_FOR_WORKERS = 64  # fewer are decoded sooner than a worker has started
Rows: TypeAlias = Dataset | Sequence[Mapping[str, Any]]
Refuse: TypeAlias = Callable[[BadSampleError], None]  # raises, or writes the sample down

KEPT_COLUMNS = ("family", "task", "origin")

ItemStates: TypeAlias = tuple[torch.Tensor | None, torch.Tensor | None]  # (T, p, d) seen and (S, A) heard of an item


class EncodedRow(TokenRow):
    """One sample's text, and the keys of its items' states; None where an item has no pictures, or no sound."""

    visual_states: list[str | None]
    audio_states: list[str | None]


@dataclass
class EncodedItem:
    """
    What is to be encoded of one item.

    Attributes:
        number, place: of its row, and among the row's items.
        clip: name of its media (see [`FeatureKeys.clip`]).
        still: it is an image.
        instruction: token ids of what is asked about it; None if the visual Q-Former reads nothing.
        visual, audio: keys of its states.
    """

    number: int
    place: int
    clip: str
    still: bool
    instruction: list[int] | None
    visual: str | None
    audio: str | None

    @property
    def keys(self) -> list[str]:
        """Of its states."""
        return [key for key in (self.visual, self.audio) if key is not None]


@dataclass
class EncodedSample:
    """
    What is to be encoded of one row.

    Attributes:
        origin: named in errors.
        items: of its media.
        bad: one of them cannot be read.
    """

    origin: str
    items: list[EncodedItem]
    bad: bool = False


class EncodedCollator:
    """Collates rows of [`encode_dataset`]: `encoder_states` stand in place of pixels and mel features.

    Produces `input_ids`, `attention_mask`, `labels` (batch, length), padded on the right, and `encoder_states`
    (see `FavorModel.encode_media`), float32, for the rows that have media.
    """

    def __init__(self, cache: FeatureCache, pad_token_id: int, audio_vectors_per_frame: int, log: BadSampleLog):
        self.cache, self.pad_token_id = cache, pad_token_id
        self.audio_vectors_per_frame = audio_vectors_per_frame
        self.log = log

    def __call__(self, rows: Sequence[EncodedRow]) -> Batch:
        batch = pad_text(rows, self.pad_token_id)
        encoded = self.connector_inputs(rows)
        if encoded:
            batch["encoder_states"] = encoded
        return batch

    def connector_inputs(self, rows: Sequence[EncodedRow]) -> dict[str, torch.Tensor]:
        """The connector's arguments for the items of these rows."""
        return join_states([states for row in rows for states in self.states(row)])

    @property
    def bad_samples(self) -> list[BadSample]:
        """The samples that [`encode_dataset`] left out."""
        return self.log.read()

    @property
    def skipped_samples(self) -> int:
        """How many samples were left out."""
        return len(self.bad_samples)

    def states(self, row: EncodedRow) -> list[ItemStates]:
        """The states of each item of a row."""
        return [self.item_states(*keys) for keys in zip(row["visual_states"], row["audio_states"], strict=True)]

    def item_states(self, visual_key: str | None, audio_key: str | None) -> ItemStates:
        """The states of an item by their keys."""
        audio = self.cache.get(audio_key) if audio_key else None
        if not visual_key:
            return None, audio
        pictures = self.cache.get(visual_key)  # (F, p, d)
        frames = self.cache.get(visual_key + FRAMES)
        heard = 0 if audio is None else len(audio)
        return pictures[time_steps(frames, heard, self.audio_vectors_per_frame)], audio


def join_states(states: Sequence[ItemStates]) -> dict[str, torch.Tensor]:
    """The connector's arguments for these items; streams that none has are left out."""
    joined: dict[str, torch.Tensor] = {}
    for place, name, count in ((0, "visual", "num_visual_frames"), (1, "audio", "num_audio_vectors")):
        column = [item[place] for item in states]
        known = [state for state in column if state is not None]
        if known:
            # An item without this stream has length 0 in it.
            rows = [known[0][:0] if state is None else state for state in column]
            joined[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float()
            joined[count] = torch.tensor([len(row) for row in rows])
    return joined


def time_steps(frames: torch.Tensor, audio_vectors: int, audio_vectors_per_frame: int) -> torch.Tensor:
    """(T,) int64, the picture of each time step; a still lasts as long as the sound."""
    if frames.tolist() == [AS_LONG_AS_THE_SOUND]:
        return torch.zeros(max(1, -(-audio_vectors // audio_vectors_per_frame)), dtype=torch.int64)
    return frames.long()


def encode_dataset(
    model: torch.nn.Module,
    processor: Any,
    dataset: Rows,
    clips: Mapping[tuple, DecodedClip] | None = None,
    *,
    cache_dir: str | Path | None = None,
    dtype: str | torch.dtype = torch.float16,
    identify_files_by: Literal["stat", "content"] = "stat",
    max_length: int | None = None,
    on_bad_sample: Literal["raise", "skip"] = "raise",
    bad_sample_log: str | Path | None = None,
    workers: int = 2,
    progress: bool = True,
) -> tuple[Dataset, EncodedCollator]:
    """Encodes the media of a dataset and tokenises its text.

    Args:
        model: a `FavorForConditionalGeneration` whose encoders stay frozen.
        processor: its `FavorProcessor`.
        dataset: rows of [`load_manifest`], or as [`FavorDataCollator`] takes them.
        clips: items that are decoded already (see [`decode_clips`]); others are decoded when they are needed.
        cache_dir: folder that keeps the states from run to run (see [`FeatureCache`]); None: in memory.
        dtype: of the stored states. float32 is exact, float16 and bfloat16 take half of the room.
        identify_files_by: see [`FeatureKeys`].
        max_length, on_bad_sample, bad_sample_log: see [`FavorDataCollator`]; what is skipped is left out of the rows.
        workers: processes that decode; 0: this one. A script that asks for some must guard its start by
            `if __name__ == "__main__":`, or it waits for ever for processes that have died.
        progress: show a bar.

    Raises `ValueError` for a mixture with streams or transforms, and if no sample can be used.

    Returns the dataset with `input_ids`, `labels`, `length`, `visual_states` and `audio_states` (of each item a key or
    None) and `query_tokens` (of each item their number), and its collator.
    """
    mixture = mixture_of(dataset)
    if mixture is not None and (mixture.streamed or any(source.transforms for source in mixture.sources)):
        raise ValueError(
            "Encoder states are kept of a fixed set of samples, but streams have none and transforms change "
            "them from epoch to epoch; leave `streaming` and `transforms` out, or train uncached."
        )
    dataset = undecoded(dataset)
    model.eval()
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    cache, log = FeatureCache(cache_dir), BadSampleLog(bad_sample_log)
    keys = FeatureKeys(model, processor, dtype, identify_files_by)

    def refuse(error: BadSampleError) -> None:
        if on_bad_sample == "raise":
            raise error
        log.add(error)

    samples = read_samples(model, processor, dataset, keys, refuse)
    # Questions about one clip share its decoding and the work of its towers.
    groups: dict[str, list[EncodedItem]] = defaultdict(list)
    for item in (item for sample in samples.values() for item in sample.items):
        groups[item.clip].append(item)
    missing = [group for group in groups.values() if any(key not in cache for item in group for key in item.keys)]
    encoder = ClipEncoder(model, processor, cache, dtype)
    inputs = media_inputs(dataset, processor, missing, clips or {}, workers)
    try:
        for group, media in zip(missing, tqdm(inputs, "encoding", len(missing), disable=not progress), strict=True):
            if isinstance(media, BadSampleError):
                for sample in {item.number: samples[item.number] for item in group}.values():
                    if not sample.bad:
                        refuse(BadSampleError(media.reason, media.detail, sample.origin, media.file))
                    sample.bad = True
            else:
                encoder.encode(group, media)
    finally:  # stopped by Ctrl-C or a bad sample: the next run goes on from here
        cache.flush()
    found = (token_row(processor, dataset[n], cache, s, max_length, refuse) for n, s in samples.items() if not s.bad)
    rows = [row for row in found if row is not None]
    if not rows:
        raise ValueError(f"No sample of the dataset can be used: {log.summary()}.")
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    collator = EncodedCollator(cache, processor.tokenizer.pad_token_id, processor.audio_vectors_per_frame(), log)
    return Dataset.from_dict(columns), collator


def read_samples(
    model: torch.nn.Module, processor: Any, dataset: Rows, keys: FeatureKeys, refuse: Refuse
) -> dict[int, EncodedSample]:
    """What is to be encoded for each row, by its place in the dataset."""
    samples = {}
    for number, row in enumerate(dataset):
        origin = row.get("origin") or f"row {number} of the dataset"
        try:
            check_sample_columns(row)
            items = []
            for place, item in enumerate(sample_items(processor, {**row, "origin": origin})):
                ids = processor.instruction_ids(item.instruction) if model.model.reads_instruction else None
                clip, visual, audio = keys.clip(item), keys.visual(item, ids), keys.audio(item)
                items.append(EncodedItem(number, place, clip, item.kind == "image", ids, visual, audio))
            samples[number] = EncodedSample(origin, items)
        except FileNotFoundError as error:
            refuse(BadSampleError("missing file", str(error), origin, ", ".join(media_files(row))))
        except BadSampleError as error:
            refuse(error)
        except ValueError as error:  # an empty question
            refuse(BadSampleError("malformed", str(error), origin))
    return samples


class ClipInputs(TorchDataset):
    """The processor's media tensors of one clip per index, or why there are none; made in loader workers."""

    def __init__(self, dataset: Rows, items: list[EncodedItem], processor: Any):
        self.dataset, self.items, self.processor = dataset, items, processor

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor] | BadSampleError:
        row = self.dataset[self.items[index].number]
        file = ", ".join(media_files(row))
        try:
            item = sample_items(self.processor, row)[self.items[index].place]
            return self.processor.media_inputs([self.processor.load_item(item)])[0]
        except FileNotFoundError as error:
            return BadSampleError("missing file", str(error), file=file)
        except (ValueError, OSError) as error:
            return BadSampleError("unreadable media", str(error), file=file)


def media_inputs(
    dataset: Rows,
    processor: Any,
    groups: list[list[EncodedItem]],
    clips: Mapping[tuple, DecodedClip],
    workers: int,
) -> Iterator[dict[str, torch.Tensor] | BadSampleError]:
    """The media tensors of each group's clip, from memory or decoded in worker processes."""
    items = [group[0] for group in groups]
    found = [known_clip(clips, dataset[item.number]) if clips else None for item in items]
    unknown = [item for item, clip in zip(items, found, strict=True) if clip is None]
    decoded: Iterator = iter(())
    if unknown:
        workers = workers if len(unknown) >= CLIPS_FOR_WORKERS else 0
        loader = DataLoader(
            ClipInputs(dataset, unknown, processor),
            batch_size=1,
            num_workers=workers,
            collate_fn=only_element,
            worker_init_fn=one_thread,
            multiprocessing_context="spawn" if workers else None,
        )
        decoded = iter(loader)
    for clip in found:
        yield next(decoded) if clip is None else processor.media_inputs([media_item(clip)])[0]


def known_clip(clips: Mapping[tuple, DecodedClip], row: Mapping[str, Any]) -> DecodedClip | None:
    """A row's one item, if it is decoded and stands in the columns."""
    key = clip_key(row)
    hashable = all(value is None or isinstance(value, (str, bool)) for value in key)
    several = bool(media_of_turns(row)) or any(row.get(name) for name in MEDIA_LISTS)
    return clips.get(key) if hashable and not several else None


def only_element(batch: list) -> Any:
    """The one element of a batch."""
    return batch[0]


class ClipEncoder:
    """Runs the encoders on one clip and puts their states into the cache."""

    def __init__(self, model: torch.nn.Module, processor: Any, cache: FeatureCache, dtype: torch.dtype):
        self.backbone, self.processor, self.cache, self.dtype = model.model, processor, cache, dtype
        self.audio_width = model.config.connector_config.audio_hidden_size

    @torch.no_grad()
    def encode(self, group: list[EncodedItem], media: Mapping[str, torch.Tensor]) -> None:
        """Stores the states of a clip for each question about it.

        Args:
            group: its items in different samples, or in one.
            media: the processor's tensors for it.
        """
        states: dict[str, torch.Tensor] = {}
        patches = None
        for item in group:
            audio, visual = item.audio, item.visual
            if audio is not None and audio not in self.cache and audio not in states:
                states[audio] = self.audio_states(media)
            if visual is None or visual in self.cache or visual in states:
                continue
            if "pixel_values_videos" not in media:  # a processor that passes pictures over
                states |= {visual: torch.zeros(0, 1, 1, dtype=self.dtype), visual + FRAMES: torch.zeros(0).long()}
                continue
            if patches is None:
                patches = self.backbone.picture_patches(media["pixel_values_videos"][0], kept_on="cpu")
            states[visual] = self.visual_states(patches, item.instruction).to(self.dtype)
            # How long a still lasts depends on the sound beside it, which its key leaves out.
            steps = torch.tensor([AS_LONG_AS_THE_SOUND]) if item.still else media["video_frame_indices"][0]
            states[visual + FRAMES] = steps.to(torch.int32)
        self.cache.put(states)

    def audio_states(self, media: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(S, A) states of the clip's chunks; (0, A) of a file without sound."""
        if "input_features" not in media:
            return torch.zeros(0, self.audio_width, dtype=self.dtype)
        states = self.backbone.chunk_states(
            media["input_features"][0], media["input_features_mask"][0]
        )  # (chunks, vectors, A)
        vectors = int(self.backbone.audio_vector_counts(media["input_features_mask"])[0])
        return states.flatten(0, 1)[:vectors].to(self.dtype)

    def visual_states(self, patches: torch.Tensor, ids: list[int] | None) -> torch.Tensor:
        """(F, p, d) vectors of the clip's pictures for one question."""
        return self.backbone.picture_vectors(patches, None if ids is None else torch.tensor([ids]))


def token_row(
    processor: Any,
    row: Mapping[str, Any],
    cache: FeatureCache,
    sample: EncodedSample,
    max_length: int | None,
    refuse: Refuse,
) -> dict[str, Any] | None:
    """A row of the dataset as one of tokens and keys; None if it is refused."""
    counts: list[int] = []
    states: list[tuple[str | None, str | None]] = []
    for item in sample.items:
        heard = 0 if item.audio is None else cache.shape(item.audio)[0]
        steps = 0
        if item.visual is not None and cache.shape(item.visual)[0]:
            steps = len(time_steps(cache.get(item.visual + FRAMES), heard, processor.audio_vectors_per_frame()))
        counts.append(processor.query_token_count(steps, heard))
        if steps or heard:
            states.append((item.visual if steps else None, item.audio if heard else None))
    ids, labels = tokenize_sample(processor, row, counts)
    try:
        ids, labels = limit_length(ids, labels, max_length, sample.origin)
    except BadSampleError as error:
        refuse(error)
        return None
    encoded: dict[str, Any] = {"input_ids": ids, "labels": labels, "length": len(ids), "query_tokens": counts}
    encoded |= {"visual_states": [seen for seen, _ in states], "audio_states": [heard for _, heard in states]}
    return encoded | {name: row[name] for name in KEPT_COLUMNS if name in row}
