# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The projector connector: equal to a loop over items, whatever else is in the batch; counts as the processor does."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration, FavorProjector, FavorProjectorConfig
from favor.modeling_favor.connectors_favor import build_connector
from favor.processing.query_tokens_favor import item_tokens

from .tiny_models import PLACEHOLDER, Item, count_calls, model_inputs, randomized, tiny_config, tiny_model

PATCHES, VISUAL_WIDTH, AUDIO_WIDTH, TEXT_WIDTH = 3, 6, 5, 8
LENGTHS = st.tuples(st.integers(0, 5), st.integers(0, 13))  # frames, audio vectors
MODALITIES = ("audio_visual", "audio", "visual")
POOLINGS = ("space_and_time", "space", "time")
PROJECTOR = {"model_type": "favor_projector"}
SAMPLES = [[1, 3, Item(pictures=3, mel_frames=[24, 10], seed=1), 4], [1, Item(pictures=1, seed=2), 9, 5]]


def tiny_projector(**values) -> FavorProjector:
    torch.manual_seed(0)
    config = FavorProjectorConfig(
        visual_vectors_per_frame=PATCHES,
        visual_hidden_size=VISUAL_WIDTH,
        audio_hidden_size=AUDIO_WIDTH,
        text_hidden_size=TEXT_WIDTH,
        **values,
    )
    return randomized(FavorProjector(config)).eval()


def streams(lengths: list[tuple[int, int]], padding: float = float("nan")) -> dict[str, torch.Tensor]:
    """Random streams of these lengths; what lies beyond them is `padding` and must be read by nobody."""
    frames, vectors = (torch.tensor(column) for column in zip(*lengths, strict=True))
    generator = torch.Generator().manual_seed(3)
    visual = torch.randn(len(lengths), max(frames), PATCHES, VISUAL_WIDTH, generator=generator)
    audio = torch.randn(len(lengths), max(vectors), AUDIO_WIDTH, generator=generator)
    for row, (pictures, sounds) in enumerate(lengths):
        visual[row, pictures:] = padding
        audio[row, sounds:] = padding
    return {"visual": visual, "audio": audio, "num_visual_frames": frames, "num_audio_vectors": vectors}


def mlp(layers: nn.Sequential, vectors: torch.Tensor) -> torch.Tensor:
    """The paper's mlp2x-gelu, from the weights."""
    first, _, second = layers
    hidden = nn.functional.gelu(vectors @ first.weight.T + first.bias)
    return hidden @ second.weight.T + second.bias


def expected_tokens(connector: FavorProjector, frames: torch.Tensor, sounds: torch.Tensor) -> torch.Tensor:
    """The embeddings of one item, from its own (T, p, d) and (S, A) states, with loops."""
    config, rows = connector.config, []
    if config.modalities != "visual":
        for start in range(0, len(sounds), config.audio_pool_size):
            pool = sounds[start : start + config.audio_pool_size]
            rows.append(mlp(connector.audio_projection, sum(pool) / len(pool)))
    if config.modalities != "audio" and len(frames):
        if config.visual_pooling != "time":
            rows += [mlp(connector.visual_projection, sum(frame) / PATCHES) for frame in frames]
        if config.visual_pooling != "space":
            for patch in range(PATCHES):
                rows.append(mlp(connector.visual_projection, sum(frame[patch] for frame in frames) / len(frames)))
    return torch.stack(rows) if rows else torch.zeros(0, TEXT_WIDTH)


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(LENGTHS, min_size=1, max_size=4),
    modalities=st.sampled_from(MODALITIES),
    visual_pooling=st.sampled_from(POOLINGS),
    audio_pool_size=st.integers(1, 5),
)
def test_a_batch_is_its_items_one_by_one(lengths, modalities, visual_pooling, audio_pool_size):
    connector = tiny_projector(modalities=modalities, visual_pooling=visual_pooling, audio_pool_size=audio_pool_size)
    batch = streams(lengths)
    with torch.no_grad():
        found = connector(**batch)
        for row, (pictures, sounds) in enumerate(lengths):
            expected = expected_tokens(connector, batch["visual"][row, :pictures], batch["audio"][row, :sounds])
            assert found.num_tokens[row] == len(expected)
            torch.testing.assert_close(found.embeddings[row, : len(expected)], expected)
            assert not found.embeddings[row, len(expected) :].any()
    assert found.query_states is found.diversity_loss is found.num_windows is None


def test_missing_streams_and_counts_are_filled_in():
    connector, batch = tiny_projector(), streams([(4, 6)])
    with torch.no_grad():
        whole = connector(batch["visual"], batch["audio"]).embeddings
        torch.testing.assert_close(whole, connector(**batch).embeddings)
        seen, heard = connector(visual=batch["visual"]).embeddings, connector(audio=batch["audio"]).embeddings
    torch.testing.assert_close(torch.cat([heard, seen], 1), whole)
    with pytest.raises(ValueError, match="neither"):
        connector()
    with pytest.raises(ValueError, match="has 2 vectors per frame.*is 3"):
        connector(visual=batch["visual"][:, :, :2])


def test_gradients_reach_both_projections_even_of_a_stream_without_input():
    connector = tiny_projector().train()
    connector(**streams([(2, 3), (0, 4)])).embeddings.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in connector.parameters())
    for modalities, left_out in (("visual", "audio_projection"), ("audio", "visual_projection")):
        connector = tiny_projector(modalities=modalities).train()
        connector(**streams([(2, 3)])).embeddings.sum().backward()
        for name, parameter in connector.named_parameters():
            assert bool(parameter.grad.any()) != name.startswith(left_out)


def test_bfloat16_is_close_to_float32():
    connector, batch = tiny_projector(audio_pool_size=2), streams([(4, 9), (2, 0)], padding=0.0)
    with torch.no_grad():
        expected = connector(**batch).embeddings
        found = connector.to(torch.bfloat16)(**batch).embeddings
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.1)


def test_saving_and_loading(tmp_path):
    connector = tiny_projector(audio_pool_size=2, visual_pooling="space", modalities="visual")
    connector.save_pretrained(tmp_path)
    loaded, info = FavorProjector.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert (loaded.config.audio_pool_size, loaded.config.visual_pooling, loaded.config.modalities) == (
        2,
        "space",
        "visual",
    )
    for name, value in connector.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_the_config_chooses_the_connector_and_fills_in_its_widths():
    config = tiny_config(connector_config=PROJECTOR | {"audio_pool_size": 4})
    connector = config.connector_config
    assert connector.model_type == "favor_projector"
    assert (connector.visual_hidden_size, connector.audio_hidden_size, connector.text_hidden_size) == (24, 20, 32)
    assert (connector.visual_vectors_per_frame, connector.audio_pool_size) == (5, 4)
    assert not hasattr(connector, "audio_vectors_per_frame")
    assert isinstance(build_connector(connector), FavorProjector)
    assert config.processor_values() == {
        "connector": "projector",
        "modalities": "audio_visual",
        "frame_rate": 2.0,
        "audio_stride": 2,
        "visual_vectors_per_frame": 5,
        "visual_pooling": "space_and_time",
        "audio_pool_size": 4,
    }
    assert FavorConfig().connector_config.model_type == tiny_config().connector_config.model_type
    assert FavorConfig().connector_config.model_type == "favor_causal_qformer"


@pytest.mark.parametrize("values", [{}, {"modalities": "visual", "visual_pooling": "space", "audio_pool_size": 3}])
def test_the_config_survives_saving(values, tmp_path):
    config = tiny_config(connector_config=PROJECTOR | values)
    config.save_pretrained(tmp_path)
    loaded = FavorConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert json.loads((tmp_path / "config.json").read_text())["connector_config"]["model_type"] == "favor_projector"
    assert FavorConfig(**config.to_dict()).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"modalities": "sound"}, "modalities"),
        ({"visual_pooling": "none"}, "visual_pooling"),
        ({"audio_pool_size": 0}, "audio_pool_size must be at least 1"),
        ({"audio_pool_size": "2"}, "audio_pool_size"),
        ({"model_type": "favour_projector"}, "'favour_projector'; a connector is one of favor_causal_qformer, favor_"),
    ],
)
def test_wrong_values_are_refused(values, said):
    with pytest.raises((ValueError, StrictDataclassError), match=said):
        tiny_config(connector_config=PROJECTOR | values)


QFORMERS = st.fixed_dictionaries(
    {
        "num_query_tokens": st.integers(1, 4),
        "window_frames": st.none() | st.integers(1, 4),
        "synchronize": st.booleans(),
        "modalities": st.sampled_from(MODALITIES),
    }
)
PROJECTORS = st.fixed_dictionaries(
    {
        "model_type": st.just("favor_projector"),
        "modalities": st.sampled_from(MODALITIES),
        "visual_pooling": st.sampled_from(POOLINGS),
        "audio_pool_size": st.integers(1, 5),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(LENGTHS, min_size=1, max_size=4).filter(lambda items: any(map(any, items))),
    connector=QFORMERS | PROJECTORS,
)
def test_processor_and_model_count_alike(lengths, connector):
    sizes = {} if "model_type" in connector else {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    config = tiny_config(connector_config=connector | sizes, num_visual_query_tokens=PATCHES)
    defaults = {"connector": None, "visual_vectors_per_frame": None}
    model = build_connector(config.connector_config).eval()
    batch = streams(lengths, padding=0.0)
    widths = config.connector_config
    batch["visual"] = batch["visual"].new_zeros(*batch["visual"].shape[:-1], widths.visual_hidden_size)
    batch["audio"] = batch["audio"].new_zeros(*batch["audio"].shape[:-1], widths.audio_hidden_size)
    with torch.no_grad():
        found = model(**batch).num_tokens.tolist()
    per_frame = config.audio_vectors_per_frame
    assert found == [item_tokens(defaults | config.processor_values(), *item, per_frame) for item in lengths]


def projector_model(**connector) -> FavorForConditionalGeneration:
    return tiny_model(connector_config=PROJECTOR | connector)


def with_counts(config: FavorConfig, samples: list) -> dict[str, torch.Tensor]:
    """The processor's inputs: as many placeholders as it counts."""
    sized = [[p if isinstance(p, int) else SizedItem(p, config) for p in sample] for sample in samples]
    return model_inputs(config, sized)


class SizedItem(Item):
    """An item that counts its placeholders as the processor does."""

    def __init__(self, item: Item, config: FavorConfig):
        super().__init__(**vars(item))
        self.config = config

    def query_tokens(self, config: FavorConfig) -> int:
        return item_tokens(
            config.processor_values(), len(self.frame_indices), self.audio_vectors, config.audio_vectors_per_frame
        )


@pytest.mark.parametrize("num_beams", [1, 2])
def test_a_whole_model_with_it_answers_batches_as_single_samples(num_beams):
    model = projector_model(audio_pool_size=3)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "suppress_tokens": [PLACEHOLDER], "do_sample": False}
    together = model.generate(**with_counts(model.config, SAMPLES), **options, num_beams=num_beams)[:, -5:]
    for answer, sample in zip(together, SAMPLES, strict=True):
        alone = model.generate(**with_counts(model.config, [sample]), **options, num_beams=num_beams)
        assert torch.equal(answer, alone[0, -5:])


def test_a_whole_model_with_it_learns_by_cross_entropy_alone_and_survives_saving(tmp_path):
    model = projector_model()
    inputs = with_counts(model.config, SAMPLES)
    outputs = model(**inputs, labels=inputs["input_ids"])
    assert outputs.diversity_loss is None and outputs.query_states is None
    logits, labels = outputs.logits[:, :-1], inputs["input_ids"][:, 1:]
    torch.testing.assert_close(outputs.loss, nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()))
    model.save_pretrained(tmp_path)
    loaded, info = FavorForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, outputs.logits)


@pytest.mark.parametrize(("modalities", "unread"), [("visual", "audio_tower"), ("audio", "vision_tower")])
def test_a_baselines_other_encoder_does_not_run_and_its_input_does_not_matter(modalities, unread, tmp_path):
    projector_model().save_pretrained(tmp_path)
    config = FavorConfig.from_pretrained(tmp_path)
    config.connector_config.modalities = modalities
    model, info = FavorForConditionalGeneration.from_pretrained(tmp_path, config=config, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    calls = count_calls(getattr(model.model, unread))
    inputs = with_counts(config, SAMPLES)
    whole_config = tiny_config(connector_config=PROJECTOR)
    assert (inputs["input_ids"] == PLACEHOLDER).sum() < (
        with_counts(whole_config, SAMPLES)["input_ids"] == PLACEHOLDER
    ).sum()
    changed = dict(inputs)
    name = "input_features" if modalities == "visual" else "pixel_values_videos"
    changed[name] = inputs[name] + 1
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**changed).logits)
    assert not calls
