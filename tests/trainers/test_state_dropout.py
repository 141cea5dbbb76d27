# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Channels that are left out of encoder states are the same throughout an item, and the rest makes up for them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from favor.trainers.state_dropout import drop_channels

CHANNELS = {"visual": 64, "audio": 96}


def states_of(items: int, steps: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    visual = torch.rand(items, steps, 4, CHANNELS["visual"], generator=generator) + 1.0
    audio = torch.rand(items, 5 * steps, CHANNELS["audio"], generator=generator) + 1.0
    return {"visual": visual, "audio": audio, "num_visual_frames": torch.full((items,), steps)}


@given(items=st.integers(1, 4), steps=st.integers(0, 3), share=st.floats(0.0, 0.9), seed=st.integers(0, 2**63 - 1))
def test_a_channel_is_there_for_all_of_an_item_or_for_none(items, steps, share, seed):
    states = states_of(items, steps)
    dropped, again = (drop_channels(states, share, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert dropped["num_visual_frames"] is states["num_visual_frames"]
    for name, channels in CHANNELS.items():
        assert torch.equal(dropped[name], again[name])
        found, given_ = (each[name].reshape(items, -1, channels) for each in (dropped, states))
        for item in range(items):
            whole = torch.isclose(found[item], given_[item] / (1 - share)).all(0)
            none = (found[item] == 0).all(0)
            assert (whole | none).all()


def test_as_many_are_left_out_as_was_asked_for_and_other_ones_of_each_item():
    states = states_of(50, 1)
    assert torch.equal(drop_channels(states, 0.0, torch.Generator())["audio"], states["audio"])
    audio = drop_channels(states, 0.3, torch.Generator().manual_seed(1))["audio"]
    missing = (audio == 0).all(1)  # (items, channels)
    assert abs(missing.float().mean() - 0.3) < 0.03
    assert len(missing.unique(dim=0)) == 50
    assert abs(audio.mean() - states["audio"].mean()) < 0.03


def test_a_stream_that_none_has_is_left_out():
    audio = torch.ones(2, 3, 8, dtype=torch.bfloat16)
    dropped = drop_channels({"audio": audio}, 0.5, torch.Generator())
    assert set(dropped) == {"audio"} and dropped["audio"].dtype == torch.bfloat16
