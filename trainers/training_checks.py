# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is refused before training starts, because it would train something else than the user thinks."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from datasets import Dataset
from transformers import TrainingArguments

from favor.processing.media_names_favor import MEDIA_KINDS

from .data_mixture import SampleDataset, mixture_of
from .favor_data_collator import Batch
from .sample_columns import MEDIA_LISTS, check_media_columns, media_of_turns
from .trained_modules import TrainedModel, encoders, favor_of

if TYPE_CHECKING:
    from peft import PeftConfig

ENCODED_KEYS = ("visual_states", "audio_states")
STREAM_SAMPLES = 8  # looked at in a stream, which would have to be read again for more


def check_datasets(datasets: SampleDataset | Mapping[str, SampleDataset] | None, allow_text_only: bool) -> bool:
    """Checks the columns of a dataset, or of several by name; returns whether every sample looked at has media.

    Raises `ValueError` for media in columns that are not read, and, unless allowed, for data without any media.
    """
    if datasets is None:
        return False
    if isinstance(datasets, Mapping) and not isinstance(datasets, Dataset):
        return min(check_datasets(dataset, allow_text_only) for dataset in datasets.values())
    counts = check_media_columns(datasets, rows=100 if hasattr(datasets, "__len__") else STREAM_SAMPLES)
    if not any(counts[key] for key in MEDIA_KINDS) and not allow_text_only and not has_media(datasets):
        raise ValueError(
            f"None of the samples has media: their columns are {', '.join(datasets.column_names or ['unknown'])}. "
            "Training would be on text alone; give the files in `video`, `image` or `audio`, or set "
            "allow_text_only=True if that is what you want."
        )
    return counts["text_only"] == 0


def has_media(dataset: SampleDataset) -> bool:
    """Whether any row of a plain dataset has media; what a mixture or a stream holds is known by its first samples."""
    if not isinstance(dataset, Dataset) or mixture_of(dataset) is not None:
        return False
    names = [name for name in (*MEDIA_KINDS, *MEDIA_LISTS, *ENCODED_KEYS) if name in dataset.column_names]
    columns = (dataset.select_columns([name])[name] for name in names)
    in_columns = any(value is not None and value != [] for column in columns for value in column)
    return in_columns or any(media_of_turns(row) for row in dataset.select_columns(turn_columns(dataset)))


def turn_columns(dataset: Dataset) -> list[str]:
    """The columns that may hold turns with blocks."""
    return [name for name in ("messages", "prompt") if name in dataset.column_names]


def check_peft_config(model: TrainedModel, peft_config: "PeftConfig | None") -> None:
    """Raises `ValueError` for names in `modules_to_save` that no module has: PEFT passes over them in silence."""
    names: Iterable[str] = getattr(peft_config, "modules_to_save", None) or ()
    modules = [name for name, _ in favor_of(model).named_modules()]
    parameters = [name for name, _ in favor_of(model).named_parameters()]
    for name in [names] if isinstance(names, str) else names:
        if any(module == name or module.endswith(f".{name}") for module in modules):
            continue
        kind = "a parameter, not a module" if any(p.endswith(f".{name}") for p in parameters) else "no module"
        raise ValueError(
            f"modules_to_save names {name!r}, which is {kind}: PEFT would neither train nor save it. Name a module, "
            'for example "connector", which holds all that FAVOR trains beside the LoRA.'
        )


def check_encoders_frozen(model: TrainedModel) -> None:
    """Raises `ValueError` if a parameter of an encoder is trained, as a LoRA on bare names such as `q_proj` does."""
    inside = {id(parameter) for encoder in encoders(model) for parameter in encoder.parameters()}
    trained = [name for name, p in model.named_parameters() if p.requires_grad and id(p) in inside]
    if trained:
        raise ValueError(
            f"{len(trained)} parameters of the encoders would be trained, the first is {trained[0]}, but "
            "freeze_encoders=True keeps them as they are. Give the LoRA target_modules of the language model alone, "
            "as favor.lora_config() does, or set freeze_encoders=False."
        )


def check_same_streams(accelerator: Accelerator, batch: Batch) -> None:
    """Raises `ValueError` unless the micro-batches of all processes run the same modules; for DeepSpeed ZeRO-3.

    It gathers a module's weights when the module runs: a process that leaves an encoder out would be waited for.
    """
    names = ("pixel_values_videos", "input_features", "encoder_states")
    here = torch.tensor([[int(batch.get(name) is not None) for name in names]], device=accelerator.device)
    everywhere = accelerator.gather(here)
    if (everywhere != everywhere[0]).any():
        found = [", ".join(n for n, there in zip(names, row, strict=True) if there) or "text" for row in everywhere]
        raise ValueError(
            f"With ZeRO-3 every process must have the same kinds of media in a micro-batch, but they have "
            f"{'; '.join(found)}. Use recipes/accelerate/fsdp2.yaml or ddp.yaml, or make larger micro-batches."
        )


def check_launch(args: TrainingArguments) -> None:
    """Raises `ValueError` where several devices would not train together as one would think."""
    if args.n_gpu > 1:
        raise ValueError(
            f"{args.n_gpu} GPUs and one process: torch's DataParallel would lose the diversity loss. Start one "
            f"process per GPU, torchrun --nproc_per_node {args.n_gpu} ..., or show one with CUDA_VISIBLE_DEVICES=0."
        )
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked > 1 and args.world_size == 1:
        raise ValueError(
            f"{asked} processes were started, but each would train by itself: Accelerate found no way for them to "
            "talk. Without GPUs set use_cpu=True."
        )
