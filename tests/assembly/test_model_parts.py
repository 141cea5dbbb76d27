# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Public checkpoints become one FAVOR model, bit for bit; wrong or incomplete ones are refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CLIPVisionModel, WhisperForConditionalGeneration, WhisperModel
from transformers.utils.hub import cached_file

from favor.assembly import assemble_model
from favor.modeling_favor import FavorForConditionalGeneration

from .source_checkpoints import (
    VISION_MODELS,
    change_tensors,
    make_language_model,
    make_vision,
    make_whisper,
)

CONNECTOR = {
    "hidden_size": 24,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_query_tokens": 5,
    "window_frames": 3,
    "max_position_embeddings": 100,
}
PROJECTOR = {"model_type": "favor_projector"}
COMBINATIONS = [
    ("llama", "sharded", "instructblip", "sharded_bin"),
    ("llama", "sharded_bin", "blip-2", "single"),
    ("llama", "bin", "instructblipvideo", "sharded"),
    ("qwen3", "single", "siglip", "sharded"),
    ("qwen3_moe", "sharded", "dinov2", "bin"),
    ("phi", "sharded_bin", "siglip", "sharded_bin"),
    ("gpt_neox", "single", "clip", "single"),
]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Makes each source once: `make("llm", "llama", "sharded")`."""
    made: dict[tuple, Path] = {}
    makers = {"llm": make_language_model, "vision": make_vision}

    def make_source(part: str, *arguments: str) -> Path:
        if (part, *arguments) not in made:
            folder = tmp_path_factory.mktemp("-".join((part, *arguments)))
            maker = makers.get(part)
            made[part, *arguments] = make_whisper(folder, *arguments) if maker is None else maker(folder, *arguments)
        return made[part, *arguments]

    return make_source


@pytest.fixture
def sources(make) -> dict[str, Path]:
    """The three parts of a small FAVOR; not to be written to."""
    return {"llm": make("llm", "llama"), "whisper": make("whisper"), "vision": make("vision", "instructblip")}


@pytest.fixture
def copies(sources, tmp_path) -> dict[str, Path]:
    """The same, to be damaged."""
    return {part: Path(shutil.copytree(folder, tmp_path / "sources" / part)) for part, folder in sources.items()}


def assembled(sources: dict[str, Path], out_dir: Path, **values):
    values.setdefault("connector_config", CONNECTOR)
    report = assemble_model(**sources, out_dir=out_dir, **values)
    model, loading = FavorForConditionalGeneration.from_pretrained(out_dir, output_loading_info=True)
    assert not any(loading.values()), loading
    return model.eval(), report


def assert_same(module: torch.nn.Module, source: torch.nn.Module) -> None:
    expected, actual = source.state_dict(), module.state_dict()
    assert set(actual) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name
        assert actual[name].dtype == tensor.dtype, name


def all_tensors(folder: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for file in folder.glob("*.safetensors"):
        tensors.update(load_file(file))
    for file in folder.glob("pytorch_model*.bin"):
        tensors.update(torch.load(file, weights_only=True))
    return tensors


@pytest.mark.parametrize(("llm", "llm_layout", "vision", "vision_layout"), COMBINATIONS)
def test_every_part_is_its_source_bit_for_bit(make, tmp_path, llm, llm_layout, vision, vision_layout):
    sources = {
        "llm": make("llm", llm, llm_layout),
        "whisper": make("whisper", llm_layout),
        "vision": make("vision", vision, vision_layout),
    }
    model, report = assembled(sources, tmp_path / "model", max_shard_size="200KB")
    source_llm = AutoModelForCausalLM.from_pretrained(sources["llm"]).eval()
    assert_same(model.model.language_model, source_llm.base_model)
    assert_same(model.lm_head, source_llm.get_output_embeddings())
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == (llm == "qwen3")
    whisper = WhisperForConditionalGeneration.from_pretrained(sources["whisper"])
    assert_same(model.model.audio_tower, whisper.model.encoder)
    source_vision = VISION_MODELS[vision][1].from_pretrained(sources["vision"])
    assert_same(model.model.vision_tower, getattr(source_vision, "vision_model", source_vision))
    assert (model.model.visual_qformer is not None) == ("blip" in vision)
    if model.model.visual_qformer is not None:
        assert_same(model.model.visual_qformer.qformer, source_vision.qformer)
        assert torch.equal(model.model.visual_qformer.query_tokens, source_vision.query_tokens)
    ids = torch.tensor([[5, 17, 120, 44, 9]])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, source_llm(input_ids=ids).logits)
    assert [part.kind for part in report.parts] == [llm, "whisper", vision]


@pytest.mark.parametrize(("llm", "vision"), [("llama", "instructblip"), ("qwen3", "siglip"), ("qwen3_moe", "siglip")])
def test_the_files_are_those_that_the_model_itself_saves(make, tmp_path, llm, vision):
    sources = {"llm": make("llm", llm), "whisper": make("whisper"), "vision": make("vision", vision)}
    model, report = assembled(sources, tmp_path / "model", max_shard_size="200KB")
    model.save_pretrained(tmp_path / "saved")
    ours, theirs = all_tensors(tmp_path / "model"), all_tensors(tmp_path / "saved")
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(ours)
    assert sorted(set(index["weight_map"].values())) == sorted(report.files)
    assert index["metadata"]["total_size"] == report.num_bytes
    assert all((tmp_path / "model" / file).stat().st_size < 300e3 for file in report.files)
    again = assemble_model(**sources, out_dir=tmp_path / "one", connector_config=CONNECTOR)
    assert again.files == ["model.safetensors"]
    assert not (tmp_path / "one" / "model.safetensors.index.json").exists()


@pytest.mark.parametrize("layout", ["single", "sharded", "bin", "sharded_bin"])
def test_every_tensor_of_every_source_is_accounted_for(make, tmp_path, layout):
    sources = {"llm": make("llm", "phi", layout), "whisper": make("whisper", layout)}
    sources["vision"] = make("vision", "instructblip", layout)
    _, report = assembled(sources, tmp_path / "model")
    for part in report.parts:
        tensors = all_tensors(sources[part.part])
        counted = part.tensors + len(part.ignored_buffers) + len(part.unexpected) + sum(part.unused.values())
        assert counted == len(tensors)
        assert not part.unexpected
        assert all(name.endswith(("inv_freq", "position_ids")) for name in part.ignored_buffers)
        assert bool(part.ignored_buffers) == layout.endswith("bin")
    unused = {part.part: part.unused for part in report.parts}
    assert set(unused["whisper"]) == {"model.decoder"}
    assert set(unused["vision"]) == {"language_model", "language_projection"}
    text = "\n".join(report.lines())
    assert "must be trained" in text
    assert f"model.decoder {unused['whisper']['model.decoder']}" in text


def test_unexpected_tensors_are_named(copies, tmp_path):
    change_tensors(copies["vision"], lambda tensors: tensors | {"vision_model.head.weight": torch.ones(2)})
    _, report = assembled(copies, tmp_path / "model")
    assert report.parts[2].unexpected == ["vision_model.head.weight"]
    assert any("WARNING" in line and "vision_model.head.weight" in line for line in report.lines())


def test_a_model_without_its_head_classes_is_read_too(sources, tmp_path):
    """WhisperModel and CLIPVisionModel alone, and a tower saved by itself, have other names for the same tensors."""
    whisper = WhisperForConditionalGeneration.from_pretrained(sources["whisper"])
    for number, part in enumerate((whisper.model, whisper.model.encoder)):
        folder = tmp_path / f"whisper{number}"
        part.save_pretrained(folder)
        shutil.copy(sources["whisper"] / "preprocessor_config.json", folder)
        model, _ = assembled({**sources, "whisper": folder}, tmp_path / f"model{number}")
        assert_same(model.model.audio_tower, whisper.model.encoder)
    assert type(whisper.model) is WhisperModel
    clip = VISION_MODELS["clip"][1].from_pretrained(make_vision(tmp_path / "clip", "clip"))
    tower = CLIPVisionModel(clip.config.vision_config)
    tower.load_state_dict(clip.vision_model.state_dict())
    tower.save_pretrained(tmp_path / "tower")
    model, _ = assembled({**sources, "vision": tmp_path / "tower"}, tmp_path / "model")
    assert_same(model.model.vision_tower, clip.vision_model)


def test_auto_keeps_each_parts_precision_and_others_cast(sources, tmp_path):
    dtypes = {"llm": torch.bfloat16, "whisper": torch.float16, "vision": torch.float32}
    halved = {}
    for part, dtype in dtypes.items():
        halved[part] = Path(shutil.copytree(sources[part], tmp_path / part))
        change_tensors(halved[part], lambda tensors, dtype=dtype: {n: t.to(dtype) for n, t in tensors.items()})
    assemble_model(**halved, out_dir=tmp_path / "auto", connector_config=CONNECTOR)
    tensors = all_tensors(tmp_path / "auto")
    kept = {"model.language_model": "llm", "lm_head": "llm", "model.audio_tower": "whisper"}
    for name, tensor in tensors.items():
        part = next((part for prefix, part in kept.items() if name.startswith(prefix)), "vision")
        assert tensor.dtype == dtypes[part], name
    config = json.loads((tmp_path / "auto" / "config.json").read_text())
    assert {config["dtype"], config["text_config"]["dtype"], config["audio_config"]["dtype"]} == {"bfloat16"}
    source = all_tensors(halved["whisper"])["model.encoder.layers.0.fc1.weight"]
    assert torch.equal(tensors["model.audio_tower.layers.0.fc1.weight"], source)
    assemble_model(**halved, out_dir=tmp_path / "cast", dtype="float16", connector_config=CONNECTOR)
    cast = all_tensors(tmp_path / "cast")
    assert {tensor.dtype for tensor in cast.values()} == {torch.float16}
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(cast[name], tensors[name].to(torch.float16))
    assert FavorForConditionalGeneration.from_pretrained(tmp_path / "cast").dtype == torch.float16


def test_the_connector_is_random_by_the_seed_alone(sources, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    models = [assembled(sources, tmp_path / str(i), seed=seed)[0] for i, seed in enumerate((0, 0, 1))]
    assert torch.equal(torch.rand(1), expected), "the caller's random numbers are left alone"
    first, same, other = (model.model.connector.state_dict() for model in models)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["causal_qformer.query_tokens"], other["causal_qformer.query_tokens"])
    std = models[0].config.connector_config.initializer_range
    assert first["language_projection.weight"].std().item() == pytest.approx(std, rel=0.2)


def test_the_config_is_read_off_the_parts(make, tmp_path):
    sources = {"llm": make("llm", "phi"), "whisper": make("whisper"), "vision": make("vision", "siglip")}
    model, _ = assembled(sources, tmp_path / "model", connector_config=PROJECTOR, frame_rate=1.0)
    config = model.config
    assert config.num_visual_query_tokens == 4  # 2 x 2 patches
    assert config.qformer_config is None
    assert (config.audio_encoder_rate, config.frame_rate, config.lm_head_bias) == (50.0, 1.0, True)
    assert config.connector_config.model_type == "favor_projector"
    assert config.video_token_id == config.text_config.vocab_size
    assert model.generation_config.temperature == 0.9
    clip, _ = assembled({**sources, "vision": make("vision", "clip")}, tmp_path / "clip")
    assert clip.config.num_visual_query_tokens == 5  # and the class token
    without = {**sources, "vision": make("vision", "instructblip")}
    bare, _ = assembled(without, tmp_path / "bare", qformer_config=None)
    assert bare.model.visual_qformer is None
    assert bare.config.num_visual_query_tokens == 5


def test_the_position_table_is_as_long_as_a_window(make, sources, tmp_path):
    values = {**CONNECTOR, "window_frames": 200}
    values.pop("max_position_embeddings")
    model, _ = assembled(sources, tmp_path / "long", connector_config=values)
    assert model.config.connector_config.max_position_embeddings == 200 * 32
    with pytest.raises(ValueError, match=r"6400.* is 100: set it to 6400, or window_frames to 3"):
        assembled(sources, tmp_path / "short", connector_config={**CONNECTOR, "window_frames": 200})


def test_a_hub_repository_gives_only_the_files_that_are_needed(make, sources, tmp_path):
    """An InstructBLIP of the Hub holds a language model that nobody needs."""
    folder = make("vision", "instructblip", "sharded")
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for name, file in index.items() if not name.startswith("language")}
    assert needed < set(index.values())
    from huggingface_hub.constants import HF_HUB_CACHE

    repository = Path(HF_HUB_CACHE) / "models--favor-tests--instructblip"
    commit = "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(folder, repository / "snapshots" / commit))
    for file in set(index.values()) - needed:
        (snapshot / file).unlink()
    assert cached_file("favor-tests/instructblip", "config.json") is not None
    local, _ = assembled({**sources, "vision": folder}, tmp_path / "local")
    from_hub, _ = assembled({**sources, "vision": "favor-tests/instructblip"}, tmp_path / "hub")
    assert_same(from_hub, local)
    (snapshot / min(needed)).unlink()
    with pytest.raises((ValueError, OSError), match=min(needed)):
        assembled({**sources, "vision": "favor-tests/instructblip"}, tmp_path / "broken")


DAMAGES = {
    "a tensor is missing in the file": (
        lambda folders: change_tensors(folders["llm"], lambda t: without(t, "model.layers.1.mlp.up_proj.weight")),
        r"1 tensors are missing: model.language_model.layers.1.mlp.up_proj.weight \(of llm .*llm\)",
    ),
    "the head is missing": (
        lambda folders: change_tensors(folders["llm"], lambda t: without(t, "lm_head.weight")),
        r"missing: lm_head.weight \(of llm",
    ),
    "an encoder tensor is missing": (
        lambda folders: change_tensors(folders["whisper"], lambda t: without(t, "model.encoder.conv1.bias")),
        r"missing: model.audio_tower.conv1.bias \(of whisper",
    ),
    "the queries are missing": (
        lambda folders: change_tensors(folders["vision"], lambda t: without(t, "query_tokens")),
        r"missing: model.visual_qformer.query_tokens \(of vision",
    ),
    "only the decoder is there": (
        lambda folders: change_tensors(
            folders["whisper"], lambda t: {name: x for name, x in t.items() if "encoder." not in name}
        ),
        r"whisper .* holds no tensor of FAVOR's audio_tower: its \d+ tensors are model.decoder",
    ),
    "a tensor has another shape": (
        lambda folders: change_tensors(folders["vision"], lambda t: t | {"qformer.layernorm.weight": torch.ones(23)}),
        r"qformer.layernorm.weight of .*model.safetensors \(FAVOR's .*\) is \(23,\), not \(24,\)",
    ),
    "the config is another model's": (
        lambda folders: edit_json(folders["llm"] / "config.json", {"intermediate_size": 50}),
        r"mlp.down_proj.weight of .*model.safetensors .* is \(32, 48\), not \(32, 50\)",
    ),
    "another number of queries": (
        lambda folders: edit_json(folders["vision"] / "config.json", {"num_query_tokens": 16}),
        r"query_tokens of .* is \(1, 32, 24\), not \(1, 16, 24\)",
    ),
    "the file is cut short": (
        lambda folders: truncate(folders["llm"] / "model.safetensors"),
        r"llm/model.safetensors is no readable safetensors file",
    ),
    "the folder is empty": (
        lambda folders: [file.unlink() for file in folders["vision"].rglob("*") if file.is_file()],
        r"vision .* is no model folder: it has no config.json",
    ),
    "only the optimizer was kept": (
        lambda folders: (folders["llm"] / "model.safetensors").rename(folders["llm"] / "optimizer.pt"),
        r"llm holds no weights: none of model.safetensors, .* \(it holds .*optimizer.pt",
    ),
    "the weights are quantised": (
        lambda folders: edit_json(
            folders["llm"] / "config.json",
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        ),
        r"llm .* is quantised: give the checkpoint that it was made of",
    ),
    "no feature extractor": (
        lambda folders: (folders["whisper"] / "preprocessor_config.json").unlink(),
        r"whisper .* has no preprocessor_config.json",
    ),
}


def without(tensors: dict, *names: str) -> dict:
    assert set(names) <= set(tensors)
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def edit_json(file: Path, values: dict) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_sources_are_refused_by_name(copies, tmp_path, name):
    damage, message = DAMAGES[name]
    if name == "a tensor has another shape":
        tensor = next(
            n for n in all_tensors(copies["vision"]) if n.startswith("qformer.") and n.endswith("LayerNorm.weight")
        )
        change_tensors(copies["vision"], lambda t: t | {tensor: torch.ones(23)})
        message = message.replace("qformer.layernorm.weight", tensor.replace(".", "[.]"))
    else:
        damage(copies)
    with pytest.raises(ValueError, match=message):
        assemble_model(**copies, out_dir=tmp_path / "model", connector_config=CONNECTOR)
    assert not list((tmp_path / "model").glob("*.safetensors"))


@pytest.mark.parametrize("layout", ["sharded", "sharded_bin"])
def test_damaged_shards_are_refused_by_name(make, sources, tmp_path, layout):
    folder = Path(shutil.copytree(make("llm", "llama", layout), tmp_path / "llm"))
    index = next(folder.glob("*.index.json"))
    files = json.loads(index.read_text())["weight_map"]
    shard = files["model.layers.1.mlp.up_proj.weight"]
    other = next(file for file in files.values() if file != shard)

    def refused(match: str) -> None:
        with pytest.raises(ValueError, match=match):
            assemble_model(**{**sources, "llm": folder}, out_dir=tmp_path / "out", connector_config=CONNECTOR)

    edit_json(index, {"weight_map": files | {"model.layers.1.mlp.up_proj.weight": other}})
    refused(rf"{other} lacks model.layers.1.mlp.up_proj.weight, which the index promises")
    edit_json(index, {"weight_map": files | {"model.layers.1.mlp.up_proj.weight": "../secret.bin"}})
    refused("names files outside its folder: ../secret.bin")
    edit_json(index, {"weight_map": files})
    content = (folder / shard).read_bytes()
    (folder / shard).write_bytes(b"not a tensor")
    refused(shard)
    (folder / shard).unlink()
    refused(rf"lacks the file {shard}, which its index names")
    (folder / shard).write_bytes(content)
    index.write_text("{}")
    refused("is no index of weight files")


def test_an_incomplete_set_of_experts_is_refused(make, sources, tmp_path):
    folder = Path(shutil.copytree(make("llm", "qwen3_moe"), tmp_path / "llm"))
    change_tensors(folder, lambda t: without(t, "model.layers.0.mlp.experts.2.down_proj.weight"))
    with pytest.raises(ValueError, match=r"experts.down_proj.* is \(3, 32, 16\), not \(4, 32, 16\)"):
        assemble_model(**{**sources, "llm": folder}, out_dir=tmp_path / "out", connector_config=CONNECTOR)


@pytest.mark.parametrize(
    ("part", "given", "message"),
    [
        ("llm", "whisper", r"llm .* is of type 'whisper', which is more than a language model"),
        ("llm", "vision", r"llm .* is of type 'instructblip', which is more than a language model"),
        ("whisper", "llm", r"whisper .* is of type 'llama': give a Whisper checkpoint"),
        ("vision", "llm", r"vision .* is of type 'llama', which has no vision tower"),
        ("vision", "whisper", r"vision .* is of type 'whisper', which has no vision tower"),
    ],
)
def test_swapped_sources_are_refused(sources, tmp_path, part, given, message):
    with pytest.raises(ValueError, match=message):
        assemble_model(**{**sources, part: sources[given]}, out_dir=tmp_path, connector_config=CONNECTOR)


@pytest.mark.parametrize("source", ["/nowhere/model", "no-such-folder", "one/two/three"])
def test_sources_that_do_not_exist_are_refused(sources, tmp_path, source):
    with pytest.raises(ValueError, match=f"llm {source} is neither a model folder nor a Hub id"):
        assemble_model(**{**sources, "llm": source}, out_dir=tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame_rte": 1.0}, "frame_rte: no value"),
        ({"text_config": {"hidden_size": 8}}, "text_config: no value"),
        ({"connector_config": {**CONNECTOR, "window_frame": 3}}, "connector_config has no window_frame"),
        ({"connector_config": {**PROJECTOR, "window_frames": 3}}, "connector_config has no window_frames"),
        ({"frame_rate": 3.0}, "not a whole multiple"),
        ({"dtype": "int8"}, "dtype must be auto, float32, float16, bfloat16; got 'int8'"),
    ],
)
def test_values_that_no_model_has_are_refused(sources, tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        assemble_model(**sources, out_dir=tmp_path, **values)


def test_a_pickle_that_would_run_code_is_not_read(make, sources, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = Path(shutil.copytree(make("llm", "llama", "bin"), tmp_path / "llm"))
    torch.save({"model.norm.weight": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pytorch_model.bin is no file of weights that can be read safely"):
        assemble_model(**{**sources, "llm": folder}, out_dir=tmp_path / "out", connector_config=CONNECTOR)
    assert not (tmp_path / "ran").exists()
