# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How the benchmark of the model measures: calls in turn, medians with their spread, and peaks of resident memory.

Calls that are compared run in turn (A B A B ...), so that a machine whose speed drifts is the same for all of them,
and ratios are taken pair by pair. CPU time is the process's, which computes with one thread; wall time is kept, too.
"""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MALLOC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))

    def text(self, scale: float = 1.0, digits: int = 0) -> str:
        """`12 (11-14)`."""
        low, middle, high = (f"{scale * value:,.{digits}f}" for value in (self.low, self.median, self.high))
        return f"{middle} ({low}-{high})"


@dataclass(frozen=True)
class Timing:
    """CPU and wall seconds of a call, and the share of them that the call compared takes, pair by pair."""

    cpu: Spread
    wall: Spread
    ratio: Spread | None = None


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]], repetitions: int, compared: str | None = None, warm_up: int = 1
) -> dict[str, Timing]:
    """Runs every call once, in order, as often as asked; ratios are `compared`'s CPU seconds to each call's."""
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    wall: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + repetitions):
        for name, call in calls.items():
            start_cpu, start_wall = time.process_time(), time.perf_counter()
            result = call()
            spent = time.process_time() - start_cpu, time.perf_counter() - start_wall
            del result
            if turn >= warm_up:
                cpu[name].append(spent[0])
                wall[name].append(spent[1])
    return {
        name: Timing(
            Spread.of(cpu[name]),
            Spread.of(wall[name]),
            None
            if compared is None
            else Spread.of(own / other for own, other in zip(cpu[compared], cpu[name], strict=True)),
        )
        for name in calls
    }


def peak_memory(call: Callable[[], Any]) -> tuple[int, Any]:
    """Bytes of resident memory that a call needs at most above what the process held before it, and its result.

    Freed memory is given back first, and the kernel's high-water mark is set back (Linux).
    """
    gc.collect()
    MALLOC.malloc_trim(0)
    CLEAR_REFS.write_text("5")
    before = status_bytes("VmRSS")
    result = call()
    return status_bytes("VmHWM") - before, result


def status_bytes(name: str) -> int:
    """A line of /proc/self/status, `VmRSS` or `VmHWM`."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def slope(points: Mapping[float, float]) -> float:
    """Of the straight line through the points that leaves the least squares."""
    return statistics.linear_regression(list(points), list(points.values())).slope


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
