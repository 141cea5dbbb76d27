# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is kept at the end of a recipe's stage, and where a run that was stopped goes on."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from favor.modeling_favor import FavorForConditionalGeneration

from .complete_checkpoints import fault_of, mark_complete, unmark
from .favor_sft_config import FavorSFTConfig
from .favor_sft_trainer import FavorSFTTrainer
from .trained_modules import TrainedModel, set_connector_dtype
from .training_record import Record, stage_record

STAGE_END = "finished"
STAGE_RECORD = "stage_record.json"


def finished_stages(folders: Sequence[Path]) -> int:
    """How many stages need not be trained again."""
    count = 0
    while count < len(folders) and len(folders) > 1 and fault_of(folders[count] / STAGE_END) is None:
        count += 1
    return count


def resume_point(asked: str | None, first_stage: bool) -> str | None:
    """What a recipe's `resume` means in a stage: a folder for the first stage that is trained, "auto" for all.

    Raises `ValueError` for a folder that was not written to the end.
    """
    if asked is None or asked == "auto":
        return asked
    fault = fault_of(Path(asked))
    if fault is not None:
        raise ValueError(f"resume: {asked} cannot be resumed from: {fault}.")
    return asked if first_stage else None


def end_stage(trainer: FavorSFTTrainer, folder: Path, last: bool) -> None:
    """Keeps the facts of a stage, and, where checkpoints are kept and another stage follows, its weights."""
    if trainer.args.should_save:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAGE_RECORD).write_text(json.dumps(stage_record(trainer)), encoding="utf-8")
    trainer.save_state()
    if not last and str(trainer.args.save_strategy.value) != "no":
        if trainer.args.should_save:
            unmark(folder / STAGE_END)
        trainer.accelerator.wait_for_everyone()
        trainer.save_model(str(folder / STAGE_END))
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            mark_complete(folder / STAGE_END)


def load_stage_end(model: FavorForConditionalGeneration, folder: Path, args: FavorSFTConfig) -> TrainedModel:
    """The weights with which the stage of this folder ended."""
    set_connector_dtype(model, getattr(torch, args.connector_dtype))
    end = folder / STAGE_END
    if (end / "adapter_config.json").is_file():
        from peft import PeftModel

        return PeftModel.from_pretrained(model, end, is_trainable=True)
    weights: dict[str, torch.Tensor] = {}
    for file in sorted(end.glob("*.safetensors")):
        weights |= load_file(file)
    missing, unknown = model.load_state_dict(weights, strict=False)
    model.tie_weights()
    tied = set(model._tied_weights_keys or ())
    if unknown or set(missing) - tied:
        raise ValueError(f"{end} does not fit the recipe's model: {[*unknown, *missing][:5]} ...")
    return model


def stage_records(folders: Sequence[Path]) -> list[Record]:
    """The facts of every stage, which each has left in its folder."""
    return [json.loads((folder / STAGE_RECORD).read_text(encoding="utf-8")) for folder in folders]
