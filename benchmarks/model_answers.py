# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Parts (b) and (c) of the model's benchmark: prefill, decoding, training and memory beside other models."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessor, LogitsProcessorList

from favor.modeling_favor.cache_favor import CACHE_NAME, cache_of

from .model_measures import Spread, Timing, markdown, peak_memory, slope, time_in_turn
from .model_peers import BUILDERS, PEERS, Sizes, build, clip_inputs, freeze_towers

REPOSITORY = Path(__file__).parents[1]
LENGTHS = (16, 64, 128, 256)  # seconds
ANSWER_TOKENS = 8
LAST_LOGITS_ONLY = ("FAVOR", "language model")  # the others have no such argument: `generate` computes all
AGAIN = "language model, again"  # a second copy of it: what differs from 1 is noise
MIB = 2**20


def prefill(name: str, model: nn.Module, inputs: dict[str, torch.Tensor]) -> Callable[[], Any]:
    """The forward that gives the first token and the cache, as `generate` calls it."""
    options = {"logits_to_keep": 1} if name.startswith(LAST_LOGITS_ONLY) else {}
    return torch.no_grad()(lambda: model(**inputs, use_cache=True, **options))


def training_step(model: nn.Module, inputs: dict[str, torch.Tensor]) -> Callable[[], None]:
    """Loss on the last tokens, backward, AdamW."""
    labels = inputs["input_ids"].clone()
    labels[:, :-ANSWER_TOKENS] = -100
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6)

    def step() -> None:
        model.train()
        model(**inputs, labels=labels, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.eval()

    return step


def decoding_step(name: str, model: nn.Module, inputs: dict[str, torch.Tensor]) -> Callable[[], Any]:
    """One more token on a cache that holds the prompt."""
    outputs = prefill(name, model, inputs)()
    if name == "InstructBlipVideo":  # its `generate` is its language model's
        model, outputs = model.language_model, outputs.language_model_outputs
    cache, token = cache_of(outputs), torch.tensor([[5]])
    return torch.no_grad()(lambda: model(input_ids=token, **{CACHE_NAME: cache}, use_cache=True))


class TokenClock(LogitsProcessor):
    """Notes the CPU time at every token of `generate`."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.times.append(time.process_time())
        return scores


def generated_token(model: nn.Module, inputs: dict[str, torch.Tensor], tokens: int) -> float:
    """Median CPU seconds per token of `generate`, after the first."""
    clock = TokenClock()
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
    model.generate(**inputs, logits_processor=LogitsProcessorList([clock]), **options)
    return Spread.of(after - before for before, after in zip(clock.times, clock.times[1:], strict=False)).median


def measure_answers(sizes: Sizes, seconds: int, repetitions: int, decoded: int) -> dict[str, Any]:
    """Part (b): everything in turn, ratios are FAVOR's CPU seconds to each model's."""
    favor = build("FAVOR", sizes)
    tokens = clip_inputs("FAVOR", favor, seconds)["input_ids"].shape[1]
    models = {name: favor if name == "FAVOR" else build(name, sizes) for name in BUILDERS}
    models[AGAIN] = build("language model", sizes)
    inputs = {name: clip_inputs(name.split(",")[0], model, seconds, tokens) for name, model in models.items()}
    results: dict[str, Any] = {
        "prompt tokens": {name: given["input_ids"].shape[1] for name, given in inputs.items()},
        "prefill": time_in_turn(
            {name: prefill(name, model, inputs[name]) for name, model in models.items()}, repetitions, "FAVOR"
        ),
        "decode": time_in_turn(
            {name: decoding_step(name, model, inputs[name]) for name, model in models.items()}, decoded, "FAVOR", 8
        ),
        "FAVOR's prefill": prefill_stages(favor, inputs["FAVOR"], repetitions),
        "generate, per token": measure_generate(
            {name: models[name] for name in LAST_LOGITS_ONLY}, inputs, repetitions
        ),
    }
    del models[AGAIN]
    everything = {name: training_step(model, inputs[name]) for name, model in models.items()}
    results["step, everything trained"] = time_in_turn(everything, repetitions, "FAVOR")
    for model in models.values():
        freeze_towers(model)
    steps = {name: training_step(model, inputs[name]) for name, model in models.items()}
    results["step, encoders frozen"] = time_in_turn(steps, repetitions, "FAVOR")
    return results


def prefill_stages(model: nn.Module, inputs: dict[str, torch.Tensor], repetitions: int) -> dict[str, Timing]:
    """FAVOR's prefill taken apart, in turn."""
    favor, text = model.model, {name: inputs[name] for name in ("input_ids", "attention_mask")}
    pictures = [inputs[name] for name in ("pixel_values_videos", "video_frame_indices")]
    instruction = [inputs[name] for name in ("qformer_input_ids", "qformer_attention_mask")]
    sound = [inputs[name] for name in ("input_features", "input_features_mask")]
    with torch.no_grad():
        streams = favor.encode_media(*pictures, *sound, *instruction)
        media = {"video": favor.get_video_features(encoder_states=streams)}
    calls: dict[str, Callable[[], Any]] = {
        "pictures": lambda: favor.encode_frames(*pictures, *instruction),
        "sound": lambda: favor.encode_audio(*sound),
        "connector": lambda: favor.connector(**streams),
        "language model": lambda: model(**text, mm_encoder_outputs=media, use_cache=True, logits_to_keep=1),
    }
    return time_in_turn({name: torch.no_grad()(call) for name, call in calls.items()}, repetitions)


def measure_generate(models: dict[str, nn.Module], inputs: dict[str, Any], repetitions: int) -> dict[str, Timing]:
    """In turn; wall time is not taken apart."""
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repetitions):
        for name, model in models.items():
            found[name].append(generated_token(model, inputs[name], tokens=48))
    pairs = {name: zip(found["FAVOR"], found[name], strict=True) for name in models}
    return {
        name: Timing(Spread.of(values), Spread.of(values), Spread.of(own / other for own, other in pairs[name]))
        for name, values in found.items()
    }


def measure_memory(name: str, mode: str, sizes: Sizes, lengths: tuple[int, ...] = LENGTHS) -> dict[str, Any]:
    """Part (c) of one model, in this process: peak bytes above what it held with its inputs ready, by clip length."""
    model = build(name, sizes)
    freeze_towers(model)
    favor = build("FAVOR", sizes) if name == "language model" else model

    def call(seconds: int) -> Callable[[], Any]:
        tokens = None
        if name == "language model":
            tokens = clip_inputs("FAVOR", favor, seconds)["input_ids"].shape[1]
        inputs = clip_inputs(name, model, seconds, tokens)
        return prefill(name, model, inputs) if mode == "inference" else training_step(model, inputs)

    call(4)()  # what is allocated once
    peaks = {seconds: peak_memory(call(seconds))[0] for seconds in lengths}
    return {"bytes": peaks, "bytes a second": slope(peaks)}


def measure_memory_apart(name: str, mode: str, sizes: Sizes, lengths: tuple[int, ...] = LENGTHS) -> dict[str, Any]:
    """The same in a process of its own."""
    request = json.dumps({"name": name, "mode": mode, "sizes": vars(sizes), "lengths": lengths})
    command = [sys.executable, "-m", "benchmarks.model", "--memory-of", request]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}, {mode}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_slopes(sizes: Sizes, lengths: tuple[int, ...] = LENGTHS) -> dict[str, Any]:
    """Part (c)."""
    return {
        mode: {name: measure_memory_apart(name, mode, sizes, lengths) for name in BUILDERS}
        for mode in ("inference", "training")
    }


def answers_table(results: dict[str, Any]) -> str:
    rows = []
    phases = ("prefill", "decode", "generate, per token", "step, encoders frozen", "step, everything trained")
    for phase in phases:
        digits = 2 if phase in ("decode", "generate, per token") else 0
        for name, timing in results[phase].items():
            rows.append(
                [
                    phase,
                    name,
                    f"{results['prompt tokens'][name]:,}",
                    timing.cpu.text(1000, digits),
                    timing.wall.text(1000, digits),
                    "" if name == "FAVOR" else timing.ratio.text(1, 3 if digits else 2),
                ]
            )
    table = markdown(["", "model", "prompt tokens", "CPU ms", "wall ms", "FAVOR to it"], rows)
    stages = ", ".join(f"{name} {timing.cpu.text(1000)} ms" for name, timing in results["FAVOR's prefill"].items())
    return f"{table}\n\nFAVOR's prefill, CPU: {stages}."


def slopes_table(results: dict[str, Any]) -> str:
    rows = []
    for mode, models in results.items():
        own = models["FAVOR"]["bytes a second"]
        for name in ("FAVOR", *PEERS, "language model"):
            found = models[name]
            peaks = ", ".join(f"{size / MIB:,.0f}" for size in found["bytes"].values())
            ratio = "" if name == "FAVOR" else f"{own / found['bytes a second']:.2f}"
            rows.append([mode, name, peaks, f"{found['bytes a second'] / MIB:.2f}", ratio])
    lengths = ", ".join(str(seconds) for seconds in results["training"]["FAVOR"]["bytes"])
    return markdown(["", "model", f"peak MiB at {lengths} s", "MiB per second of clip", "FAVOR to it"], rows)
