# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The causal Q-Former: which frame sees which; the whole module against a plain one written from its description."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from favor.modeling_favor import FavorCausalQFormer, FavorCausalQFormerConfig

from .tiny_models import randomized

DIRECTIONS = ("previous", "released", "none")
P, D = 3, 16  # vectors per frame, feature width
FRAMES = 4  # of a window


def tiny_qformer(causal_attention: str, window_frames: int | None = FRAMES, **values) -> FavorCausalQFormer:
    config = FavorCausalQFormerConfig(
        hidden_size=12,
        num_attention_heads=2,
        intermediate_size=24,
        num_query_tokens=3,
        visual_hidden_size=D // 2,
        max_position_embeddings=40,
        window_frames=window_frames,
        causal_attention=causal_attention,
        **values,
    )
    torch.manual_seed(0)
    return randomized(FavorCausalQFormer._from_config(config)).eval()


def random_windows(windows: int = 3, frames: int = FRAMES, seed: int = 1) -> torch.Tensor:
    return torch.randn(windows, frames, P, D, generator=torch.Generator().manual_seed(seed))


def all_frames(features: torch.Tensor) -> torch.Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def encoded_features(qformer: FavorCausalQFormer, features: torch.Tensor) -> list[torch.Tensor]:
    """(windows, frames, P, D) outputs of each block's causal attention, caught while the whole Q-Former runs."""
    caught = []
    hooks = [
        layer.causal_attention.register_forward_hook(lambda _module, _inputs, output: caught.append(output[0]))
        for layer in qformer.layers
    ]
    with torch.no_grad():
        qformer(features, all_frames(features))
    for hook in hooks:
        hook.remove()
    return [output.unflatten(1, (-1, P)) for output in caught]


def frames_that_change(qformer: FavorCausalQFormer, window: int, frame: int) -> set[tuple[int, int]]:
    """(window, frame) of all frames whose encoding changes with one vector of one frame, the same in every block."""
    features = random_windows()
    other = features.clone()
    other[window, frame, 1] += 1 + random_windows(seed=2)[window, frame, 1]
    places = []
    for before, after in zip(encoded_features(qformer, features), encoded_features(qformer, other), strict=True):
        differs = (before - after).abs().amax(-1) > 1e-6  # (windows, frames, P)
        assert torch.equal(differs.any(-1), differs.all(-1)), "vectors of one frame see each other"
        places.append({tuple(place) for place in differs.any(-1).nonzero().tolist()})
    assert len(places) == 2
    assert places[0] == places[1]
    return places[0]


@pytest.mark.parametrize("frame", range(FRAMES))
def test_papers_direction_a_frame_reaches_itself_and_later_ones_of_its_window(frame):
    assert frames_that_change(tiny_qformer("previous"), 1, frame) == {(1, later) for later in range(frame, FRAMES)}


@pytest.mark.parametrize("frame", range(FRAMES))
def test_released_direction_a_frame_reaches_itself_and_earlier_ones_of_its_window(frame):
    assert frames_that_change(tiny_qformer("released"), 1, frame) == {(1, earlier) for earlier in range(frame + 1)}


def test_without_causal_attention_there_are_no_weights_for_it():
    names = {direction: set(dict(tiny_qformer(direction).named_parameters())) for direction in DIRECTIONS}
    assert names["previous"] == names["released"]
    causal = {name for name in names["previous"] if "causal_attention" in name}
    assert len(causal) == 2 * 5 * 2  # blocks, four projections and a LayerNorm, weight and bias
    assert names["none"] == names["previous"] - causal


def test_every_block_reads_the_original_features():
    qformer = tiny_qformer("previous")
    read = []
    for layer in qformer.layers:
        layer.causal_attention.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    qformer(random_windows(), torch.ones(3, FRAMES, dtype=torch.bool))
    assert torch.equal(*read)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_queries_of_a_window_depend_on_that_window_alone(direction):
    qformer = tiny_qformer(direction)
    features = random_windows().requires_grad_()
    states = qformer(features, all_frames(features)).last_hidden_state
    for window in range(3):
        (gradient,) = torch.autograd.grad(states[window].square().sum(), features, retain_graph=True)
        reached = gradient.abs().amax((2, 3)) > 1e-9  # (windows, frames)
        assert reached[window].all()
        assert reached.sum() == FRAMES


@pytest.mark.parametrize("direction", ["previous", "none"])
def test_padded_frames_of_a_window_do_not_matter(direction):
    qformer = tiny_qformer(direction)
    features, other = random_windows(), random_windows()
    frame_mask = torch.tensor([[True] * FRAMES, [True, True, False, False], [True, False, False, False]])
    other[~frame_mask] = random_windows(seed=3)[~frame_mask]
    with torch.no_grad():
        states, other_states = (qformer(inputs, frame_mask).last_hidden_state for inputs in (features, other))
    torch.testing.assert_close(states, other_states)


def test_released_direction_sees_the_windows_padding_but_not_the_batchs():
    """As the released code does; one window as long as the longest item must not depend on that length, though."""
    features, other = random_windows(), random_windows()
    frame_mask = torch.tensor([[True, True, False, False]] * 3)
    other[~frame_mask] = random_windows(seed=3)[~frame_mask]
    for window_frames, depends in ((FRAMES, True), (None, False)):
        qformer = tiny_qformer("released", window_frames)
        with torch.no_grad():
            states, other_states = (qformer(inputs, frame_mask).last_hidden_state for inputs in (features, other))
        assert ((states - other_states).abs().max() > 1e-3) == depends


def loop_mask(direction: str, frame_mask: torch.Tensor, vectors: int, whole_clip: bool) -> torch.Tensor:
    """(windows, s, s): whether vector `row` may see vector `column`, one pair at a time."""
    windows, frames = frame_mask.shape
    length = frames * vectors
    mask = torch.zeros(windows, length, length, dtype=torch.bool)
    for window in range(windows):
        for row in range(length):
            for column in range(length):
                own, seen = row // vectors, column // vectors
                if direction == "previous":
                    allowed = seen <= own
                else:
                    padding_of_batch = whole_clip and not bool(frame_mask[window, seen])
                    allowed = seen == own or (seen > own and not padding_of_batch)
                mask[window, row, column] = allowed
    return mask


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    vectors=st.integers(1, 4),
    direction=st.sampled_from(["previous", "released"]),
    whole_clip=st.booleans(),
)
def test_causal_mask_is_the_one_built_pair_by_pair(lengths, vectors, direction, whole_clip):
    frames = max(lengths)
    frame_mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    mask = tiny_qformer(direction, None if whole_clip else frames).causal_mask(frame_mask, vectors)
    expected = loop_mask(direction, frame_mask, vectors, whole_clip)
    assert torch.equal(mask[:, 0].expand(expected.shape), expected)


def layer_norm(states: torch.Tensor, weights: dict[str, torch.Tensor], name: str, eps: float) -> torch.Tensor:
    centred = states - states.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def plain_attention(
    queries: torch.Tensor,
    features: torch.Tensor,
    allowed: torch.Tensor,
    weights: dict[str, torch.Tensor],
    name: str,
    eps: float,
    heads: int = 2,
) -> torch.Tensor:
    """(n, width) of one window, one query and one head at a time: attention, residual, LayerNorm."""

    def linear(states: torch.Tensor, part: str) -> torch.Tensor:
        return states @ weights[f"{name}.{part}.weight"].T + weights[f"{name}.{part}.bias"]

    query, key, value = linear(queries, "query"), linear(features, "key"), linear(features, "value")
    width = query.shape[1] // heads
    context = torch.zeros_like(queries)
    for row in range(len(queries)):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            seen = allowed[row].nonzero()[:, 0]
            scores = key[seen, part] @ query[row, part] / math.sqrt(width)
            context[row, part] = torch.softmax(scores, 0) @ value[seen, part]
    return layer_norm(linear(context, "dense") + queries, weights, f"{name}.layer_norm", eps)


def plain_qformer(qformer: FavorCausalQFormer, window: torch.Tensor, num_frames: int) -> torch.Tensor:
    """(n, d) query states of one (t, P, D) window with `num_frames` real frames, step by step in float64."""
    weights = {name: tensor.double() for name, tensor in qformer.state_dict().items()}
    eps, direction = qformer.config.layer_norm_eps, qformer.config.causal_attention
    frames = len(window)
    real = torch.arange(frames) < num_frames
    features = layer_norm(window.double().reshape(-1, D), weights, "feature_norm", 1e-5)
    features = features + weights["position_embedding.weight"][: frames * P]
    queries = layer_norm(weights["query_tokens"][0], weights, "query_norm", eps)
    everything = torch.ones(len(queries), len(queries), dtype=torch.bool)
    visible = real.repeat_interleave(P).expand(len(queries), -1)
    for block in range(2):
        name = f"layers.{block}"
        encoded = features
        if direction != "none":
            allowed = loop_mask(direction, real[None], P, qformer.config.window_frames is None)[0]
            encoded = plain_attention(features, features, allowed, weights, f"{name}.causal_attention", eps)
        queries = plain_attention(queries, queries, everything, weights, f"{name}.self_attention", eps)
        queries = plain_attention(queries, encoded, visible, weights, f"{name}.cross_attention", eps)
        hidden = gelu(queries @ weights[f"{name}.intermediate.weight"].T + weights[f"{name}.intermediate.bias"])
        update = hidden @ weights[f"{name}.output.weight"].T + weights[f"{name}.output.bias"]
        queries = layer_norm(update + queries, weights, f"{name}.layer_norm", eps)
    return queries


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("window_frames", [FRAMES, None])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_whole_module_is_the_plain_one(direction, window_frames, attention):
    qformer = tiny_qformer(direction, window_frames).double()
    qformer.set_attn_implementation(attention)
    lengths = (4, 2, 1)
    features = random_windows().double()
    frame_mask = torch.arange(FRAMES) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        states = qformer(features, frame_mask).last_hidden_state
        expected = [plain_qformer(qformer, *window) for window in zip(features, lengths, strict=True)]
    torch.testing.assert_close(states, torch.stack(expected), rtol=1e-6, atol=1e-6)


def test_a_token_causal_kernel_is_not_used():
    """Flash attention knows no block-causal mask: it would silently let a vector see less than its own frame."""
    qformer = tiny_qformer("previous")
    qformer.set_attn_implementation("flash_attention_2")
    assert qformer.config._attn_implementation == "sdpa"
