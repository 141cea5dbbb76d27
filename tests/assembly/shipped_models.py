# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A tiny stand-in of favor-135m: random parts, an adapter as a training saves it, and its shipped form."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml
from peft import PeftModel, get_peft_model

from favor.assembly.package_parts import FACTS_FILE, LICENCES, PartFacts
from favor.assembly.shipped_model import ROLES, write_shipped
from favor.model_folder import assemble_folder
from favor.processing import FavorProcessor
from favor.trainers import lora_config
from favor.trainers.recipe_model import load_model

from .source_checkpoints import make_language_model, make_vision, make_whisper

# As a recipe changes the config of assembled parts: half as long chunks of sound, another connector.
CONFIG = {
    "frame_rate": 1.0,
    "audio_config": {"max_source_positions": 50},
    "connector_config": {
        "hidden_size": 24,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "num_query_tokens": 5,
        "window_frames": 1,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        "mixture_size": 40,
    },
}


@dataclass(frozen=True)
class StandIn:
    """`parts`: folder of each role. `base`, `adapter`: what training begins with, and leaves. `shipped`: of that."""

    parts: dict[str, Path]
    base: Path
    adapter: Path
    shipped: Path

    def package_part(self, role: str, name: str | None = None) -> Path:
        """In place of the function of that name, which would fetch wheels."""
        return self.parts[role]

    def trained(self) -> tuple[PeftModel, FavorProcessor]:
        """The model as its training ended."""
        model, processor = load_model(str(self.base), CONFIG, ["connector"])
        return PeftModel.from_pretrained(model, self.adapter).eval(), processor


def make_stand_in(folder: Path) -> StandIn:
    """Makes everything below `folder`, in float32 but for what is shipped."""
    parts = {
        "llm": make_language_model(folder / "llm"),
        "whisper": make_whisper(folder / "whisper"),
        "vision": make_vision(folder / "vision", "siglip"),
    }
    for role in ROLES:
        facts = PartFacts("MIT", f"the {role} of a test", "float32", (f"{role} 1.0",))
        (parts[role] / FACTS_FILE).write_text(json.dumps(asdict(facts)))
        (parts[role] / LICENCES).mkdir()
        (parts[role] / LICENCES / f"{role}.txt").write_text(f"licence of the {role}")
    base, adapter, shipped = (folder / name for name in ("base", "adapter", "shipped"))
    assemble_folder(**parts, out_dir=base)
    model, processor = load_model(str(base), CONFIG, ["connector"])
    torch.manual_seed(3)
    words = model.get_input_embeddings().weight[:30].float()  # as an alignment leaves it: with room
    model.model.connector.word_mixture.fill(words, sharpness=1.5)
    trained = get_peft_model(model, lora_config(rank=4, alpha=8))
    for name, weight in trained.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.2)
    trained.save_pretrained(adapter)
    processor.save_pretrained(adapter)
    (adapter / "recipe.yaml").write_text(yaml.safe_dump({"model": "parts", "config": CONFIG}))
    write_shipped(adapter, shipped, CONFIG, dtype="float32")
    return StandIn(parts, base, adapter, shipped)


__all__ = ["CONFIG", "StandIn", "make_stand_in"]
