# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is shipped of a model of public parts: the trained weights in half precision and the few values that differ."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from favor.assembly.model_parts import ModelAssembly
from favor.assembly.package_parts import package_part_names
from favor.assembly.ship import main
from favor.assembly.shipped_model import SETTINGS, WEIGHTS, is_shipped, read_adapter, read_shipped, write_shipped
from favor.model_folder import assemble_folder
from favor.modeling_favor import FavorConfig
from favor.processing import FavorProcessor

from .shipped_models import CONFIG, StandIn, make_stand_in
from .source_checkpoints import change_tensors, make_language_model, make_vision, make_whisper


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> StandIn:
    return make_stand_in(tmp_path_factory.mktemp("stand-in"))


def test_what_was_trained_is_shipped_in_half_precision_and_nothing_else(stand_in):
    trained, shipped = load_file(stand_in.adapter / WEIGHTS), load_file(stand_in.shipped / WEIGHTS)
    assert set(trained) == set(shipped)
    for name, tensor in trained.items():
        assert shipped[name].dtype == torch.float16
        torch.testing.assert_close(shipped[name].float(), tensor, rtol=2**-11, atol=2**-24)
    settings, weights = read_shipped(stand_in.shipped)
    assert settings.config == CONFIG and settings.lora_alpha == 8 and settings.dtype == "float32"
    assert settings.parts == {role: package_part_names(role)[0] for role in ("llm", "whisper", "vision")}
    assert len(weights.lora) == 2 * 4 and all(len(a) == 4 for a, _ in weights.lora.values())
    assert sorted(file.name for file in stand_in.shipped.iterdir()) == sorted([SETTINGS, WEIGHTS])


def test_the_program_ships_a_run_with_its_record_and_its_own_template(stand_in, tmp_path, capsys):
    (stand_in.adapter / "training_record.json").write_text('{"recipe": "mine.yaml"}')
    command, template = [str(stand_in.adapter), str(tmp_path / "out")], stand_in.adapter / "chat_template.jinja"
    main([*command, "--dtype", "float32"])
    assert "note" not in capsys.readouterr().out
    assert {file.name for file in (tmp_path / "out").iterdir()} == {SETTINGS, WEIGHTS, "training_record.json"}
    for name in (SETTINGS, WEIGHTS):
        assert (tmp_path / "out" / name).read_bytes() == (stand_in.shipped / name).read_bytes()
    own = template.read_text()
    template.write_text(own + " ")
    main(command)
    assert "it is shipped, too" in capsys.readouterr().out and (tmp_path / "out" / template.name).is_file()
    template.write_text(own)
    with pytest.raises(SystemExit):
        main([*command, "--recipe", "nowhere.yaml"])
    assert "name the run's recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"use_rslora": True}, "use_rslora"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"bias": "all"}, "bias 'all'"),
        ({"peft_type": "IA3"}, "it is IA3"),
        ({"r": 8}, r"rank \[4\], its config says 8"),
    ],
)
def test_adapters_of_other_kinds_are_refused(stand_in, tmp_path, changes, said):
    settings = json.loads((stand_in.adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, **changes}))
    (tmp_path / WEIGHTS).write_bytes((stand_in.adapter / WEIGHTS).read_bytes())
    with pytest.raises(ValueError, match=said):
        write_shipped(tmp_path, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {**t, "base_model.model.lm_head.weight": torch.ones(2)}, "neither .*lm_head.weight"),
        (
            lambda t: {n: v for n, v in t.items() if "layers.1.self_attn.q_proj.lora_A" not in n},
            "half a LoRA of layers.1",
        ),
        (lambda t: {n: v for n, v in t.items() if "connector" not in n}, "no connector"),
        (lambda t: {n: v * 1e9 for n, v in t.items()}, "more than the 65504 of float16"),
    ],
)
def test_weights_that_are_not_a_whole_adapter_are_refused(stand_in, tmp_path, change, said):
    (tmp_path / "adapter_config.json").write_bytes((stand_in.adapter / "adapter_config.json").read_bytes())
    save_file(change(load_file(stand_in.adapter / WEIGHTS)), tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=said):
        write_shipped(tmp_path, tmp_path / "out", CONFIG)


def test_a_broken_shipment_is_named(stand_in, tmp_path):
    assert not is_shipped(tmp_path)
    with pytest.raises(FileNotFoundError, match="lacks shipped_model.json"):
        read_shipped(tmp_path)
    settings = json.loads((stand_in.shipped / SETTINGS).read_text())
    (tmp_path / WEIGHTS).write_bytes((stand_in.shipped / WEIGHTS).read_bytes())
    for change, said in (
        ({"parts": {**settings["parts"], "llm": "gpt-2"}}, "parts must name"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"alpha": 3}, "alpha"),
    ):
        (tmp_path / SETTINGS).write_text(json.dumps({**settings, **change}))
        with pytest.raises(ValueError, match=said):
            read_shipped(tmp_path)
    assert read_adapter(tmp_path / WEIGHTS).connector


# Chunks of sound


def test_a_model_is_assembled_with_shorter_chunks_of_sound(stand_in, tmp_path):
    whole, short = stand_in.base, tmp_path / "short"
    assemble_folder(**stand_in.parts, out_dir=short, audio_config={"max_source_positions": 50})
    extractors = [FavorProcessor.from_pretrained(folder).feature_extractor for folder in (whole, short)]
    assert [extractor.nb_max_frames for extractor in extractors] == [200, 100]
    name = "model.audio_tower.embed_positions.weight"
    tables = [load_file(folder / "model.safetensors")[name] for folder in (whole, short)]
    assert len(tables[1]) == 50 and torch.equal(tables[1], tables[0][:50])
    assert FavorConfig.from_pretrained(short).audio_config.max_source_positions == 50


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_source_positions": 101}, "must be 1 to 100"),
        ({"max_source_positions": 0}, "must be 1 to 100"),
        ({"d_model": 8}, "audio_config.d_model is the checkpoint's own"),
        ({"max_source_positions": 51}, "last 1.02 s, but a chunk has whole seconds: 1 or 2"),
    ],
)
def test_other_changes_of_the_audio_encoder_are_refused(stand_in, tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        assemble_folder(**stand_in.parts, out_dir=tmp_path / "out", audio_config=change)


def test_a_lora_is_merged_before_it_is_rounded(tmp_path):
    """A float32 folder of float16 parts keeps what a LoRA adds beyond float16."""
    parts = [make_language_model(tmp_path / "llm"), make_whisper(tmp_path / "whisper")]
    change_tensors(parts[0], lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    assembly = ModelAssembly(*parts, make_vision(tmp_path / "vision", "siglip"))
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    added = 2.0**-20
    for dtype in ("float32", "auto"):
        out = tmp_path / dtype
        out.mkdir()
        assembly.write(out, dtype, changes={name: lambda weight: (weight.float() + added).to(weight.dtype)})
        found = load_file(out / "model.safetensors")[name]
        before = load_file(parts[0] / "model.safetensors")["model.layers.0.self_attn.q_proj.weight"].float()
        assert torch.equal(found.float(), before + added) == (dtype == "float32")
