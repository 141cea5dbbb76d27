# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An adapter added to its base model: one whole model, which needs no PEFT."""

from pathlib import Path

from transformers import PreTrainedModel

from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor

from .json_values import text
from .outgoing_files import read_json

ADAPTER = "adapter_config.json"


def named_base(adapter: Path) -> str | None:
    """The base model that an adapter names, if any."""
    return text(read_json(adapter / ADAPTER), "base_model_name_or_path") if (adapter / ADAPTER).is_file() else None


def merged_adapter(adapter: Path, base: str | None = None) -> tuple[PreTrainedModel, FavorProcessor]:
    """
    The base model with the adapter's weights added, and its processor.

    Args:
        adapter: folder of a PEFT adapter.
        base: folder or Hub id of the base model; by default what the adapter names.

    Raises:
        ValueError: the folder holds no adapter, or one that cannot be merged, or no base model is named.
        OSError: there is no such base model.
    """
    from peft import PeftModel

    if not (adapter / ADAPTER).is_file():
        raise ValueError(f"{adapter} holds no adapter ({ADAPTER}) that could be merged: leave out --merge.")
    base = base or named_base(adapter)
    if not base:
        raise ValueError(f"{adapter / ADAPTER} names no base model: name it (--base-model).")
    if Path(base).is_absolute() and not Path(base).exists():
        raise FileNotFoundError(
            f"{adapter / ADAPTER} names the base model {base}, which is not there: say where it is (--base-model)."
        )
    model = FavorForConditionalGeneration.from_pretrained(base)
    adapted = PeftModel.from_pretrained(model, adapter)
    if not hasattr(adapted, "merge_and_unload"):  # prompt tuning and its kin
        kind = text(read_json(adapter / ADAPTER), "peft_type")
        raise ValueError(
            f"{adapter / ADAPTER} is of type {kind}, which adds to the prompt and not to weights: it cannot be "
            "merged. Keep it beside its base model, and load both with PEFT."
        )
    merged = adapted.merge_and_unload()
    with_processor = adapter if (adapter / "processor_config.json").is_file() else base
    return merged, FavorProcessor.from_pretrained(with_processor)
