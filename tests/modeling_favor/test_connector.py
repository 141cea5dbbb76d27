# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The connector: what stands beside what in time, windows, missing streams, ragged batches, the diversity loss."""

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from favor.modeling_favor import FavorCausalQFormerConfig, FavorConnector, connector_favor, encoder_passes_favor
from favor.modeling_favor.connector_favor import FavorConnectorOutput, diversity_loss

from .tiny_models import randomized

VISUAL_WIDTH, AUDIO_WIDTH, QUERIES = 6, 7, 3
CAUSAL = ("previous", "released", "none")
LENGTHS = st.tuples(st.integers(0, 7), st.integers(0, 15))  # pictures, audio vectors


class Sizes(NamedTuple):
    visual: int  # vectors per picture
    audio: int  # vectors a synchronised frame
    window: int | None


SIZES = st.builds(Sizes, st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2, 3, None]))
MORE_VISUAL = Sizes(3, 2, 3)


def tiny_connector(sizes: Sizes = MORE_VISUAL, **values) -> FavorConnector:
    config = FavorCausalQFormerConfig(
        hidden_size=8,
        num_attention_heads=2,
        intermediate_size=16,
        num_query_tokens=QUERIES,
        visual_hidden_size=VISUAL_WIDTH,
        audio_hidden_size=AUDIO_WIDTH,
        text_hidden_size=10,
        max_position_embeddings=64,
        visual_vectors_per_frame=sizes.visual,
        audio_vectors_per_frame=sizes.audio,
        window_frames=sizes.window,
        **values,
    )
    torch.manual_seed(0)
    return randomized(FavorConnector._from_config(config)).eval()


def streams(lengths: list[tuple[int, int]], sizes: Sizes = MORE_VISUAL) -> dict[str, torch.Tensor]:
    """A batch whose rows have the given lengths; beyond them it holds noise, not zeros."""
    generator = torch.Generator().manual_seed(3)
    pictures, vectors = (max(column) for column in zip(*lengths, strict=True))
    return {
        "visual": torch.randn(len(lengths), pictures, sizes.visual, VISUAL_WIDTH, generator=generator),
        "audio": torch.randn(len(lengths), vectors, AUDIO_WIDTH, generator=generator),
        "num_visual_frames": torch.tensor([length for length, _ in lengths]),
        "num_audio_vectors": torch.tensor([length for _, length in lengths]),
    }


def single(batch: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    """One item cut to its own length, without counts; a stream that it lacks is left out."""
    pictures, vectors = int(batch["num_visual_frames"][row]), int(batch["num_audio_vectors"][row])
    item = {}
    if pictures:
        item["visual"] = batch["visual"][row : row + 1, :pictures]
    if vectors:
        item["audio"] = batch["audio"][row : row + 1, :vectors]
    return item


def run(connector: FavorConnector, inputs: dict[str, torch.Tensor]) -> FavorConnectorOutput:
    with torch.no_grad():
        return connector(**inputs)


def windows_read(connector: FavorConnector, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """All windows and their frame masks, as the connector cuts them."""
    read = []
    method = connector.read_windows
    connector.read_windows = lambda *arguments: read.append(arguments) or method(*arguments)
    run(connector, inputs)
    connector.read_windows = method
    return read[0]


def windows_computed(connector: FavorConnector, inputs: dict[str, torch.Tensor]) -> list[tuple[int, int]]:
    """(windows, frames of each) of every call of the causal Q-Former."""
    shapes = []
    hook = connector.causal_qformer.register_forward_pre_hook(
        lambda _module, arguments: shapes.append(tuple(arguments[0].shape[:2]))
    )
    run(connector, inputs)
    hook.remove()
    return shapes


def plain_windows(
    connector: FavorConnector, item: dict[str, torch.Tensor], sizes: Sizes, use: str = "audio_visual"
) -> list[torch.Tensor]:
    """Eq. 1 for one item, one vector at a time: its windows, each a (frames, p, 2 d) tensor without padding."""
    weight, bias = connector.audio_projection.weight, connector.audio_projection.bias
    visual = item.get("visual", torch.zeros(1, 0, sizes.visual, VISUAL_WIDTH))[0]
    audio = item.get("audio", torch.zeros(1, 0, AUDIO_WIDTH))[0]
    frames = max(len(visual), math.ceil(len(audio) / sizes.audio))
    features = torch.zeros(frames, max(sizes.visual, sizes.audio), 2 * VISUAL_WIDTH)
    for frame in range(frames):
        for place in range(features.shape[1]):
            if use != "audio" and frame < len(visual) and place < sizes.visual:
                features[frame, place, :VISUAL_WIDTH] = visual[frame, place]
            heard = frame * sizes.audio + place
            if use != "visual" and place < sizes.audio and heard < len(audio):
                features[frame, place, VISUAL_WIDTH:] = weight @ audio[heard] + bias
    return list(features.split(sizes.window or max(frames, 1)))


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(LENGTHS, min_size=1, max_size=4).filter(lambda items: any(map(any, items))), sizes=SIZES)
@example(lengths=[(4, 0), (0, 5), (2, 9)], sizes=Sizes(3, 2, 3))
@example(lengths=[(0, 0), (1, 1)], sizes=Sizes(1, 3, None))
def test_pictures_and_sounds_of_the_same_moment_stand_side_by_side(lengths, sizes):
    connector = tiny_connector(sizes)
    batch = streams(lengths, sizes)
    with torch.no_grad():
        expected = [
            window
            for row in range(len(lengths))
            for window in plain_windows(connector, single(batch, row), sizes)
            if len(window)
        ]
    windows, frame_mask = windows_read(connector, batch)
    assert len(windows) == len(expected)
    for window, mask, plain in zip(windows, frame_mask, expected, strict=True):
        assert mask.tolist() == [True] * len(plain) + [False] * (len(mask) - len(plain))
        torch.testing.assert_close(window[mask], plain)
        assert not window[~mask].any()


@pytest.mark.parametrize("modalities", ["audio_visual", "audio", "visual"])
def test_one_modality_masks_the_other_with_exact_zeros(modalities):
    connector = tiny_connector(modalities=modalities)
    batch = streams([(5, 8), (2, 12)])
    with torch.no_grad():
        expected = [
            window
            for row in range(2)
            for window in plain_windows(connector, single(batch, row), MORE_VISUAL, modalities)
        ]
    windows, frame_mask = windows_read(connector, batch)
    for window, mask, plain in zip(windows, frame_mask, expected, strict=True):
        torch.testing.assert_close(window[mask], plain)
    visual, audio = windows.split(VISUAL_WIDTH, dim=-1)
    assert visual.any() == (modalities != "audio")
    assert audio.any() == (modalities != "visual")


def test_wide_pictures_are_projected_and_missing_ones_are_exact_zeros():
    connector = tiny_connector(stream_size=4)
    assert connector.config.feature_size == 8
    inputs = streams([(2, 4), (0, 4), (2, 0)])
    features = connector.stream_features(*inputs.values())
    pictures, sound = connector.visual_projection, connector.audio_projection
    torch.testing.assert_close(features[0][0], pictures(inputs["visual"][0]))
    torch.testing.assert_close(features[1][0, :, :2], sound(inputs["audio"][0]).unflatten(0, (-1, 2)))
    assert features[0][1].eq(0).all() and features[1][2].eq(0).all()
    assert connector(**inputs).embeddings.isfinite().all()
    # Without it there is no such module: the paper's connector, and the names in its checkpoints.
    assert tiny_connector().visual_projection is None
    assert not [name for name in tiny_connector().state_dict() if "visual_projection" in name]


def test_a_missing_sound_is_exact_zeros_without_the_projections_bias():
    connector = tiny_connector()
    batch = streams([(4, 0), (4, 8)])
    assert connector.audio_projection.bias.abs().min() > 0
    windows, _ = windows_read(connector, batch)
    silent, heard = windows.unflatten(0, (2, 2))[..., VISUAL_WIDTH:]
    assert not silent.any()
    assert heard.any()


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(LENGTHS, min_size=2, max_size=4).filter(lambda items: any(map(any, items))),
    sizes=SIZES,
    causal_attention=st.sampled_from(CAUSAL),
    synchronize=st.booleans(),
)
@example(lengths=[(4, 0), (0, 5), (7, 15)], sizes=Sizes(2, 2, None), causal_attention="released", synchronize=True)
@example(lengths=[(4, 0), (0, 5), (7, 15)], sizes=Sizes(2, 2, None), causal_attention="released", synchronize=False)
@example(lengths=[(0, 0), (3, 9)], sizes=Sizes(2, 1, 2), causal_attention="previous", synchronize=True)
def test_items_of_a_ragged_batch_come_out_as_alone(lengths, sizes, causal_attention, synchronize):
    connector = tiny_connector(sizes, causal_attention=causal_attention, synchronize=synchronize)
    batch = streams(lengths, sizes)
    together = run(connector, batch)
    for row, (pictures, vectors) in enumerate(lengths):
        frames = math.ceil(vectors / sizes.audio)
        alone_streams = [max(pictures, frames)] if synchronize else [pictures, frames]
        count = sum(math.ceil(n / sizes.window) if sizes.window else min(n, 1) for n in alone_streams)
        assert together.num_windows[row] == count
        assert not together.query_states[row, count:].any()
        assert not together.embeddings[row, count * QUERIES :].any()
        if count:
            alone = run(connector, single(batch, row))
            torch.testing.assert_close(together.query_states[row, :count], alone.query_states[0])
            torch.testing.assert_close(together.embeddings[row, : count * QUERIES], alone.embeddings[0])


@pytest.mark.parametrize("synchronize", [True, False])
@pytest.mark.parametrize("window", [2, None])
def test_how_far_the_batch_is_padded_does_not_matter(window, synchronize):
    sizes = Sizes(3, 2, window)
    connector = tiny_connector(sizes, causal_attention="released", synchronize=synchronize)
    batch = streams([(3, 8), (1, 0)], sizes)
    padded = dict(batch)
    padded["visual"] = torch.cat([batch["visual"], torch.randn(2, 4, 3, VISUAL_WIDTH)], 1)
    padded["audio"] = torch.cat([batch["audio"], torch.randn(2, 9, AUDIO_WIDTH)], 1)
    expected, actual = run(connector, batch), run(connector, padded)
    for name in ("query_states", "embeddings", "num_windows", "diversity_loss"):
        torch.testing.assert_close(actual[name], expected[name])


def test_without_synchronisation_each_stream_is_read_alone_and_pictures_come_first():
    sizes = Sizes(2, 2, 2)
    apart, together = tiny_connector(sizes, synchronize=False), tiny_connector(sizes)
    batch = streams([(3, 10)], sizes)
    visual, audio = (run(together, {name: batch[name]}) for name in ("visual", "audio"))
    expected = torch.cat([visual.embeddings, audio.embeddings], 1)
    assert expected.shape[1] == (2 + 3) * QUERIES
    torch.testing.assert_close(run(apart, batch).embeddings, expected)
    assert run(together, batch).embeddings.shape[1] == 3 * QUERIES


def test_embeddings_are_projected_query_states_windows_in_order():
    connector = tiny_connector()
    outputs = run(connector, streams([(7, 0)]))
    with torch.no_grad():
        expected = torch.cat([connector.language_projection(window) for window in outputs.query_states[0]])
    torch.testing.assert_close(outputs.embeddings[0], expected)


def cosine_sum(states: torch.Tensor) -> float:
    """Eq. 4 for one window: cosines of all ordered pairs of different queries."""
    total = 0.0
    for i, first in enumerate(states.double()):
        for j, second in enumerate(states.double()):
            if i != j:
                total += float(first @ second / (first.norm() * second.norm()))
    return total


@settings(max_examples=25, deadline=None)
@given(windows=st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any), queries=st.integers(2, 4))
def test_diversity_loss_is_equation_4(windows, queries):
    states = torch.randn(sum(windows), queries, 5, generator=torch.Generator().manual_seed(sum(windows)))
    items = torch.tensor([item for item, count in enumerate(windows) for _ in range(count)])
    total = sum(cosine_sum(window) for window in states)
    pairs = len(states) * queries * (queries - 1)
    mean = diversity_loss(states, items, len(windows), "mean")
    assert mean.item() == pytest.approx(total / pairs, abs=1e-5)
    summed = diversity_loss(states, items, len(windows), "sum")
    assert summed.item() == pytest.approx(total / len(windows), abs=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_connector_applies_the_diversity_loss_to_its_query_states(reduction):
    outputs = run(tiny_connector(diversity_loss_reduction=reduction), streams([(7, 0), (2, 4)]))
    sums = [cosine_sum(window) for row, count in enumerate((3, 1)) for window in outputs.query_states[row, :count]]
    expected = sum(sums) / (len(sums) * QUERIES * (QUERIES - 1)) if reduction == "mean" else sum(sums) / 2
    assert outputs.diversity_loss.item() == pytest.approx(expected, abs=1e-5)


def test_one_query_has_nothing_to_differ_from():
    assert diversity_loss(torch.randn(4, 1, 5), torch.arange(4), 4) == 0


def test_too_long_a_single_window_says_how_long_it_may_be():
    connector = tiny_connector(Sizes(3, 2, None))
    run(connector, streams([(21, 0)]))
    with pytest.raises(ValueError, match="66 vectors .* max_position_embeddings 64.*window_frames"):
        run(connector, streams([(22, 0)]))


def test_another_number_of_vectors_a_picture_is_refused():
    with pytest.raises(ValueError, match="has 4 vectors per frame.* 3.*num_visual_query_tokens"):
        run(tiny_connector(), {"visual": torch.randn(1, 2, 4, VISUAL_WIDTH)})


def test_no_stream_at_all_is_refused():
    with pytest.raises(ValueError, match="neither `visual` nor `audio`"):
        tiny_connector()()


@pytest.mark.parametrize(
    ("direction", "shapes"), [("previous", [(1, 1), (2, 2), (2, 3)]), ("released", [(5, 3)]), ("none", None)]
)
def test_padding_of_windows_is_not_computed(direction, shapes):
    """Windows of 3, 3 and 2 frames, one of 2 and a picture; in the released direction padding is seen."""
    batch = streams([(8, 3), (2, 0), (1, 1)])
    connector = tiny_connector(causal_attention=direction)
    assert windows_computed(connector, batch) == (shapes or [(1, 1), (2, 2), (2, 3)])


def test_with_zero3_windows_go_together(monkeypatch):
    """Where every process must call a module equally often, whatever the lengths of its clips."""
    connector, batch = tiny_connector(), streams([(8, 3), (2, 0), (1, 1)])
    expected = run(connector, batch).embeddings
    monkeypatch.setattr(connector_favor, "is_deepspeed_zero3_enabled", lambda: True)
    assert windows_computed(connector, batch) == [(5, 3)]
    torch.testing.assert_close(run(connector, batch).embeddings, expected)


def test_with_zero3_encoders_read_all_at_once(monkeypatch):
    calls = []

    def encode(rows):
        calls.append(len(rows))
        return 2 * rows

    assert encoder_passes_favor.in_passes(encode, 2, torch.arange(5)).tolist() == [0, 2, 4, 6, 8]
    monkeypatch.setattr(encoder_passes_favor, "is_deepspeed_zero3_enabled", lambda: True)
    assert encoder_passes_favor.in_passes(encode, 2, torch.arange(5)).tolist() == [0, 2, 4, 6, 8]
    assert calls == [2, 2, 1, 5]


@pytest.mark.parametrize("direction", CAUSAL)
@pytest.mark.parametrize("window_frames", [3, None])
def test_windows_of_other_lengths_change_nothing(direction, window_frames):
    """Nor for gradients, and every item keeps its place."""
    lengths = [(8, 3), (0, 0), (2, 0), (1, 1), (6, 15)]
    sizes = Sizes(3, 2, window_frames)
    connector, batch = tiny_connector(sizes, causal_attention=direction), streams(lengths, sizes)
    together = connector(**batch)
    together.query_states.square().sum().backward()
    gradient = connector.audio_projection.weight.grad.clone()
    connector.zero_grad()
    for row, length in enumerate(lengths):
        if any(length):
            alone = connector(**single(batch, row))
            alone.query_states.square().sum().backward()
            own = together.query_states[row, : alone.query_states.shape[1]]
            torch.testing.assert_close(own, alone.query_states[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, connector.audio_projection.weight.grad, atol=1e-4, rtol=1e-4)


def test_windows_in_passes_are_as_all_at_once(monkeypatch):
    monkeypatch.setattr(connector_favor, "WINDOWS_A_PASS", 2)
    connector, batch = tiny_connector(), streams([(9, 15), (6, 0)])
    at_once = connector(**batch)
    assert windows_computed(connector, batch) == [(2, 3), (2, 3), (1, 3)]
    torch.testing.assert_close(run(connector, batch).embeddings, at_once.embeddings.detach())
