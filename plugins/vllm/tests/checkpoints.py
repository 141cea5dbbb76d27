# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Small FAVOR models with random weights whose attention heads vLLM knows on a CPU, and what transformers answers."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from favor.hub_upload import export_model
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe_sections import ScratchModel
from tests.conftest import tiny_settings

TEXTS = ["What colour is the shape while the bell sounds?", "Which sound is heard first?", "red green blue beep"]
NEW_TOKENS = 12
HEADS_OF_32 = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,
}
PROJECTOR = {"model_type": "favor_projector", "visual_pooling": "space_and_time", "audio_pool_size": 4}
# Language model, visual Q-Former, connector: each kind of one with each kind of the others, as far as five go.
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "llama": {"text_config": {"model_type": "llama"}},
    "qwen": {
        "text_config": {"model_type": "qwen3", "head_dim": 32},
        "qformer_config": None,
        "num_visual_query_tokens": 17,
        "tie_word_embeddings": True,
    },
    "llama-projector": {
        "text_config": {"model_type": "llama"},
        "qformer_config": None,
        "num_visual_query_tokens": 17,
        "connector_config": PROJECTOR,
    },
    "qwen-projector": {"text_config": {"model_type": "qwen2"}, "connector_config": PROJECTOR},
    "llama-mixture": {"text_config": {"model_type": "llama"}, "mixture_size": 24},
}
# Beside Llama and Qwen: a head that is tied or capped, embeddings that are scaled, several norms.
LANGUAGE_MODELS: dict[str, dict[str, Any]] = {
    "mistral": {"text_config": {"model_type": "mistral", "head_dim": 32, "sliding_window": None}},
    "gemma2": {
        "text_config": {
            "model_type": "gemma2",
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
            "sliding_window": 1024,
            "final_logit_softcapping": 3.0,
        },
        "tie_word_embeddings": True,
    },
    "gemma3": {
        "text_config": {
            "model_type": "gemma3_text",
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
            "sliding_window": 1024,
        },
        "tie_word_embeddings": True,
    },
    "phi3": {"text_config": {"model_type": "phi3"}},
    "granite": {"text_config": {"model_type": "granite", "logits_scaling": 3.0, "embedding_multiplier": 2.0}},
}


def make_checkpoint(name: str, folder: Path) -> Path:
    """Writes one of `CHECKPOINTS` or `LANGUAGE_MODELS` in the layout of the Hub."""
    settings = copy.deepcopy(tiny_settings())
    config, changes = settings["config"], copy.deepcopy({**CHECKPOINTS, **LANGUAGE_MODELS}[name])
    changes["text_config"] |= HEADS_OF_32
    config["connector_config"] |= {"mixture_size": changes.pop("mixture_size", None)}
    config |= changes
    model, processor = build_from_scratch(ScratchModel(**settings), TEXTS, seed=1)
    return export_model(model.eval(), folder / name, processor=processor)


class Reference:
    """What transformers answers, in float32 and without chance."""

    def __init__(self, folder: Path):
        self.model = FavorForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = FavorProcessor.from_pretrained(folder)

    def answer(self, chat: list[dict[str, Any]], own_sound: bool = True) -> list[int]:
        """The answer's tokens; what the user wrote is text, whatever control tokens it looks like."""
        items = self.processor.chat_items(chat, own_sound)
        inputs, counts = {}, []
        if items:
            inputs, counts = self.processor.media_inputs([self.processor.load_item(item) for item in items])
            inputs |= self.processor.instruction_inputs([item.instruction for item in items])
        prompt = self.processor.prompt_tokens(
            chat, counts, add_generation_prompt=True, sanitize_control_tokens=True
        ).input_ids
        return self.generate(prompt, inputs)

    def answer_to_text(self, prompt: str, **media: Any) -> list[int]:
        """The answer to a prompt with placeholders, by the processor's call."""
        inputs = self.processor(text=prompt, return_tensors="pt", **media)
        inputs.pop("attention_mask")
        return self.generate(inputs.pop("input_ids")[0].tolist(), inputs)

    def generate(self, prompt: list[int], media: Mapping[str, torch.Tensor]) -> list[int]:
        """What `generate` says after a prompt."""
        with torch.no_grad():
            ids = self.model.generate(
                input_ids=torch.tensor([prompt]), **media, do_sample=False, max_new_tokens=NEW_TOKENS
            )
        return ids[0, len(prompt) :].tolist()
