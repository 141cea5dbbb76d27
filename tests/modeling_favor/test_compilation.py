# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""torch.compile: the causal Q-Former is one graph, a decoding step too; the connector gives the same, also ragged.

Graphs are captured and run as they are: inductor compiles the same ones, but takes minutes on two cores.
"""

import pytest
import torch
from transformers import StaticCache

from favor.modeling_favor import FavorConnector

from .tiny_models import Item, model_inputs, randomized, tiny_config, tiny_model

BATCHES = [([4, 1], [9, 16]), ([0, 3], [7, 20])]  # frames, audio vectors


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def connector(**values) -> FavorConnector:
    torch.manual_seed(0)
    return randomized(FavorConnector(tiny_config(values).connector_config)).eval()


def streams(frames: list[int], vectors: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "visual": torch.randn(len(frames), max(frames), 5, 24, generator=generator),
        "audio": torch.randn(len(vectors), max(vectors), 20, generator=generator),
        "num_visual_frames": torch.tensor(frames),
        "num_audio_vectors": torch.tensor(vectors),
    }


@pytest.mark.parametrize("direction", ["previous", "released"])
def test_the_causal_qformer_is_one_graph(direction):
    """`fullgraph=True` raises at the first graph break."""
    qformer = connector(causal_attention=direction).causal_qformer
    compiled = torch.compile(qformer, fullgraph=True, backend="eager")
    windows = torch.randn(3, 2, 5, 48)
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    with torch.no_grad():
        torch.testing.assert_close(compiled(windows, mask).last_hidden_state, qformer(windows, mask).last_hidden_state)


def test_the_compiled_connector_is_the_same_on_ragged_batches():
    plain = connector()
    compiled = torch.compile(plain, backend="eager", dynamic=True)
    for frames, vectors in BATCHES:
        inputs = streams(frames, vectors)
        with torch.no_grad():
            torch.testing.assert_close(dict(compiled(**inputs)), dict(plain(**inputs)))


def test_graphs_break_only_where_the_number_of_windows_depends_on_the_data():
    explained = torch._dynamo.explain(connector())(**streams(*BATCHES[0]))
    reasons = [str(reason.reason) for reason in explained.break_reasons]
    assert all(
        "dynamic shape" in reason or "data-dependent" in reason.lower() or "Tensor.item" in reason
        for reason in reasons
    ), reasons
    assert explained.graph_break_count <= 7


@pytest.mark.parametrize("connector", ["favor_causal_qformer", "favor_projector"])
def test_a_decoding_step_with_a_static_cache_is_one_graph(connector):
    """What `generate` compiles, and captures as a CUDA graph: nothing in it may wait for the device."""
    projector = connector == "favor_projector"
    model = tiny_model(connector_config={"model_type": connector}) if projector else tiny_model()
    assert model._can_compile_fullgraph
    assert model.model._can_compile_fullgraph
    item = Item(pictures=3, mel_frames=[24], seed=1)
    inputs = model_inputs(model.config, [[1, 3, 5, 4] if projector else [1, 3, item, 4]])
    length = inputs["input_ids"].shape[1]
    cache = StaticCache(config=model.config.text_config, max_cache_len=length + 4)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        token = model(**inputs, cache=cache).logits[:, -1:].argmax(-1)
        longer = {
            "input_ids": torch.cat([inputs["input_ids"], token], dim=1),
            "attention_mask": torch.ones(1, length + 1, dtype=torch.long),
        }
        expected = model(**(inputs | longer)).logits[:, -1:]
        found = compiled(
            input_ids=token,
            attention_mask=longer["attention_mask"],
            position_ids=torch.tensor([[length]]),
            cache=cache,
        ).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
