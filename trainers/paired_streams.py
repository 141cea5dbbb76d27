# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Shows the stills of a batch beside its sounds, so that a connector learns to say both streams at once.

Transcripts and names are had for sound alone and pictures alone; clips with both are few. Encoder states are kept for
each stream, and a connector reads them together only in its windows: any sound goes with any pictures, at no cost.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch

CHANGE = 0.3  # share of the windows at which another picture comes


@dataclass
class PairedStreams:
    """
    The connector's arguments, and which answer tells what each window shows.

    Attributes:
        states: the connector's arguments of B items.
        shown: of each item the items whose answers name its pictures: one for each window, or one for all of them;
            empty without pictures, None where the answer is about the sound and nothing tells what is seen.
    """

    states: Mapping[str, torch.Tensor]
    shown: list[list[int] | None]


def own_streams(states: Mapping[str, torch.Tensor]) -> PairedStreams:
    """What items show by themselves: the answer of one without sound is about its pictures, else about the sound."""
    shown: list[list[int] | None] = []
    for item, (pictures, sound) in enumerate(zip(*stream_lengths(states), strict=True)):
        shown.append([] if not pictures else None if sound else [item])
    return PairedStreams(states, shown)


def pair_streams(
    states: Mapping[str, torch.Tensor], window_vectors: int, share: float, rng: random.Random
) -> PairedStreams:
    """Shows stills of the batch beside a share of its items that have sound alone.

    Args:
        states: the connector's arguments: `visual` (B, T, p, d), `audio` (B, S, A) and the lengths of both.
        window_vectors: sound vectors of a window of one frame.
        share: of the items with sound alone that are shown something, from 0 to 1.
        rng: which, and when another picture comes.
    """
    own = own_streams(states)
    pictures, sound = stream_lengths(states)
    stills = [item for item, count in enumerate(pictures) if count == 1 and not sound[item]]
    chosen = [item for item, count in enumerate(pictures) if not count and sound[item] and rng.random() < share]
    if not stills or not chosen:
        return own
    for item in chosen:
        frames = -(-sound[item] // window_vectors)
        shown = [rng.choice(stills)]
        while len(shown) < frames:
            shown.append(rng.choice(stills) if rng.random() < CHANGE else shown[-1])
        own.shown[item] = shown
    longest = max(states["visual"].shape[1], *(len(own.shown[item] or []) for item in chosen))
    visual = torch.nn.functional.pad(states["visual"], (0, 0, 0, 0, 0, longest - states["visual"].shape[1]))
    counts = states["num_visual_frames"].clone()
    for item in chosen:
        shown = own.shown[item] or []
        visual[item, : len(shown)] = states["visual"][shown, 0]
        counts[item] = len(shown)
    return PairedStreams({**states, "visual": visual, "num_visual_frames": counts}, own.shown)


def stream_lengths(states: Mapping[str, torch.Tensor]) -> tuple[list[int], list[int]]:
    """Pictures and sound vectors of each item; a stream that none has is of length 0."""
    items = len(next(iter(states.values())))
    none = torch.zeros(items, dtype=torch.int64)
    pictures, sound = states.get("num_visual_frames", none), states.get("num_audio_vectors", none)
    return pictures.tolist(), sound.tolist()


__all__ = ["PairedStreams", "own_streams", "pair_streams"]
