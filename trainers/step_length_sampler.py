# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Orders samples so that micro-batches of an optimisation step, or whole steps, hold samples of similar length."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler


class StepLengthSampler(Sampler[int]):
    """
    A random permutation in which the samples of `group_steps` optimisation steps at a time are sorted by length.

    In groups of one step, a step still sees a random mixture, so the cross-entropy's gradient is that of unsorted
    training; only padding among its micro-batches is saved. In larger groups whole steps hold samples of similar
    length, which saves more, and these steps follow one another at random. Their samples are then of fewer kinds:
    compare before relying on it. The order is the same however processes and micro-batches share a step.

    Args:
        lengths: of each sample, in tokens; or a function of the epoch that tells them, for mixtures whose samples
            change with it.
        step_size: samples an optimisation step, over all micro-batches and processes.
        seed: of the permutation; it changes with the epoch.
        group_steps: steps that are sorted together.
    """

    def __init__(
        self, lengths: Sequence[int] | Callable[[int], Sequence[int]], step_size: int, seed: int, group_steps: int = 1
    ):
        self.lengths, self.step_size, self.group_steps = lengths, step_size, group_steps
        self.seed, self.epoch = seed, 0
        self.size = len(self.epoch_lengths())

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        lengths = self.epoch_lengths()
        order = torch.randperm(self.size, generator=generator)
        for group in order.split(self.step_size * self.group_steps):
            steps = torch.tensor(sorted(group.tolist(), key=lengths.__getitem__, reverse=True)).split(self.step_size)
            whole = len(group) // self.step_size  # a step that is not stays at the end
            places = range(whole) if self.group_steps == 1 else torch.randperm(whole, generator=generator).tolist()
            for place in (*places, *range(whole, len(steps))):
                yield from steps[place].tolist()

    def epoch_lengths(self) -> Sequence[int]:
        """Of this epoch's samples, in tokens."""
        return self.lengths(self.epoch) if callable(self.lengths) else self.lengths

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate at the start of each epoch."""
        self.epoch = epoch
