# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A released checkpoint on top of its parts gives the released outputs; its LoRA is merged, kept or dropped."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import pipeline

from favor.model_folder import convert_released
from favor.modeling_favor import FavorForConditionalGeneration
from tests.assembly.source_checkpoints import make_language_model, make_vision, make_whisper
from tests.assembly.test_released_weights import CONNECTOR, lora_tensors, released_file
from tests.modeling_favor.test_released_checkpoint import assert_released, case_inputs

SETTINGS = {"num_attention_heads": 4, "window_frames": 3, "lora_alpha": 6.0}
IDS = torch.tensor([[5, 17, 120, 44, 9]])


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {
        "llm": make_language_model(folder / "llm", layout="sharded_bin", hidden_size=40),
        "whisper": make_whisper(folder / "whisper", d_model=20),
        "vision": make_vision(folder / "vision", layout="sharded"),
    }


@pytest.fixture(scope="module")
def converted(sources, tmp_path_factory):
    """Converts the fixture once for each way to treat the LoRA."""
    folder = tmp_path_factory.mktemp("converted")
    checkpoint = released_file(folder / "released", CONNECTOR | lora_tensors())
    reports = {}

    def convert(lora: str):
        if lora not in reports:
            reports[lora] = convert_released(checkpoint, **sources, out_dir=folder / lora, lora=lora, **SETTINGS)
        return folder / lora, reports[lora]

    return convert


def load(folder: Path) -> FavorForConditionalGeneration:
    model, loading = FavorForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values()), loading
    return model.eval()


def logits_of(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("case", ["av_equal", "av_ragged_window", "audio_longer", "video_longer", "single_window"])
def test_the_connector_gives_the_released_outputs(converted, case):
    model = load(converted("merge")[0])
    assert model.config.connector_config.causal_attention == "released"
    with torch.no_grad():
        outputs = model.get_video_features(encoder_states=case_inputs(case))
    assert_released(outputs.query_states, f"case.{case}.query")
    assert_released(torch.stack(outputs.pooler_output), f"case.{case}.llm")
    assert_released(outputs.diversity_loss, f"case.{case}.diversity")


def test_merging_is_what_peft_does(converted):
    from peft import PeftModel

    merged, kept = load(converted("merge")[0]), load(converted("adapter")[0])
    plain = logits_of(kept)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        adapted = PeftModel.from_pretrained(kept, converted("adapter")[0] / "adapter")
    loaded = {name: t for name, t in adapted.state_dict().items() if ".lora_" in name}
    saved = load_file(converted("adapter")[0] / "adapter" / "adapter_model.safetensors")
    assert {name.replace(".default", "") for name in loaded} == set(saved)
    assert not torch.allclose(logits_of(adapted), plain, atol=1e-2)
    torch.testing.assert_close(logits_of(adapted), logits_of(merged), rtol=1e-3, atol=1e-3)
    by_peft = adapted.merge_and_unload().state_dict()
    for name, tensor in merged.state_dict().items():
        torch.testing.assert_close(tensor, by_peft[name], rtol=1e-6, atol=1e-6, msg=name)


def test_without_lora_the_language_model_is_its_source(converted, sources):
    from transformers import AutoModelForCausalLM

    source = AutoModelForCausalLM.from_pretrained(sources["llm"]).eval()
    for lora in ("drop", "adapter"):
        folder, report = converted(lora)
        model = load(folder)
        for name, tensor in source.model.state_dict().items():
            assert torch.equal(model.model.language_model.state_dict()[name], tensor)
        assert (folder / "adapter").is_dir() == (lora == "adapter")
        note = next(line for line in report.lines() if line.startswith("LoRA: 8 matrices"))
        assert ("dropped" if lora == "drop" else "adapter/") in note
    merged = load(converted("merge")[0])
    changed = [
        name
        for name, tensor in source.model.state_dict().items()
        if not torch.equal(merged.model.language_model.state_dict()[name], tensor)
    ]
    assert len(changed) == 8
    assert all("self_attn" in name for name in changed)


def test_a_converted_folder_answers_through_the_pipeline(converted, media_dir):
    folder, report = converted("merge")
    pipe = pipeline("video-text-to-text", model=str(folder), trust_remote_code=True, device="cpu")
    options = {"text": "What does she say?", "max_new_tokens": 6, "do_sample": False}
    answer = pipe(video=str(media_dir / "clip.mp4"), **options)
    assert isinstance(answer[0]["generated_text"], str)
    assert report.connector == "released, favor.pt"
    content = json.loads((folder / "assembly.json").read_text())
    assert content["connector"] == "released, favor.pt"
    assert content["notes"] == ["LoRA: 8 matrices, merged into the language model"]


def test_a_checkpoint_without_lora_is_converted_too(sources, tmp_path):
    path = released_file(tmp_path / "released", CONNECTOR)
    for lora in ("merge", "adapter"):
        report = convert_released(path, **sources, out_dir=tmp_path / lora, lora=lora, **SETTINGS)
        assert "LoRA: the checkpoint has none" in report.lines()
        assert not (tmp_path / lora / "adapter").exists()


def test_several_ranks_merge_but_are_no_adapter(sources, tmp_path):
    name = "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_{}.default.weight"
    other = {name.format("A"): torch.ones(4, 40), name.format("B"): torch.ones(40, 4)}
    path = released_file(tmp_path / "released", CONNECTOR | lora_tensors() | other)
    convert_released(path, **sources, out_dir=tmp_path / "merge", **SETTINGS)
    with pytest.raises(ValueError, match=r"several ranks, \[2, 4\]: merge it"):
        convert_released(path, **sources, out_dir=tmp_path / "adapter", lora="adapter", **SETTINGS)
    assert not (tmp_path / "adapter").exists()
