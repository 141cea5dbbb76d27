# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Memory and speed of assembling a 4 GB model, beside a plain copy of the same files: `python -m benchmarks.assembly`.

The language model is synthetic: LLaMA's layout in float16 shards of one layer each, 4,096 wide, as many layers as
`--gigabytes` needs; the towers are tiny. Each round copies the language model's files with `shutil.copyfile`, then
assembles in a new process. Memory is the largest resident set (VmHWM, private memory and mapped file pages alike)
less the resident set after the imports. Nothing is flushed to the disk: both read and write through the page cache.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

HIDDEN, INTERMEDIATE, VOCABULARY = 4096, 11008, 32000
LAYER_BYTES = 2 * (4 * HIDDEN**2 + 3 * HIDDEN * INTERMEDIATE + 2 * HIDDEN)
EMBEDDING_BYTES = 2 * 2 * VOCABULARY * HIDDEN
MEGABYTE = 1e6


def write_sources(folder: Path, gigabytes: float) -> int:
    """Writes the parts; returns the bytes of the language model."""
    from transformers import (
        LlamaConfig,
        SiglipConfig,
        SiglipModel,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = SiglipConfig(text_config={**sizes, "vocab_size": 100}, vision_config={**sizes, "image_size": 32})
    SiglipModel(vision).save_pretrained(folder / "vision")
    WhisperForConditionalGeneration(
        WhisperConfig(
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
        )
    ).save_pretrained(folder / "whisper")
    WhisperFeatureExtractor().save_pretrained(folder / "whisper")
    layers = max(1, round((gigabytes * 1e9 - EMBEDDING_BYTES) / LAYER_BYTES))
    LlamaConfig(
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        vocab_size=VOCABULARY,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=32,
    ).save_pretrained(folder / "llm")
    return write_language_model(folder / "llm", layers)


def write_language_model(folder: Path, layers: int) -> int:
    """Random float16 weights, a file per layer and one for the rest, with an index."""
    shapes = {
        **dict.fromkeys((f"self_attn.{side}_proj.weight" for side in "qkvo"), (HIDDEN, HIDDEN)),
        **dict.fromkeys(("mlp.gate_proj.weight", "mlp.up_proj.weight"), (INTERMEDIATE, HIDDEN)),
        "mlp.down_proj.weight": (HIDDEN, INTERMEDIATE),
        **dict.fromkeys(("input_layernorm.weight", "post_attention_layernorm.weight"), (HIDDEN,)),
    }
    rest = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), (VOCABULARY, HIDDEN))
    shards = [{f"model.layers.{layer}.{name}": shape for name, shape in shapes.items()} for layer in range(layers)]
    shards.append({**rest, "model.norm.weight": (HIDDEN,)})
    files, num_bytes = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {
            name: torch.empty(shape, dtype=torch.float16).uniform_(-0.02, 0.02) for name, shape in shard.items()
        }
        save_file(tensors, folder / file, metadata={"format": "pt"})
        files.update(dict.fromkeys(tensors, file))
        num_bytes += sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": num_bytes}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return num_bytes


def assemble(sources: Path, out_dir: Path, dtype: str, max_shard_size: str) -> dict[str, float]:
    """In this process: seconds and bytes of memory above the imports, and what was written."""
    from favor.assembly import assemble_model

    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started = time.perf_counter()
    report = assemble_model(
        **{part: sources / part for part in ("llm", "whisper", "vision")},
        out_dir=out_dir,
        dtype=dtype,
        max_shard_size=max_shard_size,
    )
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "peak_bytes": memory("VmHWM") - before,
        "import_bytes": before,
        "written_bytes": report.num_bytes,
        "shards": len(report.files),
    }


def memory(field: str) -> int:
    """Bytes, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def measure(gigabytes: float, dtype: str, max_shard_size: str, rounds: int, scratch: str | None) -> dict:
    """All rounds; the medians of seconds, the largest of memory."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        num_bytes = write_sources(folder, gigabytes)
        copies, runs = [], []
        for _ in range(rounds):
            started = time.perf_counter()
            copy = folder / "copy"
            copy.mkdir()
            for file in (folder / "llm").glob("*.safetensors"):
                shutil.copyfile(file, copy / file.name)
            copies.append(time.perf_counter() - started)
            shutil.rmtree(copy)
            command = [sys.executable, "-m", "benchmarks.assembly", "--child", folder, "--dtype", dtype]
            done = subprocess.run([*command, "--max-shard-size", max_shard_size], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
            shutil.rmtree(folder / "out")
    copied = statistics.median(copies)
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "source_bytes": num_bytes,
        "written_bytes": runs[0]["written_bytes"],
        "shards": runs[0]["shards"],
        "dtype": dtype,
        "max_shard_size": max_shard_size,
        "rounds": rounds,
        "peak_bytes_above_import": max(run["peak_bytes"] for run in runs),
        "import_bytes": runs[0]["import_bytes"],
        "seconds": seconds,
        "gigabytes_per_second": num_bytes / seconds / 1e9,
        "copy_seconds": copied,
        "copy_gigabytes_per_second": num_bytes / copied / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory and speed of assembling a synthetic model.")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of the language model (default: 4)")
    parser.add_argument("--dtype", default="auto", help="as of `favor assemble`")
    parser.add_argument("--max-shard-size", default="1GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", metavar="DIR", help="where the files go for the while (default: the system's)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        out_dir = arguments.child / "out"
        print(json.dumps(assemble(arguments.child, out_dir, arguments.dtype, arguments.max_shard_size)))
        return
    options = (arguments.dtype, arguments.max_shard_size, arguments.rounds, arguments.scratch)
    result = measure(arguments.gigabytes, *options)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['source_bytes'] / 1e9:.2f} GB of weights to {result['shards']} files, dtype {result['dtype']}")
    print(f"peak memory above import  {result['peak_bytes_above_import'] / MEGABYTE:,.0f} MB")
    print(f"resident after import     {result['import_bytes'] / MEGABYTE:,.0f} MB")
    print(f"assembling                {result['seconds']:.1f} s, {result['gigabytes_per_second']:.2f} GB/s")
    print(f"plain copy of the files   {result['copy_seconds']:.1f} s, {result['copy_gigabytes_per_second']:.2f} GB/s")


if __name__ == "__main__":
    main()
