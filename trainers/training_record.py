# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a training run was: `training_record.json`, from which a model card is written; it names no folder."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeAlias

from torch import nn

from .data_mixture import SampleDataset, mixture_of
from .recipe_sections import Recipe

if TYPE_CHECKING:
    from .favor_trainer_mixin import FavorTrainerMixin

Record: TypeAlias = dict[str, object]  # JSON values

FILE = "training_record.json"
PACKAGES = ("favor", "torch", "transformers", "trl", "peft", "accelerate", "datasets")
HYPERPARAMETERS = (
    "learning_rate",
    "muon_learning_rate",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "optim",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "max_grad_norm",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
    "max_steps",
    "bf16",
    "fp16",
    "seed",
    "max_length",
    "beta",
    "loss_type",
    "num_generations",
    "num_iterations",
    "steps_per_generation",
    "temperature",
    "max_completion_length",
    "scale_rewards",
    "train_only",
    "freeze_encoders",
    "connector_dtype",
    "diversity_loss_schedule",
    "diversity_loss_schedule_steps",
    "sort_steps_by_length",
)
LOSSES = (
    *("loss", "cross_entropy", "diversity_loss", "eval_loss", "eval_exact_match"),
    *("reward", "rewards/accuracies", "rewards/margins", "kl", "eval_reward", "eval_rewards/accuracies"),
)


def stage_record(trainer: "FavorTrainerMixin") -> Record:
    """Data, hyper-parameters, steps and last logged losses of one trainer."""
    args, state = trainer.args, trainer.state
    values = {name: getattr(args, name, None) for name in HYPERPARAMETERS}
    record: Record = {
        "data": data_facts(trainer.train_dataset),
        **{name: plain(value) for name, value in values.items() if value not in (None, False, "", {})},
        "diversity_loss_weight": trainer.diversity_loss_weight if trainer.has_diversity_loss else None,
        "processes": args.world_size,
        "trained parameters": count_parameters(trainer.model, trained=True),
        "all parameters": count_parameters(trainer.model),
        "optimisation steps": state.global_step,
        "epochs": None if state.epoch is None else round(state.epoch, 3),
        "last logged": last_logged(state.log_history),
    }
    adapter = getattr(trainer.model, "peft_config", {}).get("default")
    if adapter is not None:
        record["lora"] = {"rank": adapter.r, "alpha": adapter.lora_alpha, "dropout": adapter.lora_dropout}
    skipped = getattr(trainer.data_collator, "skipped_samples", 0)
    names = getattr(trainer, "reward_func_names", None)
    if names:
        record["rewards"] = list(names)
    if skipped:
        record["skipped samples"] = skipped
    return {name: value for name, value in record.items() if value not in (None, {})}


def run_record(recipe_name: str | None, recipe: Recipe | None, stages: Sequence[Record]) -> Record:
    """The record of a whole run: recipe, stages, versions."""
    record: Record = {}
    if recipe is not None:
        names = ("seed", "model", "lora", "config")
        settings = {name: plain(recipe.given[name]) for name in names if recipe.given.get(name) is not None}
        record["recipe"] = {"name": recipe_name, **settings} if recipe_name else settings
    if len(stages) == 1:
        record.update(stages[0])
    else:
        record.update({f"stage {number}": stage for number, stage in enumerate(stages, start=1)})
    record["versions"] = versions()
    return record


def write_record(folder: str | Path, record: Record) -> None:
    """Writes `training_record.json`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (Path(folder) / FILE).write_text(text + "\n", encoding="utf-8")


def data_facts(dataset: SampleDataset) -> Record:
    """Sources with counts: of a mixture, samples of an epoch by source; else rows, and how many have which media."""
    mixture = mixture_of(dataset)
    if mixture is not None:
        if mixture.streamed:
            return {"sources": ", ".join(mixture.by_name), "streamed": True}
        counts = zip(mixture.by_name, mixture.counts(), strict=True)
        return {"samples an epoch": len(mixture), "sources": {name: count for name, count in counts if count}}
    if not hasattr(dataset, "__len__"):
        return {"streamed": True}
    facts: Record = {"samples": len(dataset)}
    for key in (*"visual_states", "audio_states"):
        if key in dataset.column_names:
            present = sum(any(keys) for keys in dataset[key])
            facts |= {f"with {key.replace('_', ' ')}": present} if present else {}
    if "origin" in dataset.column_names:
        files = Counter(PurePath(str(origin).rpartition(",")[0]).name for origin in dataset["origin"] if origin)
        facts |= {"sources": dict(files.most_common(20))} if files else {}
    return facts


def last_logged(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The last value of each loss that was logged."""
    found: dict[str, float] = {}
    for entry in history:
        found |= {name: round(entry[name], 6) for name in LOSSES if name in entry}
    return found


def count_parameters(model: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained)


def versions() -> dict[str, str]:
    """Of the packages that training rests on, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def plain(value: object) -> object:
    """A value as JSON has it; of an absolute path only the last part."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, PurePath) or (isinstance(value, str) and value.startswith(("/", "~"))):
        return PurePath(value).name
    return value.value if hasattr(value, "value") else value
