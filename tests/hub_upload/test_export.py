# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The exported folder: what is in it, that it is deterministic, and what is refused."""

import json
import shutil

import pytest
import torch

from favor.hub_upload import export_model
from favor.modeling_favor import FavorForConditionalGeneration

CODE_FILES = {
    "answer_stream_favor.py",
    "causal_qformer_favor.py",
    "configuration_favor.py",
    "connector_favor.py",
    "items_favor.py",
    "media_favor.py",
    "media_sources_favor.py",
    "modeling_favor.py",
    "pipeline_favor.py",
    "pipeline_inputs_favor.py",
    "processing_favor.py",
    "video_processing_favor.py",
}


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_layout_is_flat_and_complete(tiny_model_dir):
    names = set(contents(tiny_model_dir))
    assert {name for name in names if name.endswith(".py")} >= CODE_FILES
    assert {"model.safetensors", "config.json", "generation_config.json", "processor_config.json"} <= names
    assert {"tokenizer.json", "chat_template.jinja", "qformer_tokenizer/tokenizer.json"} <= names
    assert {name for name in names if "/" in name and not name.startswith("qformer_tokenizer/")} == set()


def test_config_names_code_pipeline_and_special_tokens(tiny_model_dir, tiny_parts):
    config = json.loads((tiny_model_dir / "config.json").read_text())
    assert set(config["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForMultimodalLM",
        "AutoModelForImageTextToText",
        "AutoModelForCausalLM",
    }
    assert config["custom_pipelines"]["video-text-to-text"]["impl"] == "pipeline_favor.VideoTextToTextPipeline"
    processor_config = json.loads((tiny_model_dir / "processor_config.json").read_text())
    assert processor_config["auto_map"]["AutoProcessor"] == "processing_favor.FavorProcessor"
    assert "AutoVideoProcessor" in processor_config["video_processor"]["auto_map"]
    generation_config = json.loads((tiny_model_dir / "generation_config.json").read_text())
    assert generation_config["pad_token_id"] == tiny_parts[1].tokenizer.pad_token_id


def test_exporting_a_folder_or_a_model_gives_the_same_bytes(tiny_model_dir, tmp_path):
    again = contents(export_model(tiny_model_dir, tmp_path / "again"))
    assert again == contents(tiny_model_dir)


def test_a_folder_that_the_model_saved_by_itself_can_be_exported(tiny_parts, tmp_path):
    model, processor = tiny_parts
    model.save_pretrained(tmp_path / "trained")
    processor.save_pretrained(tmp_path / "trained")
    # What `favor sft` keeps beside the model for a run that is resumed.
    shutil.copy(tmp_path / "trained" / "model.safetensors", tmp_path / "trained" / "pretrained_towers.safetensors")
    out_dir = export_model(tmp_path / "trained", tmp_path / "out")
    assert [file.name for file in out_dir.glob("*.safetensors")] == ["model.safetensors"]
    loaded = FavorForConditionalGeneration.from_pretrained(out_dir)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_folder_in_use_is_not_overwritten(tiny_model_dir, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        export_model(tiny_model_dir, tmp_path)
    with pytest.raises(ValueError, match="holds no model"):
        export_model(tiny_model_dir, tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwrite_replaces_a_model_whole(tiny_model_dir, tmp_path):
    out_dir = export_model(tiny_model_dir, tmp_path / "model")
    (out_dir / "stale.py").write_text("")
    export_model(tiny_model_dir, out_dir, overwrite=True)
    assert contents(out_dir) == contents(tiny_model_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_export_leaves_nothing_behind(tmp_path, tiny_model_dir, monkeypatch):
    def fail(folder):
        raise OSError("disk full")

    monkeypatch.setattr("favor.hub_upload.export._copy_code", fail)
    with pytest.raises(OSError, match="disk full"):
        export_model(tiny_model_dir, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_errors_name_what_is_missing(tiny_parts, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export_model(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(ValueError, match="no config.json"):
        (tmp_path / "empty").mkdir()
        export_model(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ValueError, match="processor="):
        export_model(tiny_parts[0], tmp_path / "out")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="favor export"):
        export_model(tmp_path / "adapter", tmp_path / "out")
