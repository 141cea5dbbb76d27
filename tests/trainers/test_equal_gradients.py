# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The total loss of a step has one gradient, however its samples are split into micro-batches and processes."""

import json
import subprocess
import sys

import pytest
import torch

from favor.trainers import FavorSFTTrainer
from tests.conftest import REPOSITORY
from tests.trainers.one_step import one_step, start

LARGEST_DIFFERENCE = 1e-6
ANSWERS = ["red", "a circle, then a star, then a square", "yes", "the bell rings twice"]


@pytest.fixture(scope="module")
def prepared(tiny_parts, media_dir, tmp_path_factory):
    """A folder with the model, and a manifest of four samples: 6 s, 3 s, text alone, 2.5 s of sound."""
    folder = tmp_path_factory.mktemp("gradients")
    model, processor = tiny_parts
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    media = [{"video": "long_clip.mp4"}, {"video": "clip.mp4"}, {}, {"audio": "sound.wav"}]
    lines = []
    for number, (files, answer) in enumerate(zip(media, ANSWERS, strict=True)):
        turns = [("user", "Which sound is heard first?" * (1 + number)), ("assistant", answer)]
        messages = [{"role": role, "content": content} for role, content in turns]
        lines.append({"messages": messages, **{kind: str(media_dir / name) for kind, name in files.items()}})
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def step(prepared, tmp_path, batch_size, accumulation, **options):
    model, processor = start(prepared / "model")
    return one_step(
        model,
        processor,
        str(prepared / "train.jsonl"),
        tmp_path / f"{batch_size}x{accumulation}",
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        **options,
    )


def two_processes(prepared, tmp_path, batch_size, accumulation, reduction):
    """Gradients and logs of the same step in two processes that average over gloo."""
    (tmp_path / "model").symlink_to(prepared / "model")
    script = REPOSITORY / "tests" / "trainers" / "two_process_gradients.py"
    arguments = [tmp_path, prepared / "train.jsonl", batch_size, accumulation, reduction]
    done = run_torchrun(script, arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(tmp_path / "result.pt", weights_only=True)


def run_torchrun(script, arguments):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script]
    command = [str(part) for part in [*launch, *arguments]]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300)


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def largest_difference(found: dict, expected: dict) -> float:
    moved = {name for name, gradient in expected.items() if gradient.abs().max() > 1e-3}
    assert len(moved) > 20 and any("causal_qformer" in name for name in moved)
    zero = torch.zeros(())
    return max(float((found.get(name, zero) - gradient).abs().max()) for name, gradient in expected.items())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_micro_batches_do_not_change_the_gradient(reduction, prepared, tmp_path):
    whole = step(prepared, tmp_path, 4, 1, diversity_loss_reduction=reduction)
    assert whole.state.log_history[0]["diversity_loss"] != 0
    for batch_size, accumulation in ((2, 2), (1, 4)):
        parts = step(prepared, tmp_path, batch_size, accumulation, diversity_loss_reduction=reduction)
        assert largest_difference(parts.gradients, whole.gradients) < LARGEST_DIFFERENCE
        for name in ("loss", "cross_entropy", "diversity_loss"):
            assert parts.state.log_history[0][name] == pytest.approx(whole.state.log_history[0][name], rel=1e-4)


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "reduction"),
    [(2, 1, "mean"), pytest.param(1, 2, "sum", marks=pytest.mark.slow)],
)
def test_two_processes_do_not_change_the_gradient(batch_size, accumulation, reduction, prepared, tmp_path):
    whole = step(prepared, tmp_path, 4, 1, diversity_loss_reduction=reduction)
    parts = two_processes(prepared, tmp_path, batch_size, accumulation, reduction)
    assert parts["world_size"] == 2
    assert largest_difference(parts["gradients"], whole.gradients) < LARGEST_DIFFERENCE
    for name in ("loss", "cross_entropy", "diversity_loss"):
        assert parts["logged"][name] == pytest.approx(whole.state.log_history[0][name], rel=1e-4)


class EqualShares(FavorSFTTrainer):
    """As if every micro-batch had equally many windows."""

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.windows = iter([int((batch["input_ids"] == self.model.config.video_token_id).sum()) for batch in batches])
        return batches, items

    def compute_loss(self, model, inputs, **kwargs):
        queries = self.model.config.connector_config.num_query_tokens
        own = next(self.windows) // queries
        self._step_units = torch.tensor(own * self.current_gradient_accumulation_steps)
        return super().compute_loss(model, inputs, **kwargs)


class Unscaled(FavorSFTTrainer):
    """As if each micro-batch were a step of its own."""

    def compute_loss(self, model, inputs, **kwargs):
        self._step_units = (inputs["input_ids"] == self.model.config.video_token_id).sum() // 4
        return super().compute_loss(model, inputs, **kwargs)


@pytest.mark.parametrize("trainer_class", [EqualShares, Unscaled])
def test_the_check_finds_a_wrong_scale(trainer_class, prepared, tmp_path):
    whole = step(prepared, tmp_path, 4, 1)
    wrong = step(prepared, tmp_path, 1, 4, trainer_class=trainer_class)
    assert largest_difference(wrong.gradients, whole.gradients) > 1000 * LARGEST_DIFFERENCE
