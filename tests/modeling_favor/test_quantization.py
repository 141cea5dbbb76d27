# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""8- and 4-bit loading quantises the language model alone, for real and on the CPU; offloaded parts change nothing."""

from types import SimpleNamespace

import bitsandbytes
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModel, BitsAndBytesConfig, FineGrainedFP8Config, QuantoConfig

from favor.modeling_favor import FavorForConditionalGeneration, FavorModel
from favor.modeling_favor.quantization_favor import quantize_language_model_only

from .tiny_models import VALUES, Item, model_inputs, tiny_model

SAMPLES = [[1, 3, Item(pictures=3, mel_frames=[24, 10], seed=1), 4], [1, Item(pictures=1, seed=2), 9, 5]]
TEXT = VALUES["text_config"] | {"hidden_size": 64, "intermediate_size": 128}  # scales are shared by 64 weights
QUANTIZATIONS = {
    "4 bit": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16),
    "4 bit, double": BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    ),
    "8 bit": BitsAndBytesConfig(load_in_8bit=True),
}
QUANTIZED_LAYERS = (bitsandbytes.nn.Linear4bit, bitsandbytes.nn.Linear8bitLt)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full-precision")
    tiny_model(text_config=TEXT).save_pretrained(folder)
    return folder


def quantized_model(folder, kind: str, model_class=FavorForConditionalGeneration) -> nn.Module:
    return model_class.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=QUANTIZATIONS[kind])


def logits_of(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(**model_inputs(model.config, SAMPLES)).logits.float()


def layers_of_kind(model: nn.Module, kind) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, kind)}


@pytest.mark.parametrize("model_class", [FavorForConditionalGeneration, FavorModel, AutoModel])
@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_the_language_models_layers_and_no_others_are_quantised(folder, kind, model_class):
    model = quantized_model(folder, kind, model_class)
    prefix = "" if model_class is FavorModel else "model."
    quantized = layers_of_kind(model, QUANTIZED_LAYERS)
    assert len(quantized) == 2 * 7
    assert all(name.startswith(f"{prefix}language_model.layers.") for name in quantized)
    for name, parameter in model.named_parameters():
        expected = torch.bfloat16 if name.rpartition(".")[0] not in quantized else (torch.uint8, torch.int8)
        assert parameter.dtype in (expected if isinstance(expected, tuple) else (expected,)), name


def dequantized(layer: nn.Module) -> torch.Tensor:
    """(outputs, inputs) weight that the layer multiplies with."""
    if isinstance(layer, bitsandbytes.nn.Linear8bitLt):
        return layer.weight.data.float() * layer.weight.SCB[:, None] / 127
    return bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_logits_are_those_of_the_rounded_weights(folder, kind):
    """And these are near the given ones."""
    model = quantized_model(folder, kind)
    reference = FavorForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16)
    given = logits_of(reference)
    for name in layers_of_kind(model, QUANTIZED_LAYERS):
        layer, weight = reference.get_submodule(name), dequantized(model.get_submodule(name))
        similarity = torch.cosine_similarity(weight.flatten(), layer.weight.float().flatten(), dim=0)
        assert similarity > (0.9999 if kind == "8 bit" else 0.99), name
        layer.weight.data.copy_(weight)
    similarity = torch.cosine_similarity(logits_of(model).flatten(), logits_of(reference).flatten(), dim=0)
    assert similarity > 0.995
    assert torch.cosine_similarity(logits_of(model).flatten(), given.flatten(), dim=0) > 0.8


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_saved_quantised_it_loads_without_being_told_and_answers_the_same(folder, kind, tmp_path):
    model = quantized_model(folder, kind)
    model.save_pretrained(tmp_path)
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path)
    assert layers_of_kind(loaded, QUANTIZED_LAYERS) == layers_of_kind(model, QUANTIZED_LAYERS)
    torch.testing.assert_close(logits_of(loaded), logits_of(model), rtol=0, atol=0)
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "suppress_tokens": [63]}
    answers = [m.generate(**model_inputs(m.config, SAMPLES), **options)[:, -4:] for m in (model, loaded)]
    assert torch.equal(*answers)


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_lora_and_connector_learn_on_a_quantised_language_model(folder, kind):
    """QLoRA: the loss goes down, the quantised weights stay."""
    model = quantized_model(folder, kind)
    name = "model.language_model.layers.0.mlp.up_proj"
    before = model.get_submodule(name).weight.data.clone()
    lora = LoraConfig(
        r=4, target_modules=r"model\.language_model\.layers\.\d+\.self_attn\.(q|v)_proj", modules_to_save=["connector"]
    )
    adapted = get_peft_model(model, lora)
    inputs = model_inputs(model.config, SAMPLES)
    inputs["labels"] = inputs["input_ids"].where(inputs["input_ids"] != 63, -100)
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    losses = []
    for _ in range(4):
        loss = adapted(**inputs).loss
        loss.backward()
        losses.append(loss.item())
        assert all(parameter.grad is not None for parameter in trained)
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.1
    assert torch.equal(model.get_submodule(name).weight.data, before)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (BitsAndBytesConfig(load_in_4bit=True), "llm_int8_skip_modules"),
        (QuantoConfig(weights="int4"), "modules_to_not_convert"),
        (FineGrainedFP8Config(), "modules_to_not_convert"),
        (SimpleNamespace(skip_modules=["lm_head"]), "skip_modules"),  # HQQ's, which only exists where hqq is installed
        ({"load_in_8bit": True, "quant_method": "bitsandbytes"}, "llm_int8_skip_modules"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_quantisation_config_gets_its_own_list_of_modules_to_skip(given, field):
    config = quantize_language_model_only(given)
    assert {"model.connector", "model.audio_tower", "connector", "lm_head"} <= set(getattr(config, field))
    if not isinstance(given, dict):
        assert getattr(given, field) in (None, ["lm_head"])  # the user's own object stays as it was


def test_a_list_of_modules_to_skip_is_taken_as_it_is(folder):
    skipped = ["model.language_model.layers.0", "model.connector", "model.vision_tower", "lm_head"]
    skipped += ["model.visual_qformer"]
    given = BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=skipped)
    model = FavorForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=given)
    quantized = layers_of_kind(model, QUANTIZED_LAYERS)
    assert {name.split(".")[1] for name in quantized} == {"audio_tower", "language_model"}
    assert not any(name.startswith("model.language_model.layers.0.") for name in quantized)


PARTS = ["vision_tower", "visual_qformer", "audio_tower", "connector", "language_model"]


@pytest.mark.parametrize(
    "options",
    [
        {"device_map": "cpu"},
        {"device_map": {"": "cpu"}},
        {
            "device_map": {f"model.{part}": "disk" for part in PARTS[:3]}
            | {"model.connector": "cpu"}
            | {"model.language_model": "cpu", "lm_head": "cpu"}
        },
        {
            "device_map": {f"model.{part}": "cpu" for part in PARTS[:4]}
            | {"model.language_model": "disk"}
            | {"lm_head": "cpu"}
        },
        {"device_map": "auto", "max_memory": {"cpu": 250_000}},
    ],
    ids=["cpu", "everything on cpu", "encoders on disk", "language model on disk", "little memory"],
)
def test_wherever_the_parts_are_the_logits_are_the_same(folder, tmp_path, options):
    expected = FavorForConditionalGeneration.from_pretrained(folder)
    model = FavorForConditionalGeneration.from_pretrained(folder, offload_folder=tmp_path, **options)
    if "disk" in str(options) or "max_memory" in options:
        places = set(model.hf_device_map.values())
        assert places == {"cpu", "disk"}
        assert sum(parameter.device.type == "meta" for parameter in model.parameters()) > 10
    torch.testing.assert_close(logits_of(model), logits_of(expected), rtol=1e-5, atol=1e-5)
