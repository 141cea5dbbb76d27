# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One optimisation step of a process among others; the first writes its gradients and losses (started by torchrun)."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from tests.trainers.one_step import one_step, start


def main(folder: Path, manifest: str, batch_size: int, accumulation: int, reduction: str) -> None:
    model, processor = start(folder / "model")
    trainer = one_step(
        model,
        processor,
        manifest,
        folder / "run",
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        diversity_loss_reduction=reduction,
    )
    if trainer.args.world_size != 2 or dist.get_world_size() != 2:
        raise SystemExit(f"expected 2 processes, found {trainer.args.world_size}")
    if trainer.args.process_index == 0:
        found = {"gradients": trainer.gradients, "logged": trainer.state.log_history[0], "world_size": 2}
        torch.save(found, folder / "result.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
