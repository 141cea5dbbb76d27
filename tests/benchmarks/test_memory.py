# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""docs/memory.md: its tables are what the command prints, its arithmetic is what is really stored, its code runs."""

import re
from pathlib import Path

import bitsandbytes
import pytest
import torch
from torch import nn

from benchmarks import memory
from favor.assembly.presets import preset_config
from favor.modeling_favor import FavorForConditionalGeneration

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
FEATURES = (320, 192)
QUANTIZED_LAYERS = (bitsandbytes.nn.Linear4bit, bitsandbytes.nn.Linear8bitLt)


def test_the_page_holds_what_the_command_prints(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["memory"])
    memory.main()
    page = PAGE.read_text(encoding="utf-8")
    assert page.split("<!-- from: python -m benchmarks.memory -->\n")[1].split("<!-- end -->")[0] == (
        capsys.readouterr().out
    )


def test_code_on_the_page_runs(monkeypatch, tmp_path, tiny_model_dir):
    """With the random model in the place of favor-13b."""
    (tmp_path / "favor-13b").symlink_to(tiny_model_dir)
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 4
    for code in blocks:
        names: dict = {}
        exec(compile(code, str(PAGE), "exec"), names)
        model = names["model"] if "model" in names else names["pipe"].model
        quantized = {name for name, module in model.named_modules() if isinstance(module, QUANTIZED_LAYERS)}
        assert bool(quantized) == ("BitsAndBytesConfig" in code)
        assert all(name.startswith("model.language_model.layers.") for name in quantized)
    assert "quantization_config" in (tmp_path / "favor-13b-4bit" / "config.json").read_text()


@pytest.mark.parametrize(("nested", "predicted"), [(False, memory.nf4_bytes), (True, memory.nested_nf4_bytes)])
def test_4_bit_layers_are_as_large_as_bitsandbytes_makes_them(nested, predicted):
    weight = bitsandbytes.nn.Params4bit(
        torch.randn(FEATURES[::-1]), requires_grad=False, quant_type="nf4", compress_statistics=nested
    ).to("cpu")
    state = weight.quant_state
    assert state.nested == nested
    parts = [value for value in state.as_dict().values() if isinstance(value, torch.Tensor)]
    offset = 4 if nested else 0  # kept as a number when the state is written out
    stored = weight.data.numel() * weight.data.element_size() + offset
    assert stored + sum(part.numel() * part.element_size() for part in parts) == predicted(*FEATURES)


def test_8_bit_layers_are_as_large_as_bitsandbytes_makes_them():
    layer = bitsandbytes.nn.Linear8bitLt(*FEATURES, bias=False, has_fp16_weights=False).to("cpu")
    weight = layer.weight
    assert weight.data.dtype == torch.int8
    assert weight.data.numel() + weight.SCB.numel() * weight.SCB.element_size() == memory.int8_bytes(*FEATURES)


def test_full_precisions_are_what_the_models_take():
    """Tied weights count once, buffers too."""
    config = preset_config("favor-tiny")
    for precision, dtype in zip(memory.PRECISIONS[:2], (torch.float32, torch.bfloat16), strict=True):
        model = FavorForConditionalGeneration._from_config(config, dtype=dtype)
        assert memory.weight_bytes(model, precision) == model.get_memory_footprint()


@pytest.mark.parametrize("name", ["favor-tiny"])
def test_cache_is_as_large_as_the_language_models(name):
    config = preset_config(name)
    model = FavorForConditionalGeneration._from_config(config, dtype=torch.bfloat16).eval()
    tokens = 37
    with torch.no_grad():
        cache = model(input_ids=torch.arange(5, 5 + tokens)[None]).cache
    held = [tensor for layer in cache.layers if hasattr(layer, "keys") for tensor in (layer.keys, layer.values)]
    assert sum(t.numel() * t.element_size() for t in held) == memory.cache_bytes(config, tokens)


@pytest.mark.parametrize(("minutes", "tokens"), [(1, 384), (5, 1920), (20, 7680)])
def test_tokens_of_a_video_are_the_papers(minutes, tokens):
    """160 for 25 s (section 4.2)."""
    config = preset_config("favor-13b")
    assert memory.media_tokens(config, 25) == 160
    assert memory.media_tokens(config, 60 * minutes) == tokens


def test_variants_change_the_number_of_tokens():
    assert memory.media_tokens(preset_config("favor-13b", "without-windows"), 60) == 32
    assert memory.media_tokens(preset_config("favor-13b", "without-synchronisation"), 60) == 2 * 384
    assert memory.media_tokens(preset_config("favor-13b", "fps-1"), 60) == 384 / 2
    assert memory.media_tokens(preset_config("favor-13b", "double-windows"), 60) == 384


def test_tokens_of_the_second_system():
    """A second of sound is 50 tokens; 100 frames and 27 x 27 patches."""
    config = preset_config("av-grounding-phi-2")
    assert memory.media_tokens(config, 30, num_frames=100) == 1500 + 100 + 729


def test_only_the_language_models_layers_count_as_quantised():
    model = memory.empty_model(preset_config("favor-tiny"))
    names = {id(module): name for name, module in model.named_modules()}
    layers = {names[id(layer)] for layer in memory.language_model_linears(model)}
    assert len(layers) == 3 * (4 + 3) + 3 * (2 + 3)  # attention or convolution, and feed-forward
    assert all(name.startswith("model.language_model.layers.") for name in layers)
    assert isinstance(model.lm_head, nn.Linear)
