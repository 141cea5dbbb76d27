# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a model's files may not make this machine do when the model is opened."""

import json
import shutil

import pytest

from favor.model_loading import load_pipeline


@pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation"])
def test_a_config_cannot_name_attention_code_to_download(name, tiny_model_dir, tmp_path):
    folder = shutil.copytree(tiny_model_dir, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part[name] = "someone/kernel"
    (folder / "config.json").write_text(json.dumps(config))
    assert load_pipeline(str(folder)).model.config.text_config._attn_implementation == "sdpa"
