# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs frozen encoders once over a dataset, so that training reads their outputs instead of files.

The audio tower and the vision tower run once a clip; the instruction-aware visual Q-Former once a question.
"""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tqdm import tqdm

from .decoded_clips import MEDIA_COLUMNS, DecodedClip
from .favor_data_collator import IGNORED_LABEL, media_messages

CLIPS_A_STEP = 16  # bounds memory


class EncodedCollator:
    """
    Collates rows of [`encode_dataset`] into the model's inputs with `encoder_states` in place of pixels and mel
    features.

    Produces `input_ids`, `attention_mask`, `labels` (batch, length), padded on the right, and `encoder_states`
    (see `FavorModel.encode_media`) for the rows that have media.
    """

    def __init__(self, store: "EncoderStates", pad_token_id: int):
        self.store = store
        self.pad_token_id = pad_token_id

    def __call__(self, rows: list[dict]) -> dict[str, Any]:
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        batch = {
            "input_ids": pad(ids, batch_first=True, padding_value=self.pad_token_id),
            "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad(labels, batch_first=True, padding_value=IGNORED_LABEL),
        }
        encoded = [row["encoded"] for row in rows if row["encoded"] >= 0]
        if encoded:
            batch["encoder_states"] = self.store.batch(encoded)
        return batch


class EncoderStates:
    """Encoder outputs in memory, float16: visual vectors by question, sound by clip."""

    def __init__(self) -> None:
        self.visual: list[torch.Tensor | None] = []
        self.audio: list[torch.Tensor | None] = []

    def append(self, visual: torch.Tensor | None, audio: torch.Tensor | None) -> int:
        """Keeps (T, p, d) and (S, A) states, and returns their index."""
        self.visual.append(None if visual is None else visual.half())
        self.audio.append(None if audio is None else audio.half())
        return len(self.visual) - 1

    def batch(self, indices: list[int]) -> dict[str, torch.Tensor]:
        """The connector's arguments for these items; streams that none has are left out."""
        states = {}
        for name, count, stored in (
            ("visual", "num_visual_frames", self.visual),
            ("audio", "num_audio_vectors", self.audio),
        ):
            known = [stored_rows for index in indices if (stored_rows := stored[index]) is not None]
            if not known:
                continue
            nothing = known[0][:0]
            rows = [nothing if (stored_rows := stored[index]) is None else stored_rows for index in indices]
            states[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float()
            states[count] = torch.tensor([len(row) for row in rows])
        return states


@torch.no_grad()
def encode_dataset(
    model: torch.nn.Module, processor: Any, dataset: Dataset, clips: dict[tuple, DecodedClip]
) -> tuple[Dataset, EncodedCollator]:
    """
    Args:
        model: a `FavorForConditionalGeneration` whose encoders stay frozen.
        processor: its `FavorProcessor`.
        dataset: rows of [`load_manifest`], each with at most one audio-visual item.
        clips: its decoded items (see [`decode_clips`]).

    Returns the dataset with `input_ids`, `labels`, `length` and `encoded` (index of its states, -1: none), and its
    collator.
    """
    model.eval()
    rows_of = defaultdict(list)
    for number, key in enumerate(zip(*(dataset[name] for name in MEDIA_COLUMNS), strict=True)):
        rows_of[key].append(number)
    messages = dataset["messages"][:]
    store = EncoderStates()
    columns: dict[str, list] = {name: [None] * len(dataset) for name in ("input_ids", "labels", "encoded")}
    keys = list(rows_of)
    for start in tqdm(range(0, len(keys), CLIPS_A_STEP), desc=f"encoding, {CLIPS_A_STEP} clips a step"):
        chosen = keys[start : start + CLIPS_A_STEP]
        audio = audio_states(model.model, [clips.get(key) for key in chosen])
        questions = [[instruction(messages[row]) for row in rows_of[key]] for key in chosen]
        visual = visual_states(model.model, processor, [clips.get(key) for key in chosen], questions)
        for key, sound, frames_of_questions in zip(chosen, audio, visual, strict=True):
            for row, frames in zip(rows_of[key], frames_of_questions, strict=True):
                counts = [0 if states is None else len(states) for states in (frames, sound)]
                sample = {**dict(zip(MEDIA_COLUMNS, key, strict=True)), "messages": messages[row]}
                columns["encoded"][row] = store.append(frames, sound) if any(counts) else -1
                columns["input_ids"][row], columns["labels"][row] = tokenize_sample(
                    processor, sample, processor.query_token_count(*counts)
                )
    columns["length"] = [len(ids) for ids in columns["input_ids"]]
    if "family" in dataset.column_names:
        columns["family"] = list(dataset["family"])
    return Dataset.from_dict(columns), EncodedCollator(store, processor.tokenizer.pad_token_id)


def audio_states(backbone: torch.nn.Module, clips: list[DecodedClip | None]) -> list[torch.Tensor | None]:
    """(S, A) audio encoder states of each clip that has sound."""
    heard = [clip for clip in clips if clip is not None and clip.log_mel is not None]
    if not heard:
        return [None] * len(clips)
    chunks = torch.from_numpy(np.concatenate([clip.log_mel for clip in heard])).float()
    states = iter(backbone.audio_tower(chunks).last_hidden_state)  # (chunks, vectors, A)
    found = {
        id(clip): torch.cat([next(states) for _ in clip.mel_frames])[: clip.audio_vectors].half() for clip in heard
    }
    return [found.get(id(clip)) for clip in clips]


def visual_states(
    backbone: torch.nn.Module, processor: Any, clips: list[DecodedClip | None], questions: list[list[str]]
) -> list[list[torch.Tensor | None]]:
    """(T, p, d) visual vectors of each clip for each question about it."""
    seen = [clip for clip in clips if clip is not None and clip.pictures is not None]
    if not seen:
        return [[None] * len(asked) for asked in questions]
    pictures = [clip.pictures for clip in seen if clip.pictures is not None]
    pixels = processor.video_processor([np.concatenate(pictures)], return_tensors="pt")["pixel_values_videos"][0]
    patches = iter(backbone.vision_tower(pixel_values=pixels).last_hidden_state.split([len(p) for p in pictures]))
    states: list[list[torch.Tensor | None]] = []
    for clip, asked in zip(clips, questions, strict=True):
        if clip is None or clip.pictures is None:
            states.append([None] * len(asked))
        else:
            vectors = question_states(backbone, processor, next(patches), asked)
            states.append([rows[torch.from_numpy(clip.frame_indices)] for rows in vectors])
    return states


def question_states(
    backbone: torch.nn.Module, processor: Any, patch_states: torch.Tensor, questions: list[str]
) -> list[torch.Tensor]:
    """(F, p, d) vectors of one clip's pictures for each question."""
    if backbone.visual_qformer is None:
        return [patch_states] * len(questions)
    if processor.qformer_tokenizer is None:
        return [backbone.visual_qformer(patch_states)] * len(questions)
    tokens = processor.qformer_tokenizer(questions, padding=True, truncation=True, return_tensors="pt")
    pictures = len(patch_states)
    vectors = backbone.visual_qformer(
        patch_states.repeat(len(questions), 1, 1),
        tokens["input_ids"].repeat_interleave(pictures, 0),
        tokens["attention_mask"].repeat_interleave(pictures, 0),
    )
    return list(vectors.unflatten(0, (len(questions), pictures)))


def instruction(messages: list[dict]) -> str:
    """The text of the turn that holds the item, as the processor gives it to the visual Q-Former."""
    return next(turn["content"] for turn in messages if turn["role"] == "user").strip()


def tokenize_sample(processor: Any, sample: dict, placeholders: int) -> tuple[list[int], list[int]]:
    """Token ids with the item's placeholder expanded, and labels on the answers only."""
    tokenized = processor.tokenizer.apply_chat_template(
        media_messages(sample),
        chat_template=processor.chat_template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    media_ids = {processor.video_token_id, processor.image_token_id, processor.audio_token_id}
    input_ids, labels, left = [], [], placeholders
    for token, is_answer in zip(tokenized["input_ids"], tokenized["assistant_masks"], strict=True):
        if token in media_ids:  # an item's first placeholder becomes the whole run, its <audio> nothing
            input_ids += [processor.video_token_id] * left
            labels += [IGNORED_LABEL] * left
            left = 0
        else:
            input_ids.append(token)
            labels.append(token if is_answer else IGNORED_LABEL)
    return input_ids, labels
