# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Memory by preset and precision, computed without allocating any: prints the tables of docs/memory.md.

Models are built on the meta device, so that every parameter and buffer is counted as it is, at its place. Quantised
weights are counted as bitsandbytes stores them, with their scales; only the language model's linear layers are
quantised (`modeling_favor/quantization_favor.py`).
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from favor.assembly.presets import preset_config, preset_names, preset_processor
from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration
from favor.processing.query_tokens_favor import item_tokens

GIB = 2**30
MINUTES = (1, 5, 20)
TEXT_TOKENS = 128  # beside the media: prompt and answer
BF16_BYTES = 2


def bf16_bytes(inputs: int, outputs: int) -> int:
    """A linear layer's weight."""
    return BF16_BYTES * inputs * outputs


def fp32_bytes(inputs: int, outputs: int) -> int:
    """A linear layer's weight."""
    return 4 * inputs * outputs


def int8_bytes(inputs: int, outputs: int) -> int:
    """LLM.int8: a byte a weight, a float32 scale an output."""
    return inputs * outputs + 4 * outputs


def nf4_bytes(inputs: int, outputs: int) -> int:
    """Half a byte a weight, a float32 scale for 64 of them, the 16 values of the code."""
    weights = inputs * outputs
    return math.ceil(weights / 2) + 4 * math.ceil(weights / 64) + 4 * 16


def nested_nf4_bytes(inputs: int, outputs: int) -> int:
    """As nf4, the scales themselves in 8 bit: with a float32 scale for 256 of them, their offset and their code."""
    weights = inputs * outputs
    scales = math.ceil(weights / 64)
    return math.ceil(weights / 2) + scales + 4 * math.ceil(scales / 256) + 4 + 4 * 256 + 4 * 16


@dataclass(frozen=True)
class Precision:
    """How a column of the table stores the language model's linear layers, and everything else."""

    title: str
    linear_bytes: Callable[[int, int], int]
    element_bytes: int


PRECISIONS = (
    Precision("fp32", fp32_bytes, 4),
    Precision("bf16", bf16_bytes, BF16_BYTES),
    Precision("8 bit", int8_bytes, BF16_BYTES),
    Precision("4 bit (NF4)", nf4_bytes, BF16_BYTES),
    Precision("4 bit, double quantisation", nested_nf4_bytes, BF16_BYTES),
)


def empty_model(config: FavorConfig) -> FavorForConditionalGeneration:
    """All of a model but its memory."""
    with torch.device("meta"):
        return FavorForConditionalGeneration._from_config(config, dtype=torch.bfloat16)


def weight_bytes(model: FavorForConditionalGeneration, precision: Precision) -> int:
    """Bytes of all parameters and buffers; tied weights count once."""
    layers = list(language_model_linears(model))
    quantized = {id(layer.weight) for layer in layers}
    others = [parameter for parameter in model.parameters() if id(parameter) not in quantized]
    return (
        sum(precision.linear_bytes(layer.in_features, layer.out_features) for layer in layers)
        + sum(parameter.numel() * precision.element_bytes for parameter in others)
        + sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    )


def language_model_linears(model: FavorForConditionalGeneration) -> Iterator[nn.Linear]:
    """The layers that are quantised: those of the language model, without its output head."""
    return (module for module in model.model.language_model.modules() if isinstance(module, nn.Linear))


def media_tokens(config: FavorConfig, seconds: float, num_frames: int | None = None) -> int:
    """Language model tokens of a video with sound of that length (docs/architecture.md, length arithmetic).

    `num_frames`: pictures taken of it, whatever its length; by default `frame_rate` of a second.
    """
    frames = math.ceil(seconds * config.frame_rate) if num_frames is None else num_frames
    values = config.processor_values()
    sound = math.ceil(seconds * config.audio_encoder_rate)
    counted = {**values, **values.get("connector_values", {})}
    return item_tokens(counted, frames, sound, config.audio_vectors_per_frame)


def cache_bytes(config: FavorConfig, tokens: int) -> int:
    """Keys and values of one sequence in every attention layer, bf16; short convolutions keep next to nothing."""
    text = config.text_config
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    layers = sum(kind != "conv" for kind in kinds)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return tokens * layers * heads * head_dim * 2 * BF16_BYTES


def weights_table(names: list[str]) -> str:
    """GiB of weights, a row a preset, a column a precision."""
    rows = [["preset", "parameters", *(precision.title for precision in PRECISIONS)]]
    for name in names:
        model = empty_model(preset_config(name))
        sizes = [gib(weight_bytes(model, precision)) for precision in PRECISIONS]
        rows.append([f"`{name}`", parameter_count(model), *sizes])
    return markdown(rows)


def cache_table(names: list[str]) -> str:
    """GiB of KV cache and the tokens it holds, a row a preset, a column a length of video."""
    rows = [["preset", "context of the language model", *(f"{minutes} min of video" for minutes in MINUTES)]]
    for name in names:
        config = preset_config(name)
        context = config.text_config.max_position_embeddings
        row = [f"`{name}`", f"{context:,} tokens"]
        for minutes in MINUTES:
            tokens = media_tokens(config, 60 * minutes, preset_processor(name).get("num_frames")) + TEXT_TOKENS
            beyond = " (beyond the context)" if tokens > context else ""
            row.append(f"{gib(cache_bytes(config, tokens))}: {tokens:,} tokens{beyond}")
        rows.append(row)
    return markdown(rows)


def parameter_count(model: nn.Module) -> str:
    """`14.86 B`, `2.4 M`."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.2f} M"


def gib(size: int) -> str:
    """Two decimals, or four of what would be next to nothing."""
    return f"{size / GIB:.2f}" if size >= GIB / 100 else f"{size / GIB:.4f}"


def markdown(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def report(names: list[str] | None = None) -> str:
    """Both tables, as docs/memory.md holds them."""
    names = preset_names() if names is None else names
    return (
        f"Weights, GiB:\n\n{weights_table(names)}\n\n"
        f"KV cache in bf16 of one sequence, GiB, with {TEXT_TOKENS} tokens of text:\n\n{cache_table(names)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help=f"of {', '.join(preset_names())}; default: all")
    print(report(parser.parse_args().presets or None), end="")


if __name__ == "__main__":
    main()
