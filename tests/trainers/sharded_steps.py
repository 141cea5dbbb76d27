# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Steps of a model sharded over two processes with torch's fully_shard (started by torchrun, gloo, CPU)."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule, fully_shard

from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest, lora_config
from tests.trainers.one_step import start

STEPS = 3


def make_trainer(folder: Path, manifest: str, batch_size: int, lora: bool) -> FavorSFTTrainer:
    model, processor = start(folder / "model")
    torch.manual_seed(0)
    return FavorSFTTrainer(
        model=model,
        args=FavorSFTConfig(
            output_dir=str(folder / "run"),
            per_device_train_batch_size=batch_size,
            diversity_loss_weight=0.7,
            activation_checkpointing=False,
            report_to="none",
            use_cpu=True,
            max_steps=STEPS,
        ),
        processing_class=processor,
        train_dataset=load_manifest(manifest),
        peft_config=lora_config(rank=4, dropout=0.0) if lora else None,
    )


def shard(model: torch.nn.Module) -> list[str]:
    """As Accelerate does by recipes/accelerate/fsdp2.yaml: the language model's layers, then the root."""
    for layer in [module for module in model.modules() if type(module).__name__ == "LlamaDecoderLayer"]:
        fully_shard(layer, reshard_after_forward=True)
    fully_shard(model, reshard_after_forward=True)
    return [type(m).__name__ for m in model.modules() if isinstance(m, FSDPModule) and m is not model]


def steps(trainer: FavorSFTTrainer, rank: int, world: int) -> list[float]:
    """The losses of steps on the same four samples, of which each process has its share."""
    trainer.model.train()
    optimizer = torch.optim.SGD([p for p in trainer.model.parameters() if p.requires_grad], lr=0.05)
    size = trainer.args.per_device_train_batch_size
    rows = [trainer.train_dataset[i] for i in range(rank * size, (rank + 1) * size)]
    trainer.current_gradient_accumulation_steps = 1
    losses = []
    for _ in range(STEPS):
        batches, items = trainer.get_batch_samples(iter([trainer.data_collator(rows)]), 1, torch.device("cpu"))
        loss = trainer.compute_loss(trainer.model, dict(batches[0]), num_items_in_batch=items)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(trainer.accelerator.gather(loss.detach()).mean().item())
    return losses


def main(folder: Path, manifest: str, lora: bool) -> None:
    trainer = make_trainer(folder, manifest, 2, lora)
    world = dist.get_world_size()
    if world != 2:
        raise SystemExit(f"expected 2 processes, found {world}")
    wrapped = shard(trainer.model)
    parameter = next(p for p in trainer.model.parameters() if p.ndim == 2)
    losses = steps(trainer, dist.get_rank(), world)
    if dist.get_rank() == 0:
        result = {
            "losses": losses,
            "wrapped": wrapped,
            "local_rows": len(parameter.to_local()),
            "rows": len(parameter),
        }
        torch.save(result, folder / "result.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "lora")
