# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Eager and SDPA attention agree in every part, flash attention stays out of the connector, states come on request."""

import pytest
import torch
from torch import nn
from transformers import modeling_utils
from transformers.modeling_utils import PreTrainedModel

from favor.modeling_favor import FavorForConditionalGeneration

from .tiny_models import Item, media_inputs, model_inputs, tiny_config, tiny_model

ITEMS = [
    Item(pictures=3, mel_frames=[24, 10], instruction=[5, 6], seed=1),
    Item(mel_frames=[7], seed=3),
    Item(pictures=5, instruction=[7], seed=4),
]
PICTURES, CHUNKS = 8, 3
SAMPLES = [[1, 3, ITEMS[0], 4], [1, ITEMS[1], 9, 5], [1, ITEMS[2], 6]]
BLIP_2 = {
    "model_type": "blip_2_qformer",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = TOWER | {"image_size": 8, "patch_size": 4}
VARIANTS = {
    "instructblip": {},
    "blip-2": {"qformer_config": BLIP_2},
    "clip": {"vision_config": VISION | {"model_type": "clip_vision_model"}},
    "siglip": {"vision_config": VISION | {"model_type": "siglip_vision_model"}},
    "dinov2": {"vision_config": VISION | {"model_type": "dinov2"}},
}


def parts_of(model: FavorForConditionalGeneration) -> dict[str, PreTrainedModel]:
    return {name: part for name, part in model.named_modules() if isinstance(part, PreTrainedModel)}


def outputs_of_parts(model: FavorForConditionalGeneration) -> dict[str, torch.Tensor]:
    """What each part with a configuration of its own gives for the same batch."""
    outputs = {}

    def keep(name: str):
        def hook(_module: nn.Module, _inputs: tuple, output) -> None:
            outputs[name] = output.get("last_hidden_state", output.get("embeddings", output.get("logits")))

        return hook

    hooks = [part.register_forward_hook(keep(name)) for name, part in parts_of(model).items()]
    with torch.no_grad():
        model(**model_inputs(model.config, SAMPLES))
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("direction", ["previous", "released"])
def test_eager_and_sdpa_agree_in_every_part(variant, direction):
    model = tiny_model({"causal_attention": direction}, **VARIANTS[variant])
    implementations = {part.config._attn_implementation for part in parts_of(model).values()}
    assert implementations == {"sdpa"}
    expected = outputs_of_parts(model)
    model.set_attn_implementation("eager")
    assert {part.config._attn_implementation for part in parts_of(model).values()} == {"eager"}
    actual = outputs_of_parts(model)
    assert len(expected) >= 8
    padding = model_inputs(model.config, SAMPLES)["attention_mask"] == 0
    for name, output in expected.items():
        if output.shape[:2] == padding.shape:
            output[padding] = actual[name][padding] = 0  # what stands there is read by nobody
        torch.testing.assert_close(actual[name], output, rtol=1e-4, atol=1e-4, msg=name)


@pytest.fixture
def flash_attention(monkeypatch):
    """As if it were installed; a part that does not support it still refuses it."""

    def can_dispatch(self: PreTrainedModel, flash_attn_version: int = 2, is_init_check: bool = False) -> bool:
        if not self._supports_flash_attn:
            raise ValueError(f"{type(self).__name__} does not support Flash Attention")
        return True

    monkeypatch.setattr(PreTrainedModel, "_flash_attn_can_dispatch", can_dispatch)
    monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", lambda *args, **kwargs: None)


@pytest.mark.parametrize(
    ("variant", "on_sdpa"),
    [("instructblip", set()), ("blip-2", {"model.visual_qformer.qformer"}), ("siglip", set())],
)
def test_flash_attention_for_the_whole_model_leaves_parts_without_it_on_sdpa(flash_attention, variant, on_sdpa):
    """The connector's masks are block-causal: flash attention would ignore that."""
    config = tiny_config(**VARIANTS[variant])
    model = FavorForConditionalGeneration._from_config(config, attn_implementation="flash_attention_2")
    found = {name: part.config._attn_implementation for name, part in parts_of(model).items()}
    on_sdpa = on_sdpa | {"model.connector", "model.connector.causal_qformer"}
    assert found == {name: "sdpa" if name in on_sdpa else "flash_attention_2" for name in found}


def test_flash_attention_can_be_set_later_for_one_part_or_for_all(flash_attention):
    model = tiny_model()
    model.set_attn_implementation({"text_config": "flash_attention_2"})
    found = {name: part.config._attn_implementation for name, part in parts_of(model).items()}
    assert {name for name, kind in found.items() if kind == "flash_attention_2"} == {"model.language_model"}
    model.set_attn_implementation("flash_attention_2")
    found = {name: part.config._attn_implementation for name, part in parts_of(model).items()}
    assert {name for name, kind in found.items() if kind == "sdpa"} == {
        "model.connector",
        "model.connector.causal_qformer",
    }


@pytest.fixture(scope="module")
def eager_model() -> FavorForConditionalGeneration:
    model = tiny_model()
    model.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize("by", ["argument", "config"])
def test_hidden_states_and_attentions_of_the_encoders_on_request(by):
    model = tiny_model()
    model.set_attn_implementation("eager")
    asked = {"output_hidden_states": True, "output_attentions": True}
    if by == "config":
        for name in asked:
            setattr(model.config, name, True)
    inputs = media_inputs(ITEMS)
    with torch.no_grad():
        media = model.get_video_features(**inputs, **(asked if by == "argument" else {}))
        plain = model.get_video_features(**inputs, output_hidden_states=False, output_attentions=False)
        pictures = torch.cat([item.pixels() for item in ITEMS if item.pictures])
        states = model.model.vision_tower(pixel_values=pictures, output_hidden_states=True)
        chunks = torch.cat([item.mel() for item in ITEMS if item.mel_frames])
        sound = model.model.audio_tower(chunks, output_attentions=True)
    assert [len(getattr(media, name)) for name in ("hidden_states", "attentions")] == [3, 2]
    torch.testing.assert_close(media.hidden_states, states.hidden_states)
    assert media.hidden_states[0].shape == (PICTURES, 5, 16)
    assert [state.shape for state in media.qformer_hidden_states] == [(PICTURES, 5 + 3, 24)] * 3
    assert [state.shape for state in media.audio_hidden_states] == [(CHUNKS, 12, 20)] * 3
    torch.testing.assert_close(media.audio_attentions, sound.attentions)
    torch.testing.assert_close(media.pooler_output, plain.pooler_output)
    for name in ("hidden_states", "attentions", "qformer_hidden_states", "audio_hidden_states", "audio_attentions"):
        assert getattr(plain, name) is None


def test_of_sound_alone_they_are_the_audio_towers(eager_model):
    with torch.no_grad():
        media = eager_model.get_audio_features(**media_inputs([ITEMS[1]]), output_hidden_states=True)
    assert [state.shape for state in media.hidden_states] == [(1, 12, 20)] * 3
    assert media.attentions is None
    assert media.qformer_hidden_states is None


def test_recording_leaves_nothing_behind(eager_model):
    inputs = media_inputs(ITEMS)
    with torch.no_grad():
        eager_model.get_video_features(**inputs, output_hidden_states=True)
    for part in parts_of(eager_model.model).values():
        assert not part._forward_pre_hooks
        assert not part._forward_hooks
    assert eager_model.get_video_features(**inputs).hidden_states is None


def test_hidden_states_and_attentions_of_the_language_model_on_request(eager_model):
    inputs = model_inputs(eager_model.config, SAMPLES)
    batch, length = inputs["input_ids"].shape
    with torch.no_grad():
        outputs = eager_model(**inputs, output_hidden_states=True, output_attentions=True)
        plain = eager_model(**inputs)
    assert [state.shape for state in outputs.hidden_states] == [(batch, length, 32)] * 3
    assert [weights.shape for weights in outputs.attentions] == [(batch, 4, length, length)] * 2
    torch.testing.assert_close(eager_model.lm_head(outputs.hidden_states[-1]), outputs.logits)
    assert plain.hidden_states is None
    assert plain.attentions is None


def test_generate_returns_hidden_states_and_attentions(eager_model):
    inputs = model_inputs(eager_model.config, SAMPLES)
    batch, length = inputs["input_ids"].shape
    options = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False, "suppress_tokens": [63]}
    asked = {"return_dict_in_generate": True, "output_hidden_states": True, "output_attentions": True}
    outputs = eager_model.generate(**inputs, **options, **asked)
    assert [len(step) for step in outputs.hidden_states] == [3, 3, 3]
    assert [step[-1].shape for step in outputs.hidden_states] == [(batch, length, 32), *[(batch, 1, 32)] * 2]
    assert outputs.attentions[2][0].shape == (batch, 4, 1, length + 2)
    assert torch.equal(outputs.sequences, eager_model.generate(**inputs, **options))


def test_the_causal_qformer_gives_its_own(eager_model):
    windows = torch.randn(2, 2, 5, 48)
    mask = torch.ones(2, 2, dtype=torch.bool)
    with torch.no_grad():
        outputs = eager_model.model.connector.causal_qformer(
            windows, mask, output_hidden_states=True, output_attentions=True
        )
    assert [state.shape for state in outputs.hidden_states] == [(2, 3, 24)] * 3
    assert [weights.shape for weights in outputs.attentions] == [(2, 4, 10, 10)] * 2
    for weights in outputs.attentions:  # block-causal: frame 0 sees nothing of frame 1
        assert not weights[:, :, :5, 5:].any()
