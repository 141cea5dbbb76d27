# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sorted steps hold the same samples as unsorted ones."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from favor.trainers.step_length_sampler import StepLengthSampler


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 16), st.integers(0, 5))
def test_each_step_is_sorted_and_every_sample_comes_once(lengths, step_size, seed):
    sampler = StepLengthSampler(lengths, step_size, seed)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths)))
    expected = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).split(step_size)
    for start, step in zip(range(0, len(order), step_size), expected, strict=True):
        chosen = order[start : start + step_size]
        assert sorted(chosen) == sorted(step.tolist())
        assert [lengths[i] for i in chosen] == sorted((lengths[i] for i in chosen), reverse=True)


def test_epochs_differ_and_repeat():
    sampler = StepLengthSampler(list(range(40)), 8, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_sorting_costs_less_padding():
    lengths = [10, 100] * 40
    sampler = StepLengthSampler(lengths, step_size=16, seed=0)
    order = [lengths[index] for index in sampler]

    def padded(order, size=4):
        return sum(max(order[i : i + size]) * size for i in range(0, len(order), size))

    assert padded(order) < 0.8 * padded(lengths)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=90), st.integers(1, 8), st.integers(2, 5), st.integers(0, 5))
def test_steps_of_a_group_hold_samples_of_similar_length(lengths, step_size, group_steps, seed):
    order = list(StepLengthSampler(lengths, step_size, seed, group_steps))
    assert sorted(order) == list(range(len(lengths)))
    size = step_size * group_steps
    drawn = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).split(size)
    for start, group in zip(range(0, len(order), size), drawn, strict=True):
        chosen = order[start : start + size]
        assert sorted(chosen) == sorted(group.tolist())
        steps = [[lengths[i] for i in chosen[at : at + step_size]] for at in range(0, len(chosen), step_size)]
        steps.sort(key=lambda step: (step[0], step[-1]), reverse=True)
        assert [length for step in steps for length in step] == sorted((lengths[i] for i in group), reverse=True)


def test_the_steps_of_a_group_come_in_random_order():
    lengths = list(range(1000))
    order = list(StepLengthSampler(lengths, step_size=10, seed=0, group_steps=50))
    first = [order[at] for at in range(0, 500, 10)]
    assert first not in (sorted(first), sorted(first, reverse=True))
