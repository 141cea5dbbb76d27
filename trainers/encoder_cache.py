# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs frozen encoders once over a dataset, so that training reads their outputs instead of files.

The audio tower and the vision tower run once per clip, the instruction-aware visual Q-Former once per question, each
for one clip at a time: what is stored does not depend on what else is in the dataset, and in float32 it is bit by bit
what the encoders give for the sample alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from favor.processing.media_names_favor import MEDIA_KINDS

from .bad_samples import BadSample, BadSampleError, BadSampleLog
from .data_mixture import mixture_of
from .decoded_clips import DecodedClip, clip_key, media_item, one_thread
from .favor_data_collator import Batch, TokenRow, pad_text
from .feature_cache import FeatureCache
from .feature_keys import FeatureKeys
from .media_turns import SOURCES
from .sample_columns import MEDIA_LISTS, check_sample_columns, media_files
from .sample_tokens import limit_length, sample_item, tokenize_sample

FRAMES = "/frames"  # suffix of the key under which the picture of each time step is stored
AS_LONG_AS_THE_SOUND = -1  # in place of those indices: a still
CLIPS_FOR_WORKERS = 64  # fewer are decoded sooner than a worker has started
KEPT_COLUMNS = ("family", "task", "origin")


class EncodedRow(TokenRow):
    """One sample's text, and the keys of its states; None where it has no pictures, or no sound."""

    visual_states: str | None
    audio_states: str | None


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
        encoded = self.connector_inputs([row for row in rows if row["visual_states"] or row["audio_states"]])
        if encoded:
            batch["encoder_states"] = encoded
        return batch

    def connector_inputs(self, rows: Sequence[EncodedRow]) -> dict[str, torch.Tensor]:
        """The connector's arguments for rows that have media."""
        return join_states([self.states(row) for row in rows])

    @property
    def bad_samples(self) -> list[BadSample]:
        """The samples that [`encode_dataset`] left out."""
        return self.log.read()

    @property
    def skipped_samples(self) -> int:
        """How many samples were left out."""
        return len(self.bad_samples)

    def states(self, row: EncodedRow) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """(T, p, d) visual and (S, A) audio states of a row."""
        audio = self.cache.get(row["audio_states"]) if row["audio_states"] else None
        if not row["visual_states"]:
            return None, audio
        pictures = self.cache.get(row["visual_states"])  # (F, p, d)
        frames = self.cache.get(row["visual_states"] + FRAMES)
        heard = 0 if audio is None else len(audio)
        return pictures[time_steps(frames, heard, self.audio_vectors_per_frame)], audio


def join_states(states: list[tuple[torch.Tensor | None, torch.Tensor | None]]) -> dict[str, torch.Tensor]:
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
    dataset: Dataset,
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
        dataset: rows of [`load_manifest`] or of its columns, each with at most one audio-visual item.
        clips: items that are decoded already (see [`decode_clips`]); others are decoded when they are needed.
        cache_dir: folder that keeps the states from run to run (see [`FeatureCache`]); None: in memory.
        dtype: of the stored states. float32 is exact, float16 and bfloat16 take half of the room.
        identify_files_by: see [`FeatureKeys`].
        max_length, on_bad_sample, bad_sample_log: see [`FavorDataCollator`]; what is skipped is left out of the rows.
        workers: processes that decode; 0: this one. A script that asks for some must guard its start by
            `if __name__ == "__main__":`, or it waits for ever for processes that have died.
        progress: show a bar.

    Raises `ValueError` for a mixture with streams or transforms, and if no sample can be used.

    Returns the dataset with `input_ids`, `labels`, `length`, `visual_states` and `audio_states` (keys or None), and
    its collator.
    """
    mixture = mixture_of(dataset)
    if mixture is not None and (mixture.streamed or any(source.transforms for source in mixture.sources)):
        raise ValueError(
            "Encoder states are kept of a fixed set of samples, but streams have none and transforms change "
            "them from epoch to epoch; leave `streaming` and `transforms` out, or train uncached."
        )
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
    groups: dict[str, list[dict]] = defaultdict(list)
    for sample in samples:
        groups[sample["clip"]].append(sample)
    missing = [group for group in groups.values() if any(key not in cache for key in wanted(group))]
    encoder = ClipEncoder(model, processor, cache, dtype)
    inputs = media_inputs(dataset, processor, missing, clips or {}, workers)
    try:
        for group, media in zip(missing, tqdm(inputs, "encoding", len(missing), disable=not progress), strict=True):
            if isinstance(media, BadSampleError):
                for sample in group:
                    refuse(BadSampleError(media.reason, media.detail, sample["origin"], media.file))
                    sample["bad"] = True
            else:
                encoder.encode(group, media)
    finally:  # stopped by Ctrl-C or a bad sample: the next run goes on from here
        cache.flush()
    rows = [row for sample in samples if (row := token_row(processor, dataset, cache, sample, max_length, refuse))]
    if not rows:
        raise ValueError(f"No sample of the dataset can be used: {log.summary()}.")
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    collator = EncodedCollator(cache, processor.tokenizer.pad_token_id, processor.audio_vectors_per_frame(), log)
    return Dataset.from_dict(columns), collator


def read_samples(
    model: torch.nn.Module, processor: Any, dataset: Dataset, keys: FeatureKeys, refuse: Any
) -> list[dict]:
    """What is to be encoded for each row: its place, the keys of its states, and its instruction's token ids."""
    samples = []
    for number, row in enumerate(dataset):
        origin = row.get("origin") or f"row {number} of the dataset"
        try:
            check_sample_columns(row)
            item = sample_item(processor, {**row, "origin": origin})
            check_in_columns(row, origin)
            reads = item is not None and model.model.reads_instruction
            ids = processor.instruction_ids(item.instruction) if reads else None
            visual, audio = keys.visual(row, ids), keys.audio(row)
            still = row.get("image") is not None
            sample = {"number": number, "origin": origin, "clip": keys.clip(row), "still": still}
            samples.append({**sample, "instruction": ids, "visual": visual, "audio": audio})
        except FileNotFoundError as error:
            refuse(BadSampleError("missing file", str(error), origin, ", ".join(media_files(row))))
        except BadSampleError as error:
            refuse(error)
        except ValueError as error:  # an empty question
            refuse(BadSampleError("malformed", str(error), origin))
    return samples


def check_in_columns(row: Mapping[str, Any], origin: str) -> None:
    """Raises `BadSampleError` for media that a row's key would not name."""
    blocks = [block for turn in row["messages"] for block in turn["content"] if isinstance(block, Mapping)]
    own = any(
        block.get("type") in MEDIA_KINDS and any(block.get(key) is not None for key in SOURCES) for block in blocks
    )
    if own or any(row.get(name) for name in MEDIA_LISTS):
        raise BadSampleError(
            "malformed",
            "cached samples have their media in the columns `video`, `image` and `audio`, not in blocks of their own "
            f"or in {', '.join(MEDIA_LISTS)}: move them there, or train without the cache.",
            origin,
        )


def wanted(group: list[dict]) -> list[str]:
    """Keys of the states of a clip's samples."""
    return [key for sample in group for key in (sample["visual"], sample["audio"]) if key is not None]


class ClipInputs(TorchDataset):
    """The processor's media tensors of one clip per index, or why there are none; made in loader workers."""

    def __init__(self, dataset: Dataset, numbers: list[int], processor: Any):
        self.dataset, self.numbers, self.processor = dataset, numbers, processor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor] | BadSampleError:
        row = self.dataset[self.numbers[index]]
        file = ", ".join(media_files(row))
        try:
            item = sample_item(self.processor, row)
            return self.processor.media_inputs([self.processor.load_item(item)])[0]
        except FileNotFoundError as error:
            return BadSampleError("missing file", str(error), file=file)
        except (ValueError, OSError) as error:
            return BadSampleError("unreadable media", str(error), file=file)


def media_inputs(
    dataset: Dataset, processor: Any, groups: list[list[dict]], clips: Mapping[tuple, DecodedClip], workers: int
) -> Iterator[dict[str, torch.Tensor] | BadSampleError]:
    """The media tensors of each group's clip, from memory or decoded in worker processes."""
    found: list[DecodedClip | None] = []
    for group in groups:
        row = dataset[group[0]["number"]]
        hashable = not any(isinstance(row.get(kind), dict) for kind in MEDIA_KINDS)
        found.append(clips.get(clip_key(row)) if hashable and clips else None)
    numbers = [group[0]["number"] for group, clip in zip(groups, found, strict=True) if clip is None]
    decoded: Iterator = iter(())
    if numbers:
        workers = workers if len(numbers) >= CLIPS_FOR_WORKERS else 0
        loader = DataLoader(
            ClipInputs(dataset, numbers, processor),
            batch_size=1,
            num_workers=workers,
            collate_fn=only_element,
            worker_init_fn=one_thread,
            multiprocessing_context="spawn" if workers else None,
        )
        decoded = iter(loader)
    for clip in found:
        yield next(decoded) if clip is None else processor.media_inputs([media_item(clip)])[0]


def only_element(batch: list) -> Any:
    """The one element of a batch."""
    return batch[0]


class ClipEncoder:
    """Runs the encoders on one clip and puts their states into the cache."""

    def __init__(self, model: torch.nn.Module, processor: Any, cache: FeatureCache, dtype: torch.dtype):
        self.backbone, self.processor, self.cache, self.dtype = model.model, processor, cache, dtype
        self.audio_width = model.config.connector_config.audio_hidden_size

    @torch.no_grad()
    def encode(self, group: list[dict], media: Mapping[str, torch.Tensor]) -> None:
        """Stores the states of a clip for each question about it.

        Args:
            group: its samples (see [`read_samples`]).
            media: the processor's tensors for it.
        """
        states: dict[str, torch.Tensor] = {}
        patches = None
        for sample in group:
            audio, visual = sample["audio"], sample["visual"]
            if audio is not None and audio not in self.cache and audio not in states:
                states[audio] = self.audio_states(media)
            if visual is None or visual in self.cache or visual in states:
                continue
            if "pixel_values_videos" not in media:  # a processor that passes pictures over
                states |= {visual: torch.zeros(0, 1, 1, dtype=self.dtype), visual + FRAMES: torch.zeros(0).long()}
                continue
            if patches is None:
                patches = self.backbone.picture_patches(media["pixel_values_videos"][0], kept_on="cpu")
            states[visual] = self.visual_states(patches, sample["instruction"]).to(self.dtype)
            # How long a still lasts depends on the sound beside it, which its key leaves out.
            steps = torch.tensor([AS_LONG_AS_THE_SOUND]) if sample["still"] else media["video_frame_indices"][0]
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
    processor: Any, dataset: Dataset, cache: FeatureCache, sample: dict, max_length: int | None, refuse: Any
) -> dict[str, Any] | None:
    """The row of an encoded sample; None if it is refused."""
    if sample.get("bad"):
        return None
    row = dataset[sample["number"]]
    visual, audio = sample["visual"], sample["audio"]
    heard = 0 if audio is None else cache.shape(audio)[0]
    steps = 0
    if visual is not None and cache.shape(visual)[0]:
        steps = len(time_steps(cache.get(visual + FRAMES), heard, processor.audio_vectors_per_frame()))
    has_item = visual is not None or audio is not None
    counts = [processor.query_token_count(steps, heard)] if has_item else []
    ids, labels = tokenize_sample(processor, row, counts)
    try:
        ids, labels = limit_length(ids, labels, max_length, sample["origin"])
    except BadSampleError as error:
        refuse(error)
        return None
    encoded = {"input_ids": ids, "labels": labels, "length": len(ids)}
    encoded |= {"visual_states": visual if steps else None, "audio_states": audio if heard else None}
    return encoded | {name: row[name] for name in KEPT_COLUMNS if name in row}
