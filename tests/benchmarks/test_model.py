# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The benchmark of the model: its references are right, its prompts are what they claim, and every part runs."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, model
from benchmarks.model_answers import AGAIN, answers_table, measure_answers, measure_memory, slopes_table
from benchmarks.model_connector import (
    Case,
    check_and_weigh,
    connector_of_13b,
    connector_table,
    measure_connector,
    ways,
)
from benchmarks.model_measures import Spread, peak_memory, slope, time_in_turn
from benchmarks.model_peers import BUILDERS, PEERS, Sizes, build, clip_inputs, freeze_towers
from benchmarks.model_plain_connector import READINGS
from benchmarks.model_start import STAGES, first_token_table, imports_of_others, measure_first_token, measure_load
from favor.assembly.presets import preset_config

TINY = Sizes(text_width=64, text_layers=1, tower_width=32, tower_layers=1, audio_chunk_seconds=2)
CONNECTOR = {
    "hidden_size": 24,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "visual_hidden_size": 16,
    "audio_hidden_size": 20,
    "text_hidden_size": 40,
    "visual_vectors_per_frame": 4,
}
RAGGED = Case("ragged", (6, 2, 0), READINGS)


def test_plain_readings_give_the_connectors_embeddings_and_gradients():
    connector = connector_of_13b(**CONNECTOR)
    differences = check_and_weigh(connector, ways(connector, RAGGED))["differences"]
    assert set(differences) == set(READINGS)
    for found in differences.values():
        assert found["outputs"] < 1e-6
        assert found["gradients"] < 1e-4


def test_a_connector_that_differs_is_not_timed():
    connector = connector_of_13b(**CONNECTOR)
    calls = ways(connector, RAGGED)
    calls[READINGS[0]] = lambda right=calls[READINGS[0]]: right() + 1e-4
    with pytest.raises(ValueError, match="padded batch: embeddings differ by 1.0e-04"):
        check_and_weigh(connector, calls)


def test_the_connectors_table_has_every_way_and_ratio():
    results = measure_connector(1, (RAGGED,), **CONNECTOR)
    lines = connector_table(results).splitlines()
    assert sum(line.startswith("| ragged |") for line in lines) == 2 * (1 + len(READINGS))
    assert 0 < sum(results["profile"].values()) <= 1


def test_prompts_of_64_s_are_as_long_as_the_models_make_them():
    counts = {}
    for name in ("FAVOR", *PEERS):
        built = build(name, TINY)
        counts[name] = clip_inputs(name, built, 64)["input_ids"].shape[1]
    assert counts == {"FAVOR": 32 + 13 * 32, "Qwen2.5-Omni thinker": 1892, "InstructBlipVideo": 544}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_model_reads_its_clip(name):
    """Other pictures or another sound give other logits, so nothing of the clip is dropped on the way."""
    built = build(name, TINY)
    inputs = clip_inputs(name, built, 4, tokens=20)
    with torch.no_grad():
        logits = built(**inputs).logits[:, -1]
        media = [key for key in ("pixel_values_videos", "pixel_values", "input_features") if key in inputs]
        assert len(media) == {"language model": 0, "InstructBlipVideo": 1}.get(name, 2)
        for key in media:
            changed = built(**(inputs | {key: inputs[key].flip(-1)})).logits[:, -1]
            assert (changed - logits).abs().max() > 1e-7, key


@pytest.mark.parametrize("name", BUILDERS)
def test_the_same_kinds_of_parts_are_frozen(name):
    built = build(name, TINY)
    freeze_towers(built)
    frozen = {key.removeprefix("model.").split(".")[0] for key, v in built.named_parameters() if not v.requires_grad}
    assert (
        frozen
        == {
            "FAVOR": {"vision_tower", "visual_qformer", "audio_tower"},
            "Qwen2.5-Omni thinker": {"visual", "audio_tower"},
            "InstructBlipVideo": {"vision_model", "qformer", "query_tokens"},
            "language model": set(),
        }[name]
    )


def test_answers_are_measured_in_turn():
    results = measure_answers(TINY, seconds=4, repetitions=1, decoded=2)
    models = [*BUILDERS, AGAIN]
    assert list(results["prefill"]) == list(results["decode"]) == models
    assert results["prompt tokens"]["language model"] == results["prompt tokens"]["FAVOR"] == 32 + 32
    assert results["prefill"]["FAVOR"].ratio.median == 1
    table, stages = answers_table(results).split("\n\n")
    assert len(table.splitlines()) == 2 + 2 * len(models) + 2 + 2 * len(BUILDERS)
    assert stages.startswith("FAVOR's prefill, CPU: pictures ")


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_memory_grows_with_the_clip(mode):
    found = {name: measure_memory(name, mode, TINY, (8, 64)) for name in ("FAVOR", "Qwen2.5-Omni thinker")}
    assert found["Qwen2.5-Omni thinker"]["bytes a second"] > 0
    named = {name: found["FAVOR"] | {"bytes a second": 2.0**20} for name in BUILDERS}
    assert slopes_table({"training": named}).splitlines()[-1].endswith("| 1.00 | 1.00 |")


def test_stages_of_the_first_token():
    results = measure_first_token(seconds=1, repetitions=1)
    assert list(results) == [*STAGES, "all stages", "generate"]
    total = sum(results[name]["cpu"].median for name in STAGES)
    assert results["all stages"]["cpu"].median == pytest.approx(total)
    assert "| 100 % |" in first_token_table(results)


def test_imports_of_others_are_those_of_the_package_itself():
    lines = imports_of_others().splitlines()
    assert "import torch" in lines
    assert any(line.startswith("from transformers.models.whisper") for line in lines)
    assert not any("_favor" in line for line in lines)


def test_loading_is_held_against_reading(tmp_path):
    build("FAVOR", TINY).save_pretrained(tmp_path)
    found = measure_load(tmp_path, repetitions=1)
    assert found["bytes"] == (tmp_path / "model.safetensors").stat().st_size
    assert {"load", "touch", "read"} <= set(found)


def test_calls_run_in_turn_and_ratios_are_pairwise():
    order: list[str] = []
    timings = time_in_turn({name: lambda name=name: order.append(name) for name in "ab"}, 3, compared="a", warm_up=1)
    assert order == list("ab" * 4)
    assert timings["a"].ratio == Spread(1, 1, 1)


def test_peak_memory_counts_what_was_freed_before_the_end():
    def call() -> int:
        return int(torch.ones(16 << 20).sum())  # 64 MiB

    size, result = peak_memory(call)
    assert result == 16 << 20
    assert 60 << 20 < size < 100 << 20


def test_a_slope_is_that_of_the_line():
    assert slope({16: 100, 64: 148, 128: 212, 256: 340}) == pytest.approx(1)


def test_the_command_prints_parts_and_writes_json(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(model.PARTS, "memory", (lambda _: {"found": Spread(1, 0, 2)}, str))
    monkeypatch.setattr("sys.argv", ["model", "--parts", "memory", "--json", str(tmp_path / "out.json")])
    model.main()
    assert "## memory" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["memory"]["found"] == {"median": 1, "low": 0, "high": 2}


def test_without_a_gpu_nothing_is_measured(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit) as stopped:
        gpu.main()
    assert stopped.value.code == 2
    assert "no CUDA device, and nothing was measured" in capsys.readouterr().err


def test_the_gpu_benchmark_runs_on_the_cpu(capsys, monkeypatch, tmp_path):
    out = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--preset", "favor-tiny", "--seconds", "2", "--tokens", "4", "--repetitions", "1"]
    monkeypatch.setattr("sys.argv", ["gpu", *options, "--json", str(out)])
    gpu.main()
    results = json.loads(out.read_text())
    assert results["dtype"] == "torch.bfloat16"
    window = preset_config("favor-tiny").connector_config.num_query_tokens
    assert results["prompt tokens"] == gpu.TEXT_TOKENS + window
    assert set(results["tokens a second"]) == {"dynamic", "static"}
    assert "say nothing of a GPU" in capsys.readouterr().out


def test_both_ways_to_the_first_token_give_the_same(tmp_path):
    built = gpu.random_model("favor-tiny", torch.device("cpu")).float()
    clip = Path(tmp_path) / "clip.mp4"
    gpu.write_clip(clip, 5)
    with torch.no_grad():
        ways_there = gpu.first_token_ways(built, gpu.random_processor(built), clip)
        at_once, watched = (ways_there[name]() for name in ("at once", "watched"))
    torch.testing.assert_close(watched, at_once, atol=1e-4, rtol=1e-4)
