# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs docs/weights.md from top to bottom, with tiny stand-ins of the checkpoints that it names."""

import re

import pytest

from favor.cli import main

from .assembly.source_checkpoints import make_language_model, make_vision, make_whisper
from .assembly.test_released_weights import CONNECTOR, lora_tensors, released_file
from .test_readme import BLOCK, README, _runs, commands

PAGE = README.parent / "docs" / "weights.md"
STATED = re.compile(r"\| `(favor-\w+)` \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \|")


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """The folders that the page names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    make_language_model(tmp_path / "vicuna-13b-v1.5", layout="sharded_bin", hidden_size=40)
    make_language_model(tmp_path / "Qwen3-4B", "qwen3")
    make_language_model(tmp_path / "phi-2", "phi", layout="sharded")
    make_whisper(tmp_path / "whisper-large-v2")
    make_vision(tmp_path / "instructblip-vicuna-13b", layout="sharded")
    make_vision(tmp_path / "siglip-base-patch16-224", "siglip")
    released_file(tmp_path, CONNECTOR | lora_tensors())


def test_the_page_runs(checkpoints, capsys):
    names: dict = {}
    ran = []
    for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if not _runs(match):
            continue
        ran.append(match["language"])
        if match["language"] == "bash":
            for words in commands(match["code"]):
                assert words[0] == "favor"
                assert main(words[1:]) == 0, capsys.readouterr().err
        else:
            exec(compile(match["code"], str(PAGE), "exec"), names)
    assert ran == ["bash", "python", "bash", "python", "bash"]


def test_stated_sizes_are_those_of_the_presets():
    import torch

    from favor.assembly.presets import preset_config
    from favor.modeling_favor import FavorForConditionalGeneration

    stated = STATED.findall(PAGE.read_text(encoding="utf-8"))
    assert [name for name, *_ in stated] == ["favor-13b", "favor-7b"]
    for name, *sizes in stated:
        with torch.device("meta"):
            model = FavorForConditionalGeneration._from_config(preset_config(name))
        parts = [
            ([model.model.language_model, model.lm_head], 2),
            ([model.model.audio_tower], 4),
            ([model.model.vision_tower, model.model.visual_qformer], 4),
            ([model.model.connector], 4),
        ]
        computed = [
            size * sum(tensor.numel() for module in modules for tensor in module.state_dict().values()) / 1e9
            for modules, size in parts
        ]
        assert [float(size) for size in sizes] == pytest.approx([*computed, sum(computed)], abs=0.051)
