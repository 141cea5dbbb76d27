# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Teaches the two towers of a small model from per-moment labels, before they are frozen.

The paper's towers come pre-trained. A model trained from nothing needs the same start: trained jointly from random
weights, connector and LLM sit on a plateau, because nothing yet tells a red circle from a blue star.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, TypeVar, cast

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.processing.media_names_favor import MEDIA_KINDS

from ..decoded_clips import DecodedClip
from ..muon import add_muon
from ..recipe_sections import TowerPretraining
from .picture_augmentation import recolour, shift

NOT_LABELLED = -100
Kind = TypeVar("Kind", str, tuple[str, ...])  # of samples that are drawn equally often


class SoundEvent(TypedDict):
    """One sound, from `start` to `end` in seconds; `word` if it is spoken."""

    kind: str
    word: str | None
    start: float
    end: float


class SpokenWord(TypedDict, total=False):
    """One word; `drowned`: by noise."""

    drowned: bool


class GroundTruth(TypedDict, total=False):
    """What is heard in a clip: all of it as `events`; of speech the `words`, one an event."""

    events: list[SoundEvent]
    words: list[SpokenWord]


@dataclass
class LabelledScene:
    """
    A decoded clip, and what its line of the scenes file says of it.

    Args:
        clip: with pictures, sound or both.
        labels: by name, lists with a label for each picture.
        truth: of its sound.
    """

    clip: DecodedClip
    labels: Mapping[str, Sequence[str | None]]
    truth: GroundTruth


def pretrain_towers(
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    scenes: list[LabelledScene],
    instructions: list[str],
    settings: TowerPretraining,
    seed: int,
) -> dict[str, float]:
    """Trains the vision tower with its Q-Former, then the audio tower; returns the final training accuracies.

    Args:
        settings: the recipe's `tower_pretraining` section.
        instructions: questions of the training data; each picture is shown with a random one, so that the Q-Former
            meets them.
    """
    generator = torch.Generator().manual_seed(seed)
    visual = train_visual_tower(model, processor, scenes, instructions, settings, generator)
    audio = train_audio_tower(model, scenes, settings, generator)
    return {**visual, **audio}


def train_visual_tower(
    model: FavorForConditionalGeneration,
    processor: FavorProcessor,
    scenes: list[LabelledScene],
    instructions: list[str],
    settings: TowerPretraining,
    generator: torch.Generator,
) -> dict[str, float]:
    """Vision tower and visual Q-Former learn every label that a single picture has, read from all queries."""
    augmentation = settings.augmentation
    seen = [(s.clip.pictures, s.labels) for s in scenes if s.clip.pictures is not None]
    pictures = torch.from_numpy(np.concatenate([clip for clip, _ in seen]))
    names = settings.visual_labels
    targets, sizes = {}, {}
    for name in names:
        values = [value for clip, labels in seen for value in labels.get(name, [NOT_LABELLED] * len(clip))]
        targets[name], sizes[name] = label_indices(values)
    tokens = processor.qformer_tokenizer(instructions, padding=True, truncation=True, return_tensors="pt")
    tower, qformer = model.model.vision_tower, cast(nn.Module, model.model.visual_qformer)
    width = model.config.qformer_config.hidden_size * model.config.num_visual_query_tokens
    heads = nn.ModuleDict({name: nn.Linear(width, sizes[name]) for name in names})

    steps_made = itertools.count()

    def loss_of(rows: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        on = next(steps_made) >= augmentation.after_steps
        shown = shift(pictures[rows], augmentation.shift if on else 0, generator)
        shown, mixed = recolour(shown, augmentation.recoloured if on else 0.0, generator)
        pixels = processor.video_processor([shown], return_tensors="pt")["pixel_values_videos"][0]
        question = torch.randint(len(instructions), (len(rows),), generator=generator)
        states = tower(pixel_values=pixels).last_hidden_state
        vectors = qformer(states, tokens["input_ids"][question], tokens["attention_mask"][question])
        told = {name: targets[name][rows] for name in names}
        for name in augmentation.colour_labels:
            told[name] = told[name].masked_fill(mixed, NOT_LABELLED)
        return classify({name: (heads[name](vectors.flatten(1)), told[name]) for name in names})

    # As often one set of labels as another: videos have many more pictures than stills.
    kinds = [tuple(name for name in names if name in labels) for clip, labels in seen for _ in clip]
    batches = balanced_batches(kinds, settings.visual_batch_size, generator)
    layers = nn.ModuleList([tower, qformer])
    rates = settings.learning_rate, settings.muon_learning_rate
    return fit("visual tower", layers, heads, loss_of, batches, settings.visual_steps, *rates)


def train_audio_tower(
    model: FavorForConditionalGeneration,
    scenes: list[LabelledScene],
    settings: TowerPretraining,
    generator: torch.Generator,
) -> dict[str, float]:
    """The audio tower learns which sound is heard at each of its output vectors."""
    heard = [s for s in scenes if s.clip.log_mel is not None]
    log_mel = torch.from_numpy(np.concatenate([s.clip.log_mel for s in heard]))  # one chunk per scene
    tower, rate = model.model.audio_tower, model.config.audio_encoder_rate
    names = sorted({event_name(e) for s in heard for e in s.truth["events"]})
    targets = torch.stack(
        [sound_targets(s, names, rate, model.config.audio_config.max_source_positions) for s in heard]
    )
    head = nn.Linear(model.config.connector_config.audio_hidden_size, len(names) + 1)

    def loss_of(rows: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        states = tower(log_mel[rows].float()).last_hidden_state  # (batch, vectors, width)
        return classify({"sound": (head(states).flatten(0, 1), targets[rows].flatten())})

    batches = random_batches(len(heard), settings.audio_batch_size, generator)
    rates = settings.learning_rate, settings.muon_learning_rate
    return fit("audio tower", tower, head, loss_of, batches, settings.audio_steps, *rates)


def fit(
    name: str,
    layers: nn.Module,
    heads: nn.Module,
    loss_of: Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, float]]],
    batches: Iterator[torch.Tensor],
    steps: int,
    learning_rate: float,
    muon_learning_rate: float | None = None,
) -> dict[str, float]:
    """Trains with a one-cycle rate; returns the accuracies averaged over the last 50 steps.

    AdamW trains all weights at `learning_rate`. With `muon_learning_rate` the weight matrices of `layers`, but not
    those of `heads`, are trained by Muon at that rate.
    """
    parameters = [weight for part in (layers, heads) for weight in part.parameters() if weight.requires_grad]
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01)
    if muon_learning_rate:
        optimizer = add_muon(optimizer, layers, muon_learning_rate, weight_decay=0.01)
    rates = [group["lr"] for group in optimizer.param_groups]  # two with Muon, which has no betas to cycle
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps, pct_start=0.1, cycle_momentum=len(rates) == 1
    )
    recent: list[dict[str, float]] = []
    progress = tqdm(range(steps), desc=name)
    for _ in progress:
        loss, accuracies = loss_of(next(batches))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        recent = [*recent[-49:], accuracies]
        progress.set_postfix({key: f"{np.nanmean([r[key] for r in recent]):.3f}" for key in accuracies})
    return {key: float(np.nanmean([r[key] for r in recent])) for key in recent[-1]}


def classify(outputs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, dict[str, float]]:
    """Summed cross-entropy, and the accuracy of each label, over what is labelled."""
    loss, accuracies = 0.0, {}
    for name, (logits, target) in outputs.items():
        labelled = target != NOT_LABELLED
        count = labelled.sum().clamp(min=1)
        loss = loss + nn.functional.cross_entropy(logits, target, ignore_index=NOT_LABELLED, reduction="sum") / count
        accuracies[name] = (logits.argmax(-1)[labelled] == target[labelled]).float().mean().item()
    return loss, accuracies


def label_indices(values: list[str | int | None]) -> tuple[torch.Tensor, int]:
    """Class indices in alphabetical order; None is a class of its own, the last."""
    names = sorted({value for value in values if isinstance(value, str)})
    index = {name: i for i, name in enumerate(names)} | {None: len(names), NOT_LABELLED: NOT_LABELLED}
    return torch.tensor([index[value] for value in values]), len(names) + 1


def event_name(event: SoundEvent) -> str:
    return event["word"] or event["kind"]


def sound_targets(scene: LabelledScene, names: list[str], rate: float, vectors: int) -> torch.Tensor:
    """(vectors,) class of the sound at each audio vector, 0: silence, -100: beyond the clip, or drowned by noise."""
    target = torch.full((vectors,), NOT_LABELLED)
    target[: scene.clip.audio_vectors] = 0
    truth = scene.truth
    drowned = [word.get("drowned", False) for word in truth.get("words", ())] or [False] * len(truth["events"])
    for event, unheard in zip(truth["events"], drowned, strict=True):
        label = NOT_LABELLED if unheard else names.index(event_name(event)) + 1
        target[round(event["start"] * rate) : round(event["end"] * rate)] = label
    return target


def random_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches of row indices in random order, epoch after epoch."""
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order.split(batch_size)


def balanced_batches(kinds: Sequence[Kind], batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches of row indices without end, each kind drawn equally often on average."""
    place_of = {kind: place for place, kind in enumerate(sorted(set(kinds)))}
    places, count = torch.tensor([place_of[kind] for kind in kinds]), len(place_of)
    rows_of_kind = [torch.nonzero(places == place)[:, 0] for place in range(count)]
    while True:
        drawn = torch.randint(count, (batch_size,), generator=generator)
        shares = torch.rand(batch_size, generator=generator)
        rows = (rows_of_kind[kind] for kind in drawn)
        yield torch.stack([own[int(share * len(own))] for own, share in zip(rows, shares, strict=True)])


def label_scenes(path: str | Path, clips: Mapping[tuple, DecodedClip], names: list[str]) -> list[LabelledScene]:
    """Joins a scenes file of AVEB-mini with the decoded clips that it describes; other scenes are left out.

    Args:
        path: of the scenes file, one JSON object per line.
        clips: by the media columns of their samples.
        names: of the lists that hold a label for each picture.

    Raises `ValueError` if a list has another number of labels than the clip has pictures, or no scene was decoded.
    """
    path = Path(path)
    by_source = {next(source for source in key[:3] if source is not None): clip for key, clip in clips.items()}
    scenes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        labels = json.loads(line)
        source = next(labels[kind] for kind in MEDIA_KINDS if labels.get(kind))
        clip = by_source.get(str((path.parent / source).resolve()))
        if clip is None:
            continue
        pictures = 0 if clip.pictures is None else len(clip.pictures)
        wrong = [name for name in names if pictures and len(labels.get(name, clip.pictures)) != pictures]
        if wrong:
            raise ValueError(
                f"{path}: {source} has {pictures} pictures, but {len(labels[wrong[0]])} labels of {wrong[0]}."
            )
        shown = {name: labels[name] for name in names if name in labels}
        scenes.append(LabelledScene(clip, shown, labels.get("ground_truth", {})))
    if not scenes:
        raise ValueError(f"{path}: none of its scenes is in the training data.")
    return scenes
