# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Speed and memory of the model, as ratios to references in the same run: prints the tables of docs/speed.md.

    python -m benchmarks.model                          # all parts: ten minutes of CPU time
    python -m benchmarks.model --parts answers          # one or more of them
    python -m benchmarks.model --json results.json      # every number, with its spread

Random weights, float32, one thread. Parts:

- `connector`: forward and backward at the 13B system's widths, against plain readings of its description.
- `answers`: prefill, a decoded token and a training step on a clip of 64 s, against the thinker of Qwen2.5-Omni,
  InstructBlipVideo (both transformers') and the bare language model on as many tokens as FAVOR's prompt.
- `memory`: peak resident memory over clips of 16 to 256 s, inference and training, each model in a process of its own.
- `first-token`: favor-tiny from a file of 60 s to the first token of its answer, stage by stage.
- `start`: `favor --help`, `import favor.modeling_favor`, loading from safetensors.
- `variants`: what was tried and is not done: skipped blocks, `torch.compile`, audio without padding.

What is compared runs in turn (A B A B ...); times are medians with the smallest and largest, ratios are of CPU time,
of neighbouring runs: on a shared machine read those.
"""

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, is_dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from .model_answers import answers_table, measure_answers, measure_memory, measure_slopes, slopes_table
from .model_connector import connector_table, measure_connector
from .model_peers import Sizes
from .model_start import first_token_table, measure_first_token, measure_start, start_table
from .model_variants import measure_variants, variants_table

SECONDS, FILE_SECONDS = 64, 60
DECODED = 300  # tokens of each model


def sizes_text(sizes: Sizes) -> str:
    return (
        f"Language model {sizes.text_width} wide x {sizes.text_layers} layers, towers {sizes.tower_width} x "
        f"{sizes.tower_layers} with {sizes.tower_heads} heads, {sizes.visual_queries} vectors per picture, "
        f"audio tower in chunks of {sizes.audio_chunk_seconds} s"
    )


def answers_of_all_sizes(repetitions: int, seconds: int = SECONDS) -> list[dict[str, Any]]:
    """Four sizes, because the ratios depend on them: short audio chunks as the peer's, more heads, wider towers."""
    first = Sizes()
    changes: tuple[dict[str, int], ...] = ({}, {"audio_chunk_seconds": 2}, {"tower_heads": 4}, {"tower_width": 128})
    several = [replace(first, **change) for change in changes]
    return [
        {"sizes": sizes, "results": measure_answers(sizes, seconds, max(3, repetitions - 3 * number), DECODED)}
        for number, sizes in enumerate(several)
    ]


def answers_text(several: list[dict[str, Any]]) -> str:
    return "\n\n".join(f"{sizes_text(one['sizes'])}:\n\n{answers_table(one['results'])}" for one in several)


PARTS: dict[str, tuple[Callable[[int], Any], Callable[[Any], str]]] = {
    "connector": (lambda repetitions: measure_connector(max(1, repetitions // 3)), connector_table),
    "answers": (answers_of_all_sizes, answers_text),
    "memory": (lambda _: measure_slopes(Sizes()), slopes_table),
    "first-token": (lambda repetitions: measure_first_token(FILE_SECONDS, repetitions), first_token_table),
    "start": (lambda repetitions: measure_start(max(2, repetitions // 2)), start_table),
    "variants": (lambda repetitions: measure_variants(max(2, repetitions // 2)), variants_table),
}


def plain_data(value: Any) -> Any:
    """Nested results as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {str(key): plain_data(item) for key, item in value.items()}
    return [plain_data(item) for item in value] if isinstance(value, list | tuple) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repetitions", type=int, default=9, help="counted runs of the quick parts; slow ones fewer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if arguments.memory_of:
        request = json.loads(arguments.memory_of)
        sizes = Sizes(**request["sizes"])
        print(json.dumps(measure_memory(request["name"], request["mode"], sizes, tuple(request["lengths"]))))
        return
    machine = f"{platform.processor() or platform.machine()}, one thread, float32, torch {torch.__version__}"
    print(f"{machine}, {date.today()}", flush=True)
    results: dict[str, Any] = {"machine": machine, "date": str(date.today())}
    for name in arguments.parts:
        measure, text = PARTS[name]
        results[name] = measure(arguments.repetitions)
        print(f"\n## {name}\n\n{text(results[name])}", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(plain_data(results), indent=1) + "\n")


if __name__ == "__main__":
    main()
