# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads a Whisper from CTranslate2's binary file, as data, into a model folder of transformers.

The file holds the weights by names of CTranslate2, with query, key and value fused into one matrix; tokens and
decoding rules are in the two JSON files beside it.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

BINARY_VERSIONS = (4, 5, 6)  # alike in what is read here
# By the number that stands in the file.
DTYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
# Modules of a layer, CTranslate2's with those of transformers; a fused one has several.
ENCODER_MODULES = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
DECODER_MODULES = {
    **ENCODER_MODULES,
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
}
PARAMETERS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
LONGEST_ANSWER = 448  # tokens, of every published Whisper


@dataclass(frozen=True)
class BinaryModel:
    """
    What a CTranslate2 file holds.

    Attributes:
        spec: name of the model's class there, `"WhisperSpec"`.
        variables: tensors by name; scalars are 0-dimensional.
        aliases: names that stand for another variable.
    """

    spec: str
    variables: dict[str, torch.Tensor]
    aliases: dict[str, str]


class _Reader:
    """A position in the bytes of a file, with errors that name the file."""

    def __init__(self, data: bytes | bytearray, name: str):
        self.data, self.name, self.position = data, name, 0

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        start, self.position = self.position, self.position + size
        if self.position > len(self.data):
            raise ValueError(f"{self.name} ends after {len(self.data)} bytes, but announces {self.position}.")
        return memoryview(self.data)[start : self.position]

    def number(self, kind: str) -> int:
        """A little-endian number; `kind` as in `struct`."""
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0]

    def text(self) -> str:
        """A string with its length before it and a NUL at its end."""
        return bytes(self.take(self.number("H"))).rstrip(b"\0").decode()


def read_binary(data: bytes | bytearray, name: str = "model.bin") -> BinaryModel:
    """Parses the bytes of a CTranslate2 `model.bin`.

    Raises `ValueError` for another version, an unknown type of numbers, and a file that is too short or too long.
    """
    reader = _Reader(data, name)
    version = reader.number("I")
    if version not in BINARY_VERSIONS:
        raise ValueError(f"{name} is of version {version}, no CTranslate2 file of versions 4 to 6.")
    spec = reader.text()
    reader.number("I")  # the spec's revision
    variables = {}
    for _ in range(reader.number("I")):
        variable = reader.text()
        variables[variable] = _read_tensor(reader, variable)
    aliases = {}
    for _ in range(reader.number("I")):
        alias = reader.text()
        aliases[alias] = reader.text()
    if reader.position != len(data):
        raise ValueError(f"{name} has {len(data)} bytes, of which its tables account for {reader.position}.")
    return BinaryModel(spec, variables, aliases)


def _read_tensor(reader: _Reader, variable: str) -> torch.Tensor:
    """One variable: rank, sizes, type, number of bytes, bytes."""
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    kind, size = reader.number("B"), reader.number("I")
    if kind >= len(DTYPES):
        raise ValueError(f"{reader.name}: {variable} is of type {kind}; known are 0 to {len(DTYPES) - 1}.")
    needed = math.prod(shape) * DTYPES[kind].itemsize
    if size != needed:
        raise ValueError(f"{reader.name}: {variable} {shape} of {DTYPES[kind]} needs {needed} bytes and has {size}.")
    return torch.frombuffer(bytearray(reader.take(size)), dtype=DTYPES[kind]).reshape(shape)


def whisper_state(model: BinaryModel) -> dict[str, torch.Tensor]:
    """The weights by the names of `WhisperForConditionalGeneration`; `proj_out` is tied and has none.

    Raises `ValueError` for another model, quantised weights, a variable without a place, and key biases that are not
    zero, for which transformers' class has no place.
    """
    if model.spec != "WhisperSpec":
        raise ValueError(f"The CTranslate2 file holds a {model.spec}, not a Whisper.")
    state: dict[str, torch.Tensor] = {}
    for name, tensor in model.variables.items():
        if tensor.ndim == 0 or name == "decoder/alignment_heads":  # settings, which whisper_config reads
            continue
        if not tensor.is_floating_point() or name.endswith("_scale"):
            raise ValueError(f"The CTranslate2 file holds quantised weights ({name}): give one in float16 or float32.")
        state.update(_renamed(name, tensor))
    return state


def _renamed(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """One variable as one or, fused, several tensors of transformers."""
    side, *modules, parameter = name.split("/")
    where = "/".join(modules)
    if where == "position_encodings" and parameter == "encodings":
        return {f"model.{side}.embed_positions.weight": tensor}
    if where == "embeddings" and parameter == "weight":
        return {f"model.{side}.embed_tokens.weight": tensor}
    if where in ("conv1", "conv2", "layer_norm") and parameter in PARAMETERS:
        return {f"model.{side}.{where}.{PARAMETERS[parameter]}": tensor}
    layer, _, inner = where.partition("/")
    targets = (DECODER_MODULES if side == "decoder" else ENCODER_MODULES).get(inner)
    if not layer.startswith("layer_") or targets is None or parameter not in PARAMETERS:
        raise ValueError(f"The CTranslate2 file holds {name}, which has no place in a Whisper.")
    prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
    state = {}
    for target, part in zip(targets, tensor.chunk(len(targets)), strict=True):
        if target.endswith(".k_proj") and parameter == "bias":
            if part.any():
                raise ValueError(f"{name} has key biases that are not zero: Whisper has none.")
            continue
        state[f"{prefix}.{target}.{PARAMETERS[parameter]}"] = part.clone()
    return state


def whisper_config(model: BinaryModel, token_ids: dict[str, int]) -> WhisperConfig:
    """Sizes off the tensors, numbers of heads off the file's settings, special tokens off the tokenizer."""
    variables = model.variables
    vocab_size, width = variables["decoder/embeddings/weight"].shape
    layers = {
        side: len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_")} - {"layer_norm"})
        for side in ("encoder", "decoder")
    }
    end = token_ids["<|endoftext|>"]
    return WhisperConfig(
        vocab_size=vocab_size,
        d_model=width,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=int(variables["encoder/num_heads"]),
        decoder_attention_heads=int(variables["decoder/num_heads"]),
        encoder_ffn_dim=variables["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        decoder_ffn_dim=variables["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        max_source_positions=variables["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=variables["decoder/position_encodings/encodings"].shape[0],
        decoder_start_token_id=token_ids["<|startoftranscript|>"],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        dtype=variables["encoder/conv1/weight"].dtype,
    )


def generation_config(config: WhisperConfig, token_ids: dict[str, int], rules: dict) -> GenerationConfig:
    """How to decode: the languages and tasks that are tokens, and what CTranslate2's config.json suppresses."""
    languages = {name: number for name, number in token_ids.items() if number in set(rules.get("lang_ids", []))}
    return GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        max_length=min(LONGEST_ANSWER, config.max_target_positions),
        is_multilingual=bool(languages),
        lang_to_id=languages,
        task_to_id={task: token_ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
        no_timestamps_token_id=token_ids["<|notimestamps|>"],
        prev_sot_token_id=token_ids["<|startofprev|>"],
        suppress_tokens=rules.get("suppress_ids", []),
        begin_suppress_tokens=rules.get("suppress_ids_begin", []),
        alignment_heads=rules.get("alignment_heads", []),
        return_timestamps=False,
    )


def write_whisper(binaries: Sequence[Path], config_file: Path, tokenizer_file: Path, out_dir: Path) -> None:
    """Writes a folder of transformers: weights, configs, feature extractor and tokenizer.

    Args:
        binaries: pieces of one `model.bin`, in their order.
        config_file: CTranslate2's config.json.
        tokenizer_file: tokenizer.json.
        out_dir: a folder that is there.

    Raises `ValueError` for a file that is not what its name says, or lacks a tensor.
    """
    model = read_binary(bytearray().join(path.read_bytes() for path in binaries), binaries[0].name)
    state = whisper_state(model)
    tokenizer = WhisperTokenizer(tokenizer_file=str(tokenizer_file))
    token_ids = tokenizer.get_vocab()
    config = whisper_config(model, token_ids)
    with torch.device("meta"):
        whisper = WhisperForConditionalGeneration(config)
    missing = set(whisper.state_dict()) - set(state) - {"proj_out.weight"}
    if missing or set(state) - set(whisper.state_dict()):
        raise ValueError(f"{binaries[0].name} holds no whole Whisper: {sorted(missing)[:3]} are missing.")
    whisper.load_state_dict(state, strict=False, assign=True)
    whisper.tie_weights()
    whisper.generation_config = generation_config(config, token_ids, json.loads(config_file.read_text("utf-8")))
    whisper.save_pretrained(out_dir)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)


__all__ = ["BinaryModel", "read_binary", "whisper_config", "whisper_state", "write_whisper"]
