# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The benchmark of training: every way runs, and the table's ratios are to the language model and the encoders."""

import json

import pytest

from benchmarks.training import WARM_UP, WAYS, measure, table
from benchmarks.training_grpo import GRPO_WAYS, grpo_table


@pytest.fixture(scope="module")
def manifest(media_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    turns = [{"role": "user", "content": "Which colour?"}, {"role": "assistant", "content": "red"}]
    line = json.dumps({"messages": turns, "video": str(media_dir / "clip.mp4")})
    (folder / "train.jsonl").write_text("\n".join([line] * 8))
    return folder / "train.jsonl"


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("FAVOR", "FAVOR, cached")])
def test_a_way_is_measured(way, manifest):
    found = measure(way, manifest, steps=WARM_UP + 1, batch_size=2)
    assert found["step_seconds"] > 0 and found["samples_per_second"] > 0 and found["memory_bytes"] >= 0
    assert 0 <= found["waiting_share"] < 1


@pytest.mark.parametrize("way", GRPO_WAYS)
def test_a_step_of_grpo_is_measured(way, manifest):
    found = measure(way, manifest, steps=WARM_UP + 1, batch_size=8)
    assert found["step_seconds"] > 0 and found["samples_per_second"] > 0


def test_ratios_of_grpo():
    numbers = {"samples_per_second": 4.0, "memory_bytes": 2e6}
    results = {way: {"step_seconds": 0.1 * (1 + number), **numbers} for number, way in enumerate(GRPO_WAYS)}
    assert grpo_table(results).splitlines()[-1] == "| GRPO, FAVOR, cached | 300 | 3.00 | 4.0 | 2 |"


def test_ratios():
    numbers = {"samples_per_second": 1.0, "waiting_share": 0.25, "memory_bytes": 2e6}
    seconds = {"language model": 0.2, "encoders": 0.3, "FAVOR": 0.5}
    last = table({way: {"step_seconds": s, **numbers} for way, s in seconds.items()}).splitlines()[-1]
    assert last == "| FAVOR | 500 | 2.50 | 1.00 | 1.0 | 25.0 % | 2 |"
