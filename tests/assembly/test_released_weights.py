# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Released checkpoint files: their layouts, their LoRA in both spellings, and what is refused by name.

That the connector gives the released outputs is in `test_released_checkpoint.py`; whole folders are converted in
`tests/assembly/test_convert.py`.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from favor.assembly.model_parts import ModelAssembly
from favor.assembly.released_weights import read_released

from .source_checkpoints import make_language_model, make_vision, make_whisper

FIXTURE = load_file(Path(__file__).parents[1] / "modeling_favor" / "fixtures" / "favor_released_qformer.safetensors")
CONNECTOR = {name.removeprefix("checkpoint."): t for name, t in FIXTURE.items() if name.startswith("checkpoint.")}
WIDTH, RANK = 40, 2
PROJECTIONS = [f"{layer}.self_attn.{side}_proj" for layer in (0, 1) for side in "qkvo"]


def lora_tensors(suffix: str = ".default", width: int = WIDTH, layers: tuple[int, ...] = (0, 1)) -> dict:
    """A LoRA on q, k, v and o of `layers`, by the released names."""
    generator = torch.Generator().manual_seed(7)
    tensors = {}
    for layer in layers:
        for side in "qkvo":
            name = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{side}_proj"
            tensors[f"{name}.lora_A{suffix}.weight"] = torch.randn(RANK, width, generator=generator)
            tensors[f"{name}.lora_B{suffix}.weight"] = torch.randn(width, RANK, generator=generator)
    return tensors


def released_file(folder: Path, tensors: dict, name: str = "favor.pt", wrapped: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    if name.endswith(".safetensors"):
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
    else:
        torch.save({"model": tensors, "epoch": 3} if wrapped else tensors, folder / name)
    return folder / name


def read(path: Path):
    return read_released(path, num_attention_heads=4, window_frames=3)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """Parts of the widths that the fixture was trained with."""
    folder = tmp_path_factory.mktemp("sources")
    return {
        "llm": make_language_model(folder / "llm", hidden_size=WIDTH),
        "whisper": make_whisper(folder / "whisper", d_model=20),
        "vision": make_vision(folder / "vision"),
    }


@pytest.mark.parametrize("name", ["favor.pt", "favor.safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".default", ""])
def test_every_layout_gives_the_same(tmp_path, name, wrapped, suffix):
    plain = read(released_file(tmp_path / "plain", CONNECTOR | lora_tensors()))
    other = read(released_file(tmp_path / "other", CONNECTOR | lora_tensors(suffix), name, wrapped))
    assert set(other.lora) == set(plain.lora) == {f"model.layers.{projection}" for projection in PROJECTIONS}
    for module, pair in plain.lora.items():
        assert all(torch.equal(a, b) for a, b in zip(pair, other.lora[module], strict=True))
    for key, tensor in plain.connector_state.items():
        assert torch.equal(other.connector_state[key], tensor)
    assert torch.equal(plain.connector_state["audio_projection.weight"], CONNECTOR["speech_pre_qformer_proj.weight"])
    assert plain.config.causal_attention == "released"


def test_the_merged_weight_is_w_plus_scaled_b_a(tmp_path, sources):
    released = read(released_file(tmp_path, CONNECTOR | lora_tensors()))
    released.alpha = 8.0
    merges = released.merges(ModelAssembly(**sources, connector_config=released.config_values))
    assert set(merges) == {f"model.language_model.layers.{projection}.weight" for projection in PROJECTIONS}
    a, b = released.lora["model.layers.1.self_attn.k_proj"]
    weight = torch.randn(WIDTH, WIDTH, dtype=torch.float64)
    expected = weight + 8.0 / RANK * b.double() @ a.double()
    merge = merges["model.language_model.layers.1.self_attn.k_proj.weight"]
    torch.testing.assert_close(merge(weight.float()), expected.float(), rtol=1e-5, atol=1e-5)
    half = weight.bfloat16()
    merged = merge(half)
    assert merged.dtype == torch.bfloat16
    exact = half.double() + 8.0 / RANK * b.double() @ a.double()
    assert torch.equal(merged, exact.float().bfloat16()), "only the result is rounded, not the change"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t | {"video_Qformer.bert.pooler.weight": torch.ones(2)},
            "unknown .*video_Qformer.bert.pooler.weight",
        ),
        (lambda t: without(t, "llama_proj.bias"), "missing .*llama_proj.bias"),
        (lambda t: t | {"ln_video.weight": torch.ones(47)}, r"ln_video.weight \(47,\), not \(48,\)"),
        (
            lambda t: t | {"llama_model.base_model.model.lm_head.weight": torch.ones(2)},
            "unknown tensors llama_model.base_model.model.lm_head.weight",
        ),
        (
            lambda t: without(t, "llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_B.default.weight"),
            "lacks model.layers.1.self_attn.v_proj.lora_B",
        ),
        (
            lambda t: (
                t
                | {
                    "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.ones(
                        3, 40
                    )
                }
            ),
            r"ranks differ: model.layers.0.self_attn.q_proj: A \(3, 40\), B \(40, 2\)",
        ),
        (lambda t: {"model.embed_tokens.weight": torch.ones(2, 2)}, "Not a released FAVOR checkpoint"),
        (lambda t: t | {"video_query_tokens": torch.ones(5)}, "favor.pt"),
    ],
)
def test_unknown_unpaired_and_ill_shaped_tensors_are_named(tmp_path, change, message):
    path = released_file(tmp_path, change(CONNECTOR | lora_tensors()))
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert "favor.pt" in str(error.value)


def without(tensors: dict, name: str) -> dict:
    assert name in tensors
    return {key: tensor for key, tensor in tensors.items() if key != name}


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("not a tensor")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    for name, message in (("text.pt", "read safely"), ("list.pt", "holds a list"), ("none.pt", "is no file")):
        with pytest.raises(ValueError, match=f"{name} .*{message}|{name} {message}"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("part", "make", "message"),
    [
        ("llm", lambda f: make_language_model(f), r"text_hidden_size is 40, that of the parts 32: see --llm"),
        (
            "whisper",
            lambda f: make_whisper(f, d_model=24),
            "audio_hidden_size is 20, that of the parts 24: see --whisper",
        ),
        (
            "vision",
            lambda f: make_vision(f, "siglip"),
            "visual_hidden_size is 24, that of the parts 16: see --instruct",
        ),
        (
            "llm",
            lambda f: make_language_model(f, hidden_size=WIDTH, num_hidden_layers=1),
            r"layers up to 1, counted from 0, the language model has 1 \(--llm\): model.layers.1.self_attn.k_proj",
        ),
        ("llm", lambda f: make_language_model(f, "phi", hidden_size=WIDTH), "does not have: .*self_attn.o_proj"),
        (
            "llm",
            lambda f: make_language_model(f, hidden_size=WIDTH, num_key_value_heads=2),
            r"k_proj changes \(40, 40\), the weight is \(20, 40\)",
        ),
    ],
)
def test_parts_of_other_widths_are_refused(tmp_path, sources, part, make, message):
    released = read(released_file(tmp_path, CONNECTOR | lora_tensors()))
    other = {**sources, part: make(tmp_path / part)}
    with pytest.raises(ValueError, match=message):
        released.check_parts(ModelAssembly(**other, connector_config=released.config_values))
    released.check_parts(ModelAssembly(**sources, connector_config=released.config_values))
