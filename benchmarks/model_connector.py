# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Part (a) of the model's benchmark: the connector at the 13B system's widths against plain readings of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import profile

from favor.modeling_favor import FavorCausalQFormerConfig, FavorConnector

from .model_measures import markdown, peak_memory, time_in_turn
from .model_plain_connector import READINGS, plain_connector

FRAME_RATE, AUDIO_RATE = 2, 50  # Hz
TOLERANCE = 1e-5
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """A batch of clips, seconds each; 0 is a picture without sound."""

    title: str
    seconds: tuple[float, ...]
    readings: tuple[str, ...]


CASES = (
    Case("a clip of 20 s", (20,), READINGS),
    Case("a batch: 15 s, 6 s, 5 s and a picture", (15, 6, 5, 0), READINGS[:2]),
    Case("a picture", (0,), READINGS[:1]),
)


def connector_of_13b(**values: Any) -> FavorConnector:
    """Random weights, dropout off: its outputs are compared."""
    torch.manual_seed(0)
    config = FavorCausalQFormerConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **values)
    return FavorConnector._from_config(config).eval()


def streams(connector: FavorConnector, seconds: tuple[float, ...]) -> dict[str, torch.Tensor]:
    config, generator = connector.config, torch.Generator().manual_seed(1)
    frames = [max(1, int(FRAME_RATE * length)) for length in seconds]
    vectors = [int(AUDIO_RATE * length) for length in seconds]
    visual = (len(seconds), max(frames), config.visual_vectors_per_frame, config.visual_hidden_size)
    return {
        "visual": torch.randn(visual, generator=generator),
        "audio": torch.randn(len(seconds), max(vectors), config.audio_hidden_size, generator=generator),
        "num_visual_frames": torch.tensor(frames),
        "num_audio_vectors": torch.tensor(vectors),
    }


def ways(connector: FavorConnector, case: Case) -> dict[str, Callable[[], torch.Tensor]]:
    """Embeddings by FAVOR's connector and by the plain readings of it."""
    inputs = streams(connector, case.seconds)
    calls: dict[str, Callable[[], torch.Tensor]] = {"FAVOR": lambda: connector(**inputs).embeddings}
    for reading in case.readings:
        calls[reading] = lambda reading=reading: plain_connector(connector, reading, **inputs)
    return calls


def without_gradients(call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    return torch.no_grad()(call)


def with_backward(connector: FavorConnector, call: Callable[[], torch.Tensor]) -> Callable[[], None]:
    def step() -> None:
        connector.zero_grad(set_to_none=False)  # so that they are not counted as memory of the step
        call().square().mean().backward()

    return step


def check_and_weigh(connector: FavorConnector, calls: dict[str, Callable[[], torch.Tensor]]) -> dict[str, Any]:
    """Runs every way once: peak bytes, and the largest differences from FAVOR's embeddings and gradients.

    Gradients are relative to the largest of all. Raises `ValueError` if embeddings differ by more than the tolerance.
    """
    for parameter in connector.parameters():  # what is allocated once is no call's own
        parameter.grad = torch.zeros_like(parameter)
    forward, backward, differences = {}, {}, {}
    outputs, gradients = {}, {}
    with_backward(connector, calls["FAVOR"])()
    for name, call in calls.items():
        forward[name], outputs[name] = peak_memory(without_gradients(call))
        backward[name], _ = peak_memory(with_backward(connector, call))
        gradients[name] = [parameter.grad.clone() for parameter in connector.parameters()]
    largest = max(gradient.abs().max().item() for gradient in gradients["FAVOR"])
    for name in calls.keys() - {"FAVOR"}:
        output = (outputs["FAVOR"] - outputs[name]).abs().max().item()
        if not output <= TOLERANCE:
            raise ValueError(f"{name}: embeddings differ by {output:.1e}, more than {TOLERANCE:.0e}.")
        pairs = zip(gradients["FAVOR"], gradients[name], strict=True)
        gradient = max((own - other).abs().max().item() for own, other in pairs) / largest
        differences[name] = {"outputs": output, "gradients": gradient}
    return {"differences": differences, "forward, bytes": forward, "forward and backward, bytes": backward}


def measure_connector(repetitions: int, cases: tuple[Case, ...] = CASES, **values: Any) -> dict[str, Any]:
    """All cases; `values` change the connector's config."""
    connector = connector_of_13b(**values)
    results = {}
    for case in cases:
        calls = ways(connector, case)
        results[case.title] = check_and_weigh(connector, calls)
        for phase, timed in (
            ("forward", {name: without_gradients(call) for name, call in calls.items()}),
            ("forward and backward", {name: with_backward(connector, call) for name, call in calls.items()}),
        ):
            results[case.title][phase] = time_in_turn(timed, repetitions, compared="FAVOR", warm_up=0)
    first = ways(connector, cases[0])["FAVOR"]
    return {"cases": results, "profile": operator_shares(with_backward(connector, first))}


def operator_shares(call: Callable[[], Any], most: int = 5) -> dict[str, float]:
    """Shares of the CPU time that the costliest operators take themselves."""
    with profile() as recorded:
        call()
    averages = recorded.key_averages()
    total = sum(operator.self_cpu_time_total for operator in averages)
    costly = sorted(averages, key=lambda operator: -operator.self_cpu_time_total)[:most]
    return {operator.key: operator.self_cpu_time_total / total for operator in costly}


def connector_table(results: dict[str, Any]) -> str:
    rows = []
    for title, case in results["cases"].items():
        for phase in ("forward", "forward and backward"):
            for name, timing in case[phase].items():
                memory = case[f"{phase}, bytes"]
                rows.append(
                    [
                        title,
                        phase,
                        name,
                        timing.cpu.text(1000),
                        timing.wall.text(1000),
                        "" if name == "FAVOR" else timing.ratio.text(1, 2),
                        f"{memory[name] / MIB:,.0f}",
                        "" if name == "FAVOR" else f"{memory['FAVOR'] / max(memory[name], 1):.2f}",
                        "" if name == "FAVOR" else f"{case['differences'][name]['outputs']:.0e}",
                    ]
                )
    head = ["batch", "", "way", "CPU ms", "wall ms", "FAVOR to it", "peak MiB", "FAVOR to it", "largest difference"]
    shares = ", ".join(f"`{name}` {100 * share:.0f} %" for name, share in results["profile"].items())
    return f"{markdown(head, rows)}\n\nFAVOR's forward and backward of the first batch: {shares}."
